"""Writing checkpoints, removing old ones, and keeping the best."""

import json
import time
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from pydantic import BaseModel, NonNegativeInt, TypeAdapter, ValidationError

from skeattn.checkpoint import EPOCH_FILE, ITERATION_FILE, LAST, Progress, checkpoint_files
from skeattn.engine.accumulation import pending_state, unfinished_epoch
from skeattn.engine.hooks.metrics import check_metric
from skeattn.engine.processes import process_states
from skeattn.errors import CheckpointError, ConfigError, Interrupted, StorageError
from skeattn.files import write_text
from skeattn.registry import HOOKS


class _Best(BaseModel):
    """The best evaluation by a metric."""

    score: float
    epoch: NonNegativeInt
    file: str


_BEST = TypeAdapter(dict[str, _Best])


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Keep the newest epochs and the best ones, never removing a file before its successor is whole.

    ``epoch_N.pth`` holds everything needed to resume, and so does ``epoch_N_iter_I.pth``, written within the epoch
    after N, after I iterations in all. ``last_checkpoint`` has the name of the newest (a bare name, so that a copied
    folder resumes from itself), ``best_<metric>.pth`` the weights of the best evaluation, ``best.json`` which epoch
    that was. A training that receives a signal is written after the present iteration, and ends.

    Args:
        interval: epochs between checkpoints; the last epoch is always written.
        minutes: for long runs of short epochs: write the first epoch that ends at least so many minutes after the last
            checkpoint, or after the start, instead of every ``interval`` epochs.
        iterations: also write every so many iterations, for epochs that take hours.
        max_keep: how many of these files to keep.
        on_full: ``'stop'`` ends the training where a checkpoint cannot be written, for want of space for example;
            ``'continue'`` goes on with a warning, and the next checkpoint is tried again. Earlier ones are untouched.
        save_best: metric or metrics of which to keep the best weights, for example ``'knn/top1_k20'``; larger is
            better.

    Raises:
        ConfigError: an evaluation does not deliver the metric, or a number below 1.
        Interrupted: a signal ends the training.
    """

    priority = 'VERY_LOW'
    clock = staticmethod(time.monotonic)

    def __init__(
        self,
        interval: int = 1,
        max_keep: int = 2,
        save_best: str | list[str] | None = None,
        minutes: float | None = None,
        iterations: int | None = None,
        on_full: str = 'stop',
    ) -> None:
        if on_full not in ('stop', 'continue'):
            raise ConfigError(f'SafeCheckpointHook: on_full={on_full!r}; choose "stop" or "continue"')
        if min(interval, max_keep, iterations or 1) < 1 or iterations == 0:
            raise ConfigError(
                f'SafeCheckpointHook: interval={interval}, max_keep={max_keep} and iterations={iterations} must be at '
                f'least 1'
            )
        if minutes is not None and minutes <= 0:
            raise ConfigError(f'SafeCheckpointHook: minutes={minutes} must be above 0')
        self.interval, self.max_keep, self.minutes, self.iterations = interval, max_keep, minutes, iterations
        self.on_full = on_full
        self.written = self.clock()
        self.metrics = [save_best] if isinstance(save_best, str) else list(save_best or [])
        self.best: dict[str, dict[str, Any]] = {}
        self.latest: dict[str, tuple[float, int]] = {}
        self.last: Progress = 0, 0

    def before_train(self, runner: Any) -> None:
        """Read the best scores when resuming; those of an earlier run do not count."""
        self.best, self.latest, self.written = {}, {}, self.clock()
        self.last = (runner.epoch, 0) if runner.iter else (0, 0)
        record = Path(runner.work_dir) / 'best.json'
        if runner.iter > 0 and record.is_file():
            try:
                entries = _BEST.validate_json(record.read_bytes())
            except ValidationError as error:
                first = error.errors()[0]
                place = '.'.join(map(str, first['loc'])) or 'its content'
                raise CheckpointError(f'{record} is damaged: {place}: {first["msg"]}; remove it') from None
            self.best = {name: entry.model_dump() for name, entry in entries.items() if entry.epoch <= runner.epoch}
        elif runner.iter == 0 and checkpoint_files(Path(runner.work_dir)):
            runner.logger.warning(
                f'{runner.work_dir} holds checkpoints of an earlier run, which this run replaces one by one; '
                f'--resume would have continued it'
            )
        for metric in self.metrics if runner.val_loop is not None else ():
            check_metric(runner, 'default_hooks.checkpoint.save_best', metric, 'change save_best, or set it to None')

    def before_train_epoch(self, runner: Any) -> None:
        """From here on a signal waits for the end of the iteration."""
        runner.stop.deferred = True

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Write a checkpoint within the epoch if one is due or a signal asks for the end."""
        iteration = runner.iter + 1
        signal = runner.stop.requested(iteration)
        if signal or (self.iterations and iteration % self.iterations == 0):
            self._write(runner, (runner.epoch, iteration))
        if signal:
            raise Interrupted(number=signal)

    def after_train_epoch(self, runner: Any) -> None:
        """Write the epoch's checkpoint if one is due or a signal asks for the end."""
        signal = runner.stop.requested()
        if signal or self._is_due(runner):
            self._write(runner, (runner.epoch + 1, 0))
        if signal:
            raise Interrupted(number=signal)
        runner.stop.deferred = False

    def after_train(self, runner: Any) -> None:
        """Write the last epoch of a training that a hook has ended early."""
        if self.last < (runner.epoch, 0):
            self._write(runner, (runner.epoch, 0))

    def _write(self, runner: Any, progress: Progress) -> None:
        """Write a checkpoint, point to it, then drop those that are too old."""
        self.last, (epoch, iteration) = progress, progress
        name = ITERATION_FILE.format(*progress) if iteration else EPOCH_FILE.format(epoch)
        # of all processes, so before the first one writes
        state = {
            'pending': pending_state(runner),
            'unfinished': unfinished_epoch(runner) if iteration else None,
            'processes': process_states(runner),
        }
        meta = {'epoch': epoch, 'iter': iteration or runner.iter}
        work_dir = Path(runner.work_dir)
        try:
            runner.save_checkpoint(runner.work_dir, name, meta=meta, **state)
            self.written = self.clock()
            if not is_main_process():
                return
            write_text(work_dir / LAST, name)
        except StorageError as error:
            self._go_on(runner, error)
            return
        files = checkpoint_files(work_dir)
        for old in sorted(earlier for earlier in files if earlier <= progress)[: -self.max_keep]:
            files[old].unlink()
        runner.logger.info(f'saved {work_dir / name}')

    def _go_on(self, runner: Any, error: StorageError) -> None:
        """Without the checkpoint that could not be written, if ``on_full`` says so."""
        if self.on_full == 'stop':
            raise error
        runner.logger.warning(f'{error}; the training goes on, and the next checkpoint is tried again')

    def _is_due(self, runner: Any) -> bool:
        """Whether this epoch is written, the same in all processes."""
        if self.is_last_train_epoch(runner):
            return True
        if self.minutes is None:
            return self.every_n_epochs(runner, self.interval)
        due = [self.clock() - self.written >= 60 * self.minutes]
        broadcast_object_list(due)  # the first process decides: clocks differ
        return due[0]

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Keep the weights of a better evaluation."""
        if not self.metrics or metrics is None or isinstance(runner._train_loop, dict | None):
            return
        for metric in self.metrics:
            if metric not in metrics:
                raise ConfigError(
                    f'default_hooks.checkpoint.save_best={metric!r} is not among the metrics {", ".join(metrics)}'
                )
            self.latest[metric] = float(metrics[metric]), runner.epoch
            if metrics[metric] > self.best.get(metric, {}).get('score', float('-inf')):
                self._keep_best(runner, metric, metrics[metric])

    def _keep_best(self, runner: Any, metric: str, score: float) -> None:
        name = f'best_{metric.replace("/", "_")}.pth'
        best = {**self.best, metric: {'score': float(score), 'epoch': runner.epoch, 'file': name}}
        meta = {'epoch': runner.epoch, 'iter': runner.iter, 'metric': metric, 'score': float(score)}
        try:
            runner.save_checkpoint(runner.work_dir, name, save_optimizer=False, save_param_scheduler=False, meta=meta)
            if is_main_process():
                write_text(Path(runner.work_dir) / 'best.json', json.dumps(best, indent=2))
        except StorageError as error:
            self._go_on(runner, error)
            return
        self.best = best
        runner.logger.info(f'{metric} {score:.2f} is the best so far: {name}')
