"""How a classifier does on clips that it is not trained on, epoch by epoch."""

from typing import Any

from mmengine.hooks import Hook

from skeattn.datasets.labelled import labelled_clips_of
from skeattn.engine.hooks.steps import curves
from skeattn.errors import ConfigError
from skeattn.evaluation.features import extract_features
from skeattn.evaluation.metrics import accuracy
from skeattn.registry import HOOKS


@HOOKS.register_module()
class AccuracyHook(Hook):
    """Accuracy of the classifier's logits on a data set every few epochs and after the last.

    The curves ``epoch`` (numbers of the epochs looked at, from 1) and ``top1`` (percent) go to the checkpoint of the
    epoch, so that a resumed training has all of them.

    Args:
        dataset: config of the data set.
        interval: epochs between two looks.
        batch_size: clips per forward pass.

    Raises:
        ConfigError: ``interval`` below 1.
    """

    # After the BatchNorm statistics are averaged, before the checkpoint is written.
    priority = 'LOW'

    def __init__(self, dataset: dict[str, Any], interval: int = 5, batch_size: int = 256) -> None:
        if interval < 1:
            raise ConfigError(f'AccuracyHook: interval={interval!r} must be at least 1 epoch')
        self.dataset, self.interval, self.batch_size = dataset, interval, batch_size

    def after_train_epoch(self, runner: Any) -> None:
        """Look, in all processes."""
        if not self.every_n_epochs(runner, self.interval) and not self.is_last_train_epoch(runner):
            return
        dataset = labelled_clips_of(runner.build_dataset(self.dataset))
        features = extract_features(runner.model, dataset, self.batch_size, 'logits')
        kept, top1 = curves(runner), accuracy(features.x, features.labels)
        kept.setdefault('epoch', []).append(runner.epoch + 1)
        kept.setdefault('top1', []).append(top1)
        runner.logger.info(f'epoch {runner.epoch + 1}: top1 {top1:.2f}')
