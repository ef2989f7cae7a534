"""mmengine's Runner, with safe checkpoints, exact resuming, and processes without a GPU."""

import importlib.util
import inspect
import logging
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_distributed, master_only
from mmengine.hooks import CheckpointHook
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import is_model_wrapper, revert_sync_batchnorm
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from skeattn.checkpoint import plain
from skeattn.engine.compiled import compile_loss, compile_settings
from skeattn.engine.config import OrderedConfig, resolve_config
from skeattn.engine.contact import BRIEF_S, contact, usual_timeout
from skeattn.engine.hooks.steps import micro_batches
from skeattn.engine.launchers import world_size
from skeattn.engine.log_processor import SharedLogProcessor
from skeattn.engine.loops import EpochLoop
from skeattn.engine.message_hub import LateMessageHub
from skeattn.engine.optim import check_custom_keys
from skeattn.engine.places import WRAPPERS
from skeattn.engine.resumable import ResumableRunner
from skeattn.engine.schedules import cut_schedules
from skeattn.engine.speed import fused, set_matmul_precision, wrapper_settings
from skeattn.engine.stop import StopRequest
from skeattn.engine.work_dir import alone_in, check_work_dir, default_work_dir
from skeattn.errors import ConfigError, SkeAttnError, did_you_mean
from skeattn.hardware import default_device
from skeattn.registry import DATA_SAMPLERS, DATASETS, HOOKS, MODELS, RUNNERS

SMOOTHED = r'^(train/)?(?!(.*[._])?(lr|momentum)$)[^/]*$|loss|time|grad_norm'
"""Scalars that are logged as means over a window: all of training but rates; metrics of evaluations have a slash."""
ONLY_IN_FILE = (
    'System environment:',
    'Config:',
    'Hooks will be executed',
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
    except (ValueError, KeyError, ImportError, AssertionError) as error:  # no such type; a package is not installed
        raise ConfigError(f'{place}: {error.args[0] if error.args else error}') from error


def _check_state(schedule: Any) -> None:
    """Refuse a schedule that no checkpoint could hold, before an epoch is lost."""
    try:
        plain(schedule.state_dict())
    except TypeError as error:
        raise ConfigError(
            f'param_scheduler: {type(schedule).__name__} keeps values in its state that a checkpoint cannot hold '
            f'({error}); take WarmupCosineLR, or schedules in a list'
        ) from error


def _check_modules(model: nn.Module, key: str, names: str | Sequence[str] | None) -> None:
    """Refuse modules that the model does not have; ``key`` of the config names them."""
    bare: Any = model.module if is_model_wrapper(model) else model
    for name in [names] if isinstance(names, str) else names or ():
        try:
            attrgetter(name)(bare)
        except AttributeError:
            known = did_you_mean(name, dict(bare.named_modules()))
            raise ConfigError(f'{key}: the model has no module {name!r}; {known}') from None


@master_only
def _open_backends(visualizer: Any) -> None:
    """Open the backends now rather than at the first value: some need a package that is not installed."""
    for backend in visualizer._vis_backends.values():
        _ = backend.experiment


def _tensorboard() -> bool:
    return importlib.util.find_spec('tensorboard') is not None


@RUNNERS.register_module()
class SkeAttnRunner(ResumableRunner):
    """Build it with :meth:`from_cfg`; then ``train()``, ``val()`` or ``test()``."""

    stop: StopRequest
    undone: int | None = None
    """The last iteration that does not count, since NonFiniteHook has undone it."""

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

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Connect processes by gloo if there is no accelerator; mmengine would request a CUDA device.

        They wait for each other half an hour unless ``dist_cfg.timeout`` says otherwise; NCCL would wait ten minutes.
        """
        dist_cfg = env_cfg.get('dist_cfg') or {}
        env_cfg = {**env_cfg, 'dist_cfg': {**dist_cfg, 'timeout': usual_timeout(dist_cfg)}}
        if self.distributed and not is_distributed():
            rank, devices = int(os.environ.get('LOCAL_RANK', 0)), torch.cuda.device_count()
            if default_device() == 'cpu':
                torch.distributed.init_process_group('gloo', timeout=timedelta(seconds=env_cfg['dist_cfg']['timeout']))
            elif rank >= devices:
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
        if default_device() == 'cpu':
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
        with _wrong_in('train_dataloader'):
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
            check_custom_keys(self.model, paramwise.get('custom_keys') or {}, self.cfg.get('param_scheduler'))
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
        """mmengine's schedules, which end with the training; a wrong key or value raises a ConfigError."""
        loop = self._train_loop
        if isinstance(loop, EpochLoop):
            length = loop.max_iters / len(loop.dataloader)
            scheduler = cut_schedules(scheduler, self.cfg.train_cfg.max_epochs, length)
        with _wrong_in('param_scheduler'):
            built = super().build_param_scheduler(scheduler)
        for schedule in built if isinstance(built, list) else ():
            _check_state(schedule)
        return built

    def train(self) -> nn.Module:
        """mmengine's training, alone in its work_dir; a signal ends it with a checkpoint.

        mmengine's warning of lost gradients is left out: checkpoints keep those of an incomplete step.

        Raises:
            ConfigError: another training runs in the work_dir, or the config names a module that the model lacks.
            Interrupted: a signal has ended it.
            ProcessError: another process hangs or has ended.
        """

        def ours(record: logging.LogRecord) -> bool:
            return 'GradientCumulativeOptimizerHook' not in record.getMessage()

        for key in ('activation_checkpointing', 'efficient_conv_bn_eval'):
            _check_modules(self.model, key, self.cfg.get(key))
        if any(isinstance(hook, CheckpointHook) for hook in self.hooks):
            raise ConfigError(
                'custom_hooks: CheckpointHook writes no checkpoints that can be resumed here; its place is '
                'default_hooks.checkpoint, with interval, max_keep and save_best'
            )
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
        if is_model_wrapper(model):
            return super().wrap_model(model_wrapper_cfg, model)
        model = model.to(default_device())
        if not self.distributed:
            return revert_sync_batchnorm(model)
        unused = self.cfg.get('find_unused_parameters', False)
        wrapper = wrapper_settings(model_wrapper_cfg, unused)
        if default_device() != 'cpu':
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
