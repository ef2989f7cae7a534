"""Writing checkpoints, removing old ones, and keeping the best."""

import json
import time
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook

from skeattn.checkpoint import EPOCH_FILE, LAST, epoch_files
from skeattn.engine.accumulation import pending_state
from skeattn.errors import CheckpointError, ConfigError
from skeattn.files import write_text
from skeattn.registry import HOOKS


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Keep the newest epochs and the best ones, never removing a file before its successor is whole.

    ``epoch_N.pth`` holds everything needed to resume, ``last_checkpoint`` the name of the newest (a bare name, so that
    a copied folder resumes from itself), ``best_<metric>.pth`` the weights of the best evaluation, ``best.json`` which
    epoch that was.

    Args:
        interval: epochs between checkpoints; the last epoch is always written.
        minutes: for long runs of short epochs: write the first epoch that ends at least so many minutes after the last
            checkpoint, or after the start, instead of every ``interval`` epochs.
        max_keep: how many epochs to keep.
        save_best: metric or metrics of which to keep the best weights, for example ``'knn/top1_k20'``; larger is
            better.

    Raises:
        ConfigError: an evaluation does not deliver the metric.
    """

    priority = 'VERY_LOW'
    clock = staticmethod(time.monotonic)

    def __init__(
        self,
        interval: int = 1,
        max_keep: int = 2,
        save_best: str | list[str] | None = None,
        minutes: float | None = None,
    ) -> None:
        if interval < 1 or max_keep < 1:
            raise ConfigError(f'SafeCheckpointHook: interval={interval} and max_keep={max_keep} must be at least 1')
        if minutes is not None and minutes <= 0:
            raise ConfigError(f'SafeCheckpointHook: minutes={minutes} must be above 0')
        self.interval, self.max_keep, self.minutes = interval, max_keep, minutes
        self.written = self.clock()
        self.metrics = [save_best] if isinstance(save_best, str) else list(save_best or [])
        self.best: dict[str, dict[str, Any]] = {}

    def before_train(self, runner: Any) -> None:
        """Read the best scores when resuming; those of an earlier run do not count."""
        self.best, self.written = {}, self.clock()
        record = Path(runner.work_dir) / 'best.json'
        if runner.iter > 0 and record.is_file():
            try:
                entries = json.loads(record.read_text())
            except ValueError as error:
                raise CheckpointError(f'{record} is damaged ({error}); remove it') from error
            self.best = {metric: entry for metric, entry in entries.items() if entry['epoch'] <= runner.epoch}
        elif runner.iter == 0 and epoch_files(Path(runner.work_dir)):
            runner.logger.warning(
                f'{runner.work_dir} holds checkpoints of an earlier run, which this run replaces one by one; '
                f'--resume would have continued it'
            )
        evaluators = runner.val_loop.evaluator if runner.val_loop is not None else self.metrics
        for metric in self.metrics:
            if metric.split('/')[0] not in [name.split('/')[0] for name in evaluators]:
                raise ConfigError(
                    f'default_hooks.checkpoint.save_best={metric!r}, but evaluation.evaluators has only '
                    f'{", ".join(evaluators)}; change save_best, or set it to None'
                )

    def after_train_epoch(self, runner: Any) -> None:
        """Write the epoch's checkpoint if one is due, point to it, then drop those that are too old."""
        if not self._is_due(runner):
            return
        epoch = runner.epoch + 1
        name = EPOCH_FILE.format(epoch)
        pending = pending_state(runner)  # of all processes, so before the first one writes
        runner.save_checkpoint(runner.work_dir, name, meta={'epoch': epoch, 'iter': runner.iter}, pending=pending)
        self.written = self.clock()
        if not is_main_process():
            return
        work_dir = Path(runner.work_dir)
        write_text(work_dir / LAST, name)
        files = epoch_files(work_dir)
        for old in sorted(e for e in files if e <= epoch)[: -self.max_keep]:
            files[old].unlink()
        runner.logger.info(f'saved {work_dir / name}')

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
            if metrics[metric] > self.best.get(metric, {}).get('score', float('-inf')):
                self._keep_best(runner, metric, metrics[metric])

    def _keep_best(self, runner: Any, metric: str, score: float) -> None:
        name = f'best_{metric.replace("/", "_")}.pth'
        self.best[metric] = {'score': float(score), 'epoch': runner.epoch, 'file': name}
        runner.save_checkpoint(
            runner.work_dir,
            name,
            save_optimizer=False,
            save_param_scheduler=False,
            meta={'epoch': runner.epoch, 'iter': runner.iter, 'metric': metric, 'score': float(score)},
        )
        if is_main_process():
            write_text(Path(runner.work_dir) / 'best.json', json.dumps(self.best, indent=2))
        runner.logger.info(f'{metric} {score:.2f} is the best so far: {name}')
