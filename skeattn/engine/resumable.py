"""A Runner whose state is written to checkpoints and read from them: a resumed run equals an uninterrupted one."""

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.dist import master_only
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

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
from skeattn.engine.hooks.steps import bare_model
from skeattn.engine.message_hub import hub_state, restore_hub
from skeattn.engine.only_door import only_door
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
from skeattn.errors import CheckpointError, ConfigError, NonFiniteError
from skeattn.files import write_text
from skeattn.hardware import default_device
from skeattn.models.joint_names import are_several
from skeattn.skeletons import get_layout

ORIGIN = ('method', 'stream', 'layout', 'num_frames', 'epoch')
"""Facts of a checkpoint that are logged when its weights are loaded."""


class ResumableRunner(Runner):
    """mmengine's Runner with atomic checkpoints of builtin types and tensors, and exact resuming from them."""

    _load_from: str | None
    _resume: bool
    _start_from: str | None = None
    _accepted: Sequence[str] = ()
    _resumed: Sequence[Mapping[str, Any]] = ()

    @property
    def layout(self) -> str | list[str] | None:
        """Name of the config's layout, which may be a name or a definition; of several theirs."""
        layout = self.cfg.get('layout')
        if are_several(layout):
            return [get_layout(one).name for one in layout]
        return None if layout is None else get_layout(layout).name

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
        origin = ', '.join(f'{key} {meta[key]}' for key in ORIGIN if key in meta)
        self.logger.info(f'{filename}: {origin or "of unknown origin"}; {report}')
        self._has_loaded = True

    def _init_model_weights(self) -> None:
        """Initialise; the files that ``init_cfg`` names are read safely.

        Raises:
            CheckpointError: such a file is missing, damaged, or holds anything but tensors and plain values.
        """
        with only_door():
            super()._init_model_weights()

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
        device = default_device() if map_location == 'default' else map_location
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
            within = length - 1 if iteration > epoch * then else 0  # a checkpoint within an epoch stays within it
            iteration = min(round(iteration * length / then), epoch * length + within)
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
