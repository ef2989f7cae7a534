"""Ending a training when its evaluations improve no more."""

import json
from math import inf
from pathlib import Path
from typing import Any

import mmengine.hooks
from mmengine.dist import broadcast_object_list, is_main_process
from pydantic import TypeAdapter, ValidationError

from skeattn.engine.hooks.metrics import check_metric
from skeattn.errors import CheckpointError, ConfigError, StorageError
from skeattn.files import write_text
from skeattn.registry import HOOKS

MONITOR = 'custom_hooks: EarlyStoppingHook.monitor'
_SCORES = TypeAdapter(dict[int, float])


@HOOKS.register_module()
class EarlyStoppingHook(mmengine.hooks.EarlyStoppingHook):
    """mmengine's hook of this name, which a resumed training continues, and whose metric is known to exist.

    The scores of all evaluations are in ``early_stopping.json`` in the work_dir; the decision follows from them alone.
    The arguments are those of mmengine's hook; a metric that is missing is always an error.

    Raises:
        ConfigError: an evaluation does not deliver the metric.
        CheckpointError: ``early_stopping.json`` is damaged.
    """

    FILE = 'early_stopping.json'

    def before_train(self, runner: Any) -> None:
        """Check the metric, and decide by the evaluations before a resumed epoch."""
        check_metric(runner, MONITOR, self.monitor, 'change it, or remove the hook')
        path = Path(runner.work_dir) / self.FILE
        shared: list[Any] = [path.read_bytes() if is_main_process() and runner.iter and path.is_file() else b'{}']
        broadcast_object_list(shared)
        try:
            scores = _SCORES.validate_json(shared[0])
        except ValidationError as error:
            raise CheckpointError(f'{path} is damaged: {error.errors()[0]["msg"]}; remove it') from None
        self.scores = {epoch: score for epoch, score in scores.items() if epoch <= runner.epoch}
        self._decide(runner)

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Keep the score and decide."""
        if not metrics or isinstance(runner._train_loop, dict | None):
            return
        if self.monitor not in metrics:
            raise ConfigError(f'{MONITOR}={self.monitor!r} is not among the metrics {", ".join(metrics)}')
        self.scores[runner.epoch] = float(metrics[self.monitor])
        if is_main_process():
            try:
                write_text(Path(runner.work_dir) / self.FILE, json.dumps(self.scores) + '\n')
            except StorageError as error:  # a resumed run then counts from its own evaluations
                runner.logger.warning(f'{error}; the training goes on')
        self._decide(runner)

    def _decide(self, runner: Any) -> None:
        self.best_score, self.wait_count = -inf if self.rule == 'greater' else inf, 0
        for epoch, score in sorted(self.scores.items()):
            stop, reason = self._check_stop_condition(score)
            if stop:
                runner.train_loop.stop_training = True
                runner.logger.info(f'the training ends early, by its evaluation after epoch {epoch}: {reason.strip()}')
                return
