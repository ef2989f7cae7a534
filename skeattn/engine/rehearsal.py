"""A dry run: a few training steps of a config, to know data, steps, time, memory and disk before hours are spent."""

import io
import math
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from skeattn.datasets.labelled import LabelledClips
from skeattn.datasets.union import in_words
from skeattn.engine.advice import advice
from skeattn.engine.config import resolve_config
from skeattn.engine.hooks.steps import bare_model
from skeattn.engine.loops import evaluated
from skeattn.engine.places import lookup
from skeattn.engine.runner import SkeAttnRunner
from skeattn.engine.work_dir import default_work_dir
from skeattn.errors import ConfigError
from skeattn.evaluation.features import extract_features
from skeattn.measure import own_peak
from skeattn.progress import duration

STEPS, WARM = 8, 3
"""Steps of a dry run, and how many of them are not timed: the first ones choose kernels and allocate."""
SAMPLE = 128
"""Clips of each part that are encoded to time an evaluation."""
NEVER = 10**9
"""An epoch after which no evaluation begins."""


class Evaluation(NamedTuple):
    """The evaluations of a training: their number, the clips of one, seconds to encode them, names of evaluators."""

    times: int
    clips: int
    encode_s: float
    evaluators: tuple[str, ...]

    def __str__(self) -> str:
        names = ', '.join(self.evaluators)
        return f'{self.times} times {self.clips:,} clips, encoded in {self.encode_s:.2g} s; then {names} (not timed)'


@dataclass(frozen=True)
class Rehearsal:
    """What a dry run has found; as text, a table with a line per fact.

    Args:
        data: the packed sets, with their split.
        clips: number of training clips.
        classes: number of classes.
        clip: shape of a prepared clip ``(C, T, V, M)``.
        clips_bytes: memory of the prepared training clips.
        method: name of the method.
        parameters: number of trainable parameters.
        epochs, steps, batch_size: of the whole training.
        processes: that will share the batch; everything here is measured in one.
        step_s: median seconds of a step; None where the training has too few steps to time one.
        evaluation: None where the training has none.
        memory_bytes: peak so far, of the accelerator or else of the process; ``device`` names it.
        checkpoint_bytes: size of a checkpoint.
        checkpoints: how many of them are kept.
        free_bytes: free space where they would be written.
        work_dir: folder where the training would write.
        advice: sentences about settings that are probably a mistake.
    """

    data: str
    clips: int
    classes: int
    clip: tuple[int, ...]
    clips_bytes: int
    method: str
    parameters: int
    epochs: int
    steps: int
    batch_size: int
    processes: int
    step_s: float | None
    evaluation: Evaluation | None
    memory_bytes: int
    device: str
    checkpoint_bytes: int
    checkpoints: int
    free_bytes: int
    work_dir: str
    advice: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """Seconds of all steps, and of encoding the clips of all evaluations; None where no step was timed."""
        if self.step_s is None:
            return None
        return self.steps * self.step_s + (self.evaluation.times * self.evaluation.encode_s if self.evaluation else 0)

    def __str__(self) -> str:
        time_in_all = 'too few steps to time one'
        if self.seconds is not None:
            time_in_all = f'{self.step_s:.3g} s a step, {duration(self.seconds)} in all'
        shared = ''
        if self.processes > 1:
            shared = f', {self.batch_size // self.processes} in each of {self.processes} processes'
            time_in_all += '; memory and time of one process with the whole batch'
        shape = ' x '.join(map(str, self.clip))
        rows = {
            'data': f'{self.data}: {self.clips:,} training clips, {self.classes} classes',
            'clips': f'(C, T, V, M) = {shape}, {_size(self.clips_bytes)} in memory',
            'method': f'{self.method}, {self.parameters:,} trainable parameters',
            'steps': f'{self.steps:,} of {self.batch_size} clips{shared}, in {self.epochs} epochs',
            'evaluation': str(self.evaluation or 'none'),
            'time': time_in_all,
            'memory': f'{_size(self.memory_bytes)} so far ({self.device})',
            'disk': f'{_size(self.checkpoint_bytes)} a checkpoint, {self.checkpoints} kept in {self.work_dir}; '
            f'{_size(self.free_bytes)} free',
        }
        lines = [f'{name:<11} {text}' for name, text in rows.items()]
        return '\n'.join([*lines, *(f'{"note":<11} {sentence}' for sentence in self.advice)])


class _Clock(Hook):
    """The moment at which each training step has ended."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.times: list[float] = []

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """The end of a step."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())

    @property
    def step_s(self) -> float | None:
        """Median seconds of a step after the first ones; None where there are none."""
        timed = [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)][WARM - 1 :]
        return statistics.median(timed) if timed else None


