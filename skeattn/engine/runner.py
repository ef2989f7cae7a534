"""mmengine's Runner, with safe checkpoints, exact resuming, and processes without a GPU."""

import importlib.util
import inspect
import logging
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed, master_only
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import is_model_wrapper
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

import skeattn
from skeattn.channels import AXES
from skeattn.checkpoint import (
    backbone_type,
    check_origin,
    find_newest,
    load_weights,
    read_checkpoint,
    write_checkpoint,
)
from skeattn.engine.accumulation import restore_pending, restore_unfinished
from skeattn.engine.build import newest
from skeattn.engine.compiled import compile_loss, compile_settings
from skeattn.engine.config import OrderedConfig, resolve_config, world_size
from skeattn.engine.contact import BRIEF_S, USUAL_S, contact
from skeattn.engine.hooks.steps import bare_model, micro_batches
from skeattn.engine.log_processor import SharedLogProcessor
from skeattn.engine.message_hub import LateMessageHub, hub_state, restore_hub
from skeattn.engine.places import WRAPPERS
from skeattn.engine.processes import restore_processes
from skeattn.engine.resume import (
    SCHEDULE,
    Difference,
    below,
    check_changes,
    compare,
    epoch_losses,
    iterations_per_epoch,
    note,
    replay,
    restore_optimizer,
    run_facts,
)
from skeattn.engine.speed import fused, set_matmul_precision, wrapper_settings
from skeattn.engine.stop import StopRequest
from skeattn.engine.work_dir import alone_in, check_work_dir, default_work_dir
from skeattn.errors import CheckpointError, ConfigError, NonFiniteError, SkeAttnError
from skeattn.files import write_text
from skeattn.models.joint_names import are_several
from skeattn.registry import DATA_SAMPLERS, DATASETS, HOOKS, MODELS, RUNNERS
from skeattn.skeletons import get_layout

ORIGIN = ('method', 'stream', 'layout', 'num_frames', 'epoch')
"""Facts of a checkpoint that are logged when its weights are loaded."""
SMOOTHED = r'^(train/)?(?!(.*[._])?(lr|momentum)$)[^/]*$|loss|time|grad_norm'
"""Scalars that are logged as means over a window: all of training but rates; metrics of evaluations have a slash."""
ONLY_IN_FILE = (
    'System environment:',
    'Config:',
    'Hooks will be executed',
    'Distributed training is not used',
    'Exp name:',
)
"""Beginnings of messages that are not printed on the screen."""
_started: Counter[str] = Counter()


@contextmanager
def _wrong_in(place: str) -> Iterator[None]:
    """Turn mmengine's refusal of a key or value at a place of the config into a ConfigError that names the place."""
    try:
        yield
    except SkeAttnError:
        raise
    except TypeError as error:
        if 'argument' not in str(error):
            raise
        raise ConfigError(f'{place}: {error}; check its keys') from error
    except (ValueError, KeyError, ImportError) as error:  # no such type; a package that is not installed
        raise ConfigError(f'{place}: {error.args[0] if error.args else error}') from error


@master_only
def _open_backends(visualizer: Any) -> None:
    """Open the backends now rather than at the first value: some need a package that is not installed."""
    for backend in visualizer._vis_backends.values():
        _ = backend.experiment


def _tensorboard() -> bool:
    return importlib.util.find_spec('tensorboard') is not None


