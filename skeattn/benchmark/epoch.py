"""One epoch at the size of a large set through the Runner, on random clips."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from skeattn.benchmark.setting import TWO_PERSONS
from skeattn.channels import AXES
from skeattn.datasets import SkeletonDataset
from skeattn.engine import SkeAttnRunner
from skeattn.engine.amp import AutocastOptimWrapper
from skeattn.engine.config import read_config
from skeattn.registry import DATASETS
from skeattn.skeletons import get_layout
from skeattn.toolbox import CONFIGS

NTU60_CLIPS, EPOCHS, WARM = 40_091, 300, 10
"""Training clips of NTU-60 cross-subject, epochs of the recipe, iterations until kernels are chosen."""


RECIPE = 'skeattnclr/stgcn_ntu60_xsub'
SWITCHES = {'compile': True}
"""Switches of speed that a GPU is measured with; a CPU gains nothing by them."""


@DATASETS.register_module()
class RandomClips(SkeletonDataset):
    """Random clips, handed out and kept on the accelerator as those of a packed set.

    Args:
        clips: N.
        num_frames: T.
        num_persons: M; in most clips only the first is present.
        part: ``'train'`` or ``'test'``.
        layout: name of the skeleton.
        channels: names of the values of a joint.
        device: as of :class:`~skeattn.datasets.SkeletonDataset`.
    """

    def __init__(
        self,
        clips: int,
        num_frames: int = 64,
        num_persons: int = 2,
        part: str = 'train',
        layout: str = 'ntu25',
        channels: Sequence[str] = AXES,
        device: str = 'auto',
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        self.part, self.device, self._resident = part, device, None
        self.layout, self.channels, self.classes = get_layout(layout), tuple(channels), ['random']
        shape = (clips, len(self.channels), num_frames, self.layout.num_joints, num_persons)
        self.clips = torch.randn(shape, generator=generator).mul_(0.3)
        self.clips[torch.rand(clips, generator=generator) > TWO_PERSONS, ..., 1:] = 0
        self.labels = torch.zeros(clips, dtype=torch.int64)
        self.subjects, self.names = torch.full((clips,), -1), [str(i) for i in range(clips)]
        self.missing = self.native = None


class EpochClock(Hook):
    """Seconds of the first iterations of an epoch and of the others, hooks and checkpoint included.

    Args:
        device: type of the device that works asynchronously.
        warm: number of first iterations.
    """

    priority = 'LOWEST'

    def __init__(self, device: str, warm: int) -> None:
        self.device, self.warm, self.times = device, warm, list[float]()

    def before_train_epoch(self, runner: Runner) -> None:
        """Start."""
        self._note()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        """The end of the first iterations."""
        if batch_idx + 1 == self.warm:
            self._note()

    def after_train_epoch(self, runner: Runner) -> None:
        """The end."""
        self._note()

    def _note(self) -> None:
        if self.device == 'cuda':
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())


def projection(iterations: int, warm: int, first_s: float, later_s: float, epochs: int = EPOCHS) -> dict[str, float]:
    """Seconds of one epoch and hours of a training, of which the first iterations are slow once.

    Args:
        iterations: of the epoch, more than ``warm``.
        warm: the first ones.
        first_s: their seconds.
        later_s: seconds of the others.
        epochs: of the training.
    """
    later = later_s / (iterations - warm)
    once = first_s - warm * later
    return {
        'seconds': first_s + later_s,
        'step_ms': 1000 * later,
        'hours': (max(0.0, once) + epochs * iterations * later) / 3600,
    }


def train_on_random_clips(
    clips: int, batch: int, tiny: bool, hook: Hook, switches: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One epoch of SkeAttnCLR by the recipe for NTU-60, without evaluation.

    Args:
        clips, batch: N and B.
        tiny: the smallest network and clips.
        hook: observes the Runner.
        switches: further values of the config by dotted key.

    Returns:
        ``clips``, ``batch``, ``iterations``, ``precision``, ``resident`` (whether the clips are on the accelerator),
        ``switches``.
    """
    options: dict[str, Any] = {'batch_size': batch, 'train_cfg.max_epochs': 1, **(switches or {})}
    options['default_hooks.checkpoint.save_best'] = None
    if tiny:
        options |= {'model.backbone.base_channels': 2, 'model.backbone.out_channels': 8, 'model.queue.size': 16}
        options |= {'model.data_preprocessor.views.mix.skelemix.units': (2, 4)}
    cfg = read_config(CONFIGS / f'{RECIPE}.py', options)
    cfg.dataset = dict(type='RandomClips', clips=clips, num_frames=32 if tiny else 64)
    cfg.evaluation = None
    cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
    with tempfile.TemporaryDirectory(prefix='epoch_') as folder:
        cfg.work_dir = folder
        runner = SkeAttnRunner.from_cfg(cfg)
        runner.register_hook(hook)
        runner.train()
    data: Any = runner.train_dataloader.dataset
    precision = 'bfloat16' if isinstance(runner.optim_wrapper, AutocastOptimWrapper) else 'float32'
    sizes = {'clips': clips, 'batch': batch, 'iterations': clips // batch}
    resident = data._resident is not None
    return {**sizes, 'precision': precision, 'resident': resident, 'switches': dict(switches or {})}


def switches_for(device: str) -> dict[str, Any]:
    """:data:`SWITCHES` on CUDA, none elsewhere."""
    return dict(SWITCHES) if device == 'cuda' else {}


def measure_epoch(device: str, tiny: bool) -> dict[str, Any]:
    """One epoch through the Runner, with its hooks and checkpoint.

    Returns:
        the values of :func:`train_on_random_clips` and :func:`projection`, ``epochs``, and ``clips_per_second`` after
        the first iterations.
    """
    clips, batch, warm = (12, 4, 1) if tiny else (NTU60_CLIPS, 128, WARM)
    clock = EpochClock(device, warm)
    facts = train_on_random_clips(clips, batch, tiny, clock, switches_for(device))
    start, warmed, end = clock.times
    found = projection(facts['iterations'], warm, warmed - start, end - warmed)
    return {**facts, 'epochs': EPOCHS, 'clips_per_second': 1000 * batch / found['step_ms'], **found}