def rehearse(cfg: Config, processes: int = 1) -> Rehearsal:
    """Build everything of a training in one process, take a few steps, and encode some of the clips of its evaluation.

    Nothing is written to the work_dir. The time of the evaluators themselves, such as a linear probe, is not measured.

    Args:
        cfg: a config as read from file, overrides merged.
        processes: in which the training will run; they share the batch.

    Raises:
        ConfigError: the config does not train, or whatever a training would refuse at its start.
    """
    if cfg.get('train_cfg') is None:
        raise ConfigError(f'{cfg.filename}: the config has no train_cfg, so there is no training to try')
    resolve_config(cfg, processes)  # refuses a batch that they cannot share
    with tempfile.TemporaryDirectory() as folder:
        runner = SkeAttnRunner.from_cfg(_shortened(cfg, folder))
        runner.register_hook(clock := _Clock())
        runner.train()
        buffer = io.BytesIO()
        torch.save({'state_dict': runner.model.state_dict(), 'optimizer': runner.optim_wrapper.state_dict()}, buffer)
        return _found(cfg, runner, processes, clock.step_s, buffer.tell())


def _shortened(cfg: Config, folder: str) -> Config:
    """The config of a few steps, without evaluation, checkpoints and output."""
    short = cfg.__class__(cfg.to_dict(), filename=cfg.filename)
    steps = min(STEPS, cfg.get('max_iters') or STEPS)
    options = {
        'work_dir': folder,
        'launcher': 'none',
        'resume': False,
        'log_level': 'ERROR',
        'max_iters': steps,
        'train_cfg.val_begin': NEVER,
        'default_hooks.checkpoint': None,
    }
    short.merge_from_dict(options)
    short.visualizer = {'type': 'Visualizer', 'vis_backends': [{'type': 'LocalVisBackend'}]}
    return short


def _found(
    cfg: Config, runner: SkeAttnRunner, processes: int, step_s: float | None, checkpoint_bytes: int
) -> Rehearsal:
    resolved, model, dataset = resolve_config(cfg), bare_model(runner), runner.train_dataloader.dataset
    epochs, batch_size = int(resolved.train_cfg.max_epochs), int(resolved.batch_size)
    steps = min(epochs * len(runner.train_dataloader), resolved.get('max_iters') or math.inf)
    epochs = math.ceil(steps / len(runner.train_dataloader))  # with max_iters fewer than the config says
    work_dir = Path(cfg.get('work_dir') or default_work_dir(cfg.filename or 'run'))
    existing = next(path for path in (work_dir.absolute(), *work_dir.absolute().parents) if path.exists())
    interval, begin = runner.train_loop.val_interval, resolved.train_cfg.get('val_begin', 1)
    cuda = next(model.parameters()).is_cuda
    optimizer = lookup(resolved, 'optim_wrapper.optimizer')
    return Rehearsal(
        data=f'{in_words(resolved.dataset.data)}, split {in_words(resolved.dataset.split)}',
        clips=len(dataset),
        classes=len(dataset.classes),
        clip=tuple(dataset.clips.shape[1:]),
        clips_bytes=dataset.clips.nbytes,
        method=type(model).__name__,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        epochs=epochs,
        steps=int(steps),
        batch_size=batch_size,
        processes=processes,
        step_s=step_s,
        evaluation=_evaluation(runner, sum(evaluated(i, epochs, interval, begin) for i in range(1, epochs + 1))),
        memory_bytes=torch.cuda.max_memory_allocated() if cuda else own_peak(),
        device=torch.cuda.get_device_name() if cuda else 'this process',
        checkpoint_bytes=checkpoint_bytes,
        checkpoints=int(lookup(resolved, 'default_hooks.checkpoint').get('max_keep', 0)),
        free_bytes=shutil.disk_usage(existing).free,
        work_dir=str(work_dir),
        advice=tuple(advice(model, len(dataset), batch_size, int(steps), optimizer)),
    )


def _evaluation(runner: SkeAttnRunner, times: int) -> Evaluation | None:
    """The evaluations of a training, so many times; None where it has none."""
    loop = runner.val_loop
    if loop is None or not loop.dataloader:
        return None
    parts = loop.dataloader.values()
    clips = sum(len(part) for part in parts)
    seconds = 0.0
    for part in parts:
        few = LabelledClips(part, torch.arange(min(SAMPLE, len(part))))
        start = time.perf_counter()
        extract_features(runner.model, few, loop.batch_size, loop.source, autocast=loop.autocast)
        seconds += (time.perf_counter() - start) / len(few) * len(part)
    return Evaluation(times, clips, seconds, tuple(loop.evaluator))


def _size(number: float) -> str:
    units = ('bytes', 'kB', 'MB', 'GB', 'TB')
    power = min(len(units) - 1, int(math.log10(max(number, 1)) // 3))
    return f'{number / 1000**power:.3g} {units[power]}'