@RUNNERS.register_module()
class SkeAttnRunner(Runner):
    """Build it with :meth:`from_cfg`; then ``train()``, ``val()`` or ``test()``."""

    _load_from: str | None
    stop: StopRequest
    undone: int | None = None
    """The last iteration that does not count, since NonFiniteHook has undone it."""
    _resume: bool
    _start_from: str | None = None
    _accepted: Sequence[str] = ()
    _resumed: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def from_cfg(
        cls, cfg: Config, resume_with_changes: Sequence[str] = (), start_from: str | None = None
    ) -> 'SkeAttnRunner':
        """Resolve a config (see :func:`~skeattn.engine.config.resolve_config`) and build the Runner.

        ``runner.cfg`` keeps the settings as written, so that the dumped file can be changed in one place and run again.
        The default work_dir is ``work_dirs/<method>/<config>`` (``work_dirs/<config>`` for a config outside
        ``configs/``).

        Args:
            cfg: a config as read from file, overrides merged.
            resume_with_changes: keys in which a resumed checkpoint may differ from the config although they change the
                run, with everything below them.
            start_from: weights of a run that has no checkpoint to resume from.

        Raises:
            ConfigError: values that disagree or a component that does not exist.
        """
        cfg = OrderedConfig.of(cfg)
        cfg.setdefault('stream', 'joint')
        resolved = resolve_config(cfg, world_size(cfg.get('launcher', 'none')))
        absent = [key for key in ('train_cfg', 'optim_wrapper') if resolved.get(key) is None]
        if len(absent) == 1:
            raise ConfigError(f'{absent[0]}=None: a config that trains has train_cfg and optim_wrapper, others neither')
        resolved.work_dir = cfg.get('work_dir') or str(default_work_dir(cfg.filename or 'run'))
        check_work_dir(Path(resolved.work_dir))
        arguments = {name: resolved[name] for name in inspect.signature(Runner.__init__).parameters if name in resolved}
        runner = cls(**arguments, cfg=cfg)
        runner._accepted, runner._start_from = tuple(resume_with_changes), start_from
        return runner

    @property
    def layout(self) -> str | list[str] | None:
        """Name of the config's layout, which may be a name or a definition; of several theirs."""
        layout = self.cfg.get('layout')
        if are_several(layout):
            return [get_layout(one).name for one in layout]
        return None if layout is None else get_layout(layout).name

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Connect processes by gloo if there is no accelerator; mmengine would request a CUDA device."""
        if self.distributed and not is_distributed():
            rank, devices = int(os.environ.get('LOCAL_RANK', 0)), torch.cuda.device_count()
            if get_device() == 'cpu':
                timeout = timedelta(seconds=env_cfg.get('dist_cfg', {}).get('timeout', USUAL_S))
                torch.distributed.init_process_group('gloo', timeout=timeout)
            elif get_device() == 'cuda' and rank >= devices:
                raise ConfigError(f'process {rank} has no GPU: {devices} are present; start fewer processes')
        super().setup_env(env_cfg)
        set_matmul_precision(env_cfg)
        # Two runs of one process within a second would share logger, message hub and visualiser.
        _started[self._timestamp] += 1
        if _started[self._timestamp] > 1:
            self._timestamp += f'_{_started[self._timestamp]}'

    def set_randomness(self, seed: int | None = 0, diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        """Seed everything; on the CPU, where it costs nothing, also choose deterministic algorithms."""
        super().set_randomness(seed if seed is not None else 0, diff_rank_seed, deterministic)
        if get_device() == 'cpu':
            torch.set_deterministic_debug_mode('warn')
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def build_logger(self, log_level: int | str = 'INFO', log_file: str | None = None, **kwargs: Any) -> MMLogger:
        """mmengine's logger; environment, config and order of the hooks go to the file alone."""

        def brief(record: logging.LogRecord) -> bool:
            return not record.getMessage().lstrip('\n-').startswith(ONLY_IN_FILE)

        logger = super().build_logger(log_level, log_file, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(brief)
        return logger

    def build_message_hub(self, message_hub: dict[str, Any] | None = None) -> MessageHub:
        """A hub that reads the values of a step when they are logged."""
        return LateMessageHub.get_instance(**{'name': self._experiment_name, **(message_hub or {})})

    def build_model(self, model: nn.Module | dict[str, Any]) -> nn.Module:
        """Build it by our registry, so that an unknown name raises a ConfigError."""
        return model if isinstance(model, nn.Module) else MODELS.build(model)

    def register_hook(self, hook: Any, priority: Any = None) -> None:
        """Build it by our registry, so that an unknown name raises a ConfigError."""
        if isinstance(hook, dict):
            hook = dict(hook)
            priority = hook.pop('priority', priority)
            hook = HOOKS.build(hook)
        super().register_hook(hook, priority)

    def build_dataset(self, cfg: dict[str, Any]) -> Any:
        """A data set, built once for all loaders and loops that read it."""
        datasets: dict[str, Any] = self.__dict__.setdefault('_datasets', {})
        key = repr(Config(dict(cfg)).to_dict())
        if key not in datasets:
            dataset = datasets[key] = DATASETS.build(cfg)
            if not hasattr(dataset, 'metainfo'):
                dataset.metainfo = {'classes': [str(name) for name in dataset.classes], 'layout': dataset.layout.name}
        return datasets[key]

    def build_dataloader(  # type: ignore[override]
        self, dataloader: DataLoader | dict[str, Any], seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """mmengine's loader, without its deep copy of the data set."""
        if isinstance(dataloader, DataLoader):
            return dataloader
        cfg = dict(dataloader)
        dataset = self.build_dataset(cfg.pop('dataset'))
        if hasattr(dataset, 'reside'):
            dataset.reside(next(self.model.parameters()).device)
        sampler = DATA_SAMPLERS.build(cfg.pop('sampler'), default_args={'dataset': dataset, 'seed': seed})
        collate = dict(cfg.pop('collate_fn'))
        collate_fn = partial(FUNCTIONS.get(collate.pop('type')), **collate)
        return DataLoader(dataset, sampler=sampler, collate_fn=collate_fn, **cfg)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """mmengine's wrapper, without a log line for every parameter; a wrong key or value raises a ConfigError."""

        def terse(record: logging.LogRecord) -> bool:
            text = record.getMessage()
            return 'requires_grad=False' not in text and not text.startswith('paramwise_options')

        if isinstance(optim_wrapper, dict) and optim_wrapper.get('paramwise_cfg'):  # a shared head is learnt once
            paramwise = {'bypass_duplicate': True, **optim_wrapper['paramwise_cfg']}
            optim_wrapper = {**optim_wrapper, 'paramwise_cfg': paramwise}
            if 'layer_decay' in paramwise:
                optim_wrapper.setdefault('constructor', 'LayerDecayConstructor')
        if isinstance(optim_wrapper, dict) and isinstance(optim_wrapper.get('optimizer'), dict):
            device = next(self.model.parameters()).device
            optim_wrapper = {**optim_wrapper, 'optimizer': fused(optim_wrapper['optimizer'], device)}
        self.logger.addFilter(terse)
        try:
            with _wrong_in('optim_wrapper'):
                return super().build_optim_wrapper(optim_wrapper)
        finally:
            self.logger.removeFilter(terse)

    def build_train_loop(self, loop: Any) -> Any:
        """mmengine's loop; a wrong key or value raises a ConfigError."""
        with _wrong_in('train_cfg'):
            return super().build_train_loop(loop)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """mmengine's schedules; a wrong key or value raises a ConfigError."""
        with _wrong_in('param_scheduler'):
            return super().build_param_scheduler(scheduler)

    def train(self) -> nn.Module:
        """mmengine's training, alone in its work_dir; a signal ends it with a checkpoint.

        mmengine's warning of lost gradients is left out: checkpoints keep those of an incomplete step.

        Raises:
            ConfigError: another training runs in the work_dir.
            Interrupted: a signal has ended it.
            ProcessError: another process hangs or has ended.
        """

        def ours(record: logging.LogRecord) -> bool:
            return 'GradientCumulativeOptimizerHook' not in record.getMessage()

        self.logger.addFilter(ours)
        try:
            with alone_in(Path(self.work_dir)), StopRequest(self._brief) as self.stop, contact(self.stop.group):
                return super().train()
        finally:
            self.logger.removeFilter(ours)

    @property
    def _brief(self) -> float:
        """Longest wait of a process for another one within an epoch, in seconds."""
        loop = self._train_loop
        return float(loop.get('timeout', BRIEF_S) if isinstance(loop, dict) else getattr(loop, 'timeout', BRIEF_S))

    def build_log_processor(self, log_processor: Any) -> Any:
        """A processor that smooths all values of a loss alike, so that the logged parts add up to the total."""
        if isinstance(log_processor, dict) and log_processor.get('type', 'LogProcessor') == 'LogProcessor':
            log_processor = {'mean_pattern': SMOOTHED, **log_processor, 'type': SharedLogProcessor.__name__}
        return super().build_log_processor(log_processor)

    def build_visualizer(self, visualizer: Any = None) -> Any:
        """mmengine's visualiser; its backends are named steps or a list. TensorBoard is left out if not installed."""
        backends = visualizer.get('vis_backends') if isinstance(visualizer, dict) else None
        if isinstance(backends, Mapping):
            backends = [backend for backend in backends.values() if backend is not None]
        if backends is not None:
            kept = [backend for backend in backends if backend.get('type') != 'TensorboardVisBackend' or _tensorboard()]
            visualizer = {**visualizer, 'vis_backends': kept or [{'type': 'LocalVisBackend'}]}
            if len(kept) < len(backends):
                self.logger.info('TensorBoard is not installed (pip install tensorboard); curves go to scalars.json')
        with _wrong_in('visualizer'):
            built = super().build_visualizer(visualizer)
            _open_backends(built)
        return built

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        """mmengine's wrapper with our :data:`~skeattn.engine.speed.WRAPPER`; on the CPU without device ids."""
        if not self.distributed or is_model_wrapper(model):
            return super().wrap_model(model_wrapper_cfg, model)
        unused = self.cfg.get('find_unused_parameters', False)
        wrapper = wrapper_settings(model_wrapper_cfg, unused)
        if get_device() != 'cpu':
            return super().wrap_model(wrapper, model)
        if self.cfg.get('sync_bn'):
            self.logger.warning('sync_bn has no effect: torch synchronises BN statistics on GPUs alone')
        # 1x1 kernels have two equivalent memory orders; torch reports one as the other in every process.
        warnings.filterwarnings('ignore', message='Grad strides do not match bucket view strides')
        return WRAPPERS.build(wrapper, default_args={'module': model})  # DDP refuses device ids on the CPU

    def _maybe_compile(self, target: str) -> None:
        """Compile the losses; mmengine would compile the whole ``train_step``, whose host code is no graph."""
        device = next(self.model.parameters()).device
        settings = compile_settings(self.cfg.get('compile'), device, micro_batches(self))
        if settings is not None:
            compile_loss(self.model, settings)
            self.logger.info('the first iterations are slow: torch compiles the losses')

    @master_only
    def save_checkpoint(  # type: ignore[override]
        self,
        out_dir: str,
        filename: str,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict[str, Any] | None = None,
        pending: Mapping[str, Any] | None = None,
        unfinished: Mapping[str, Any] | None = None,
        processes: Sequence[Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write a checkpoint atomically; it holds builtin types and tensors only.

        Args:
            out_dir, filename: folder and name of the file.
            save_optimizer, save_param_scheduler: whether training can resume from it.
            meta: facts that replace those of the Runner.
            pending: gradients and keys of an incomplete optimiser step, see
                :func:`~skeattn.engine.accumulation.pending_state`.
            unfinished: values of an incomplete epoch, see :func:`~skeattn.engine.accumulation.unfinished_epoch`.
            processes: values of each process, see :func:`~skeattn.engine.processes.process_states`.

        Raises:
            NonFiniteError: a weight is NaN or infinite; nothing is written.
        """
        model = self.model.module if is_model_wrapper(self.model) else self.model
        state_dict = model.state_dict()
        broken = [name for name, value in state_dict.items() if not torch.isfinite(value).all()]
        if broken:
            raise NonFiniteError(
                f'{len(broken)} weights are NaN or infinite, first {broken[0]}; {filename} was not written and the '
                f'checkpoints before it are untouched. Lower the learning rate'
            )
        checkpoint = {'meta': {**self._meta(), **(meta or {})}, 'state_dict': state_dict}
        checkpoint['message_hub'] = hub_state(self.message_hub)
        if save_optimizer:
            checkpoint |= {'optimizer': self.optim_wrapper.state_dict(), 'pending': pending}
            checkpoint |= {'unfinished': unfinished, 'processes': processes}
        if save_param_scheduler:
            checkpoint['param_schedulers'] = [scheduler.state_dict() for scheduler in self.param_schedulers or []]
        self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        write_checkpoint(Path(out_dir) / filename, checkpoint)

    def _meta(self) -> dict[str, Any]:
        dataset = self.cfg.get('dataset') or {}
        model = self.model.module if is_model_wrapper(self.model) else self.model
        versions = {'skeattn': skeattn.__version__, 'mmengine': mmengine.__version__, 'torch': str(torch.__version__)}
        return {
            'epoch': self.epoch,
            'iter': self.iter,
            'cfg': self.cfg.pretty_text,
            'seed': self.seed,
            'method': type(model).__name__,
            'backbone': backbone_type(model),
            'stream': self.cfg.get('stream'),
            'layout': self.layout,
            'channels': list(self.cfg.get('channels') or AXES),
            'num_frames': int(self.train_dataloader.dataset.__getitems__([0])['inputs'].shape[2]),
            'batch_size': self.cfg.get('batch_size'),
            'world_size': self.world_size,
            'data': dataset.get('data'),
            'split': dataset.get('split'),
            'dataset': getattr(self.train_dataloader.dataset, 'metainfo', None),
            'iterations_per_epoch': len(self.train_dataloader),
            **self._run_facts,
            'resumed': list(self._resumed),
            'versions': versions,
            'time': time.strftime('%Y-%m-%d %H:%M:%S'),
        }

    @cached_property
    def _run_facts(self) -> dict[str, Any]:
        return run_facts(self.cfg, bare_model(self))

    def load_checkpoint(  # type: ignore[override]
        self, filename: str, map_location: Any = 'cpu', strict: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Load weights safely, of a work_dir the newest ones; log their origin and the matching tensors.

        Raises:
            CheckpointError: there is no such file, the folder has no checkpoint, or the file is damaged, does not fit,
                or was trained on a different stream, layout or channels; ``strict`` requires every tensor.
        """
        if not Path(filename).exists():
            raise CheckpointError(
                f'load_from={filename} does not exist; train the run that it names first, or change it'
            )
        filename = str(newest(filename))
        checkpoint = read_checkpoint(filename, map_location)
        check_origin(filename, checkpoint['meta'], self._origin())
        self._load_weights(checkpoint, filename, strict)
        return checkpoint

    def _origin(self) -> dict[str, Any]:
        channels = list(self.cfg.get('channels') or AXES)
        return {'stream': self.cfg.get('stream'), 'layout': self.layout, 'channels': channels}

    def _load_weights(self, checkpoint: dict[str, Any], filename: str, strict: bool) -> None:
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        min_match, meta = 1 if strict else 0.5, checkpoint['meta']
        report = load_weights(bare_model(self), checkpoint['state_dict'], filename, min_match, meta)
        origin = ', '.join(
            f'{key} {meta[key]}' for key in ('method', 'stream', 'layout', 'num_frames', 'epoch') if key in meta
        )
        self.logger.info(f'{filename}: {origin or "of unknown origin"}; {report}')
        self._has_loaded = True

    def load_or_resume(self) -> None:
        """Load ``load_from``, or resume from it, or from the newest checkpoint of the work_dir that can be read."""
        if self._has_loaded:
            return
        if self._resume and self._load_from is None:
            found = find_newest(self.work_dir, report=self.logger.warning)
            if found is None:
                self.logger.info(f'no checkpoint in {self.work_dir} to resume from; training starts at the beginning')
                self._resume = False
            self._load_from = self._start_from if found is None else str(found)
        if self._resume:
            self.resume(str(self._load_from))
        elif self._load_from is not None:
            self.load_checkpoint(self._load_from)

    def resume(self, filename: str, map_location: Any = 'default', **kwargs: Any) -> None:  # type: ignore[override]
        """Continue a run where its checkpoint ended, with the settings of the config.

        Raises:
            CheckpointError: the checkpoint holds weights alone, or does not fit.
            ConfigError: the config would change the run in ways that were not accepted.
        """
        device = get_device() if map_location == 'default' else map_location
        checkpoint = read_checkpoint(filename, device)
        meta = checkpoint['meta']
        absent = {'optimizer', 'param_schedulers', 'message_hub'} - checkpoint.keys()
        if absent:
            raise CheckpointError(
                f'{filename} lacks {", ".join(sorted(absent))}, so training cannot resume from it; resume from an '
                f'epoch_*.pth, or start from its weights with --cfg-options load_from={filename}'
            )
        differences = self._compare(filename, meta)
        keys = [difference.key for difference in differences]
        self._load_weights(checkpoint, filename, strict=True)
        self._restore_progress(meta)
        restore_hub(self.message_hub, checkpoint['message_hub'])
        restore_processes(self, checkpoint)
        self._restore_optimizer(filename, checkpoint, keys)
        restore_pending(self, checkpoint, keys)
        restore_unfinished(self, checkpoint)
        self.logger.info(f'resumed from {filename}: epoch {self.epoch}, iteration {self.iter}')

    def _compare(self, filename: str, meta: Mapping[str, Any]) -> list[Difference]:
        """The differences between checkpoint and config, each of which is logged and recorded; refuses some."""
        now = self._meta()
        differences = compare(meta, now)
        changes = check_changes(filename, differences, self._accepted)
        for difference in differences:
            self.logger.info(f'trained with {difference}{note(difference, now)}')
        self._resumed = list(meta.get('resumed', []))
        if differences:
            listed = [{**d._asdict(), 'changes_the_run': d in changes} for d in differences]
            where = {'checkpoint': Path(filename).name, 'epoch': meta['epoch'], 'iter': meta['iter']}
            self._resumed.append({**where, 'differences': listed})
        return differences

    def _restore_progress(self, meta: Mapping[str, Any]) -> None:
        """Epoch and iteration; those of epochs of a different length are counted in the present one.

        An epoch that ``max_iters`` cut short continues where it was cut, if the config now has more iterations.
        """
        epoch, iteration, length = meta['epoch'], meta['iter'], len(self.train_dataloader)
        then = iterations_per_epoch(meta)
        if then not in (None, length):
            iteration = min(round(iteration * length / then), epoch * length)
            self.logger.info(
                f'an epoch has {length} iterations, {then} before: iteration {meta["iter"]} counts as {iteration}'
            )
        if iteration < min(epoch * length, self.train_loop.max_iters):
            epoch = iteration // length
        self.train_loop._epoch, self.train_loop._iter = epoch, iteration

    def _restore_optimizer(self, filename: str, checkpoint: Mapping[str, Any], keys: Sequence[str]) -> None:
        """Its state and the schedules; where their settings differ, those of the config count from now on."""
        schedulers, states = self.param_schedulers or [], checkpoint['param_schedulers']
        if not any(below(key, SCHEDULE) for key in keys) and len(schedulers) == len(states):
            try:
                self.optim_wrapper.load_state_dict(checkpoint['optimizer'])
            except (ValueError, KeyError) as error:
                raise ConfigError(f'{filename}: its optimizer is not that of optim_wrapper: {error}') from error
            for scheduler, state in zip(schedulers, states, strict=True):
                scheduler.load_state_dict(state)
            return
        replaced = {'optim_wrapper', 'optim_wrapper.optimizer', 'optim_wrapper.optimizer.type'} & set(keys)
        why = ', '.join(replaced) or restore_optimizer(self.optim_wrapper, checkpoint['optimizer'])
        if why:
            self.logger.warning(f'the optimizer starts without the state of {filename}, which does not fit: {why}')
        losses = epoch_losses(checkpoint)
        replay(schedulers, self.epoch, self.iter, len(self.train_dataloader), losses)
        rates = ', '.join(f'{rate:.3g}' for rate in dict.fromkeys(self.optim_wrapper.get_lr()['lr']))
        self.logger.info(f'learning rates follow the config from here on: {rates}')

    @master_only
    def dump_config(self) -> None:
        """Write the config to the work_dir, unresolved."""
        name = Path(self.cfg.filename).name if self.cfg.filename else f'{self.timestamp}.py'
        write_text(Path(self.work_dir) / name, self.cfg.pretty_text)
