"""The epoch from which a method mines positives from its queue."""

from typing import Any

from mmengine.hooks import Hook

from skeattn.engine.hooks.steps import bare_model, without_work
from skeattn.errors import ConfigError
from skeattn.registry import HOOKS


@HOOKS.register_module()
class MiningHook(Hook):
    """Switch on the model's ``mining`` from a given epoch; resumed runs behave the same.

    Args:
        begin: epochs trained without mining, a whole number (the releases: 150 of 300); or, below 1, their share of
            all epochs.

    Raises:
        ConfigError: negative ``begin``, a fraction above 1, or a model that does not mine.
    """

    def __init__(self, begin: float = 0.5) -> None:
        if begin < 0 or (begin > 1 and begin != int(begin)):
            raise ConfigError(f'MiningHook: begin={begin!r} must be a number of epochs, or a share of them below 1')
        self.begin = begin

    def before_train(self, runner: Any) -> None:
        """Check that the model can mine."""
        if not hasattr(bare_model(runner), 'mining'):
            raise without_work(runner, 'mining', 'mines no positives')

    def before_train_epoch(self, runner: Any) -> None:
        """Set ``mining`` for this epoch."""
        begin = self.begin * runner.max_epochs if 0 < self.begin < 1 else self.begin
        bare_model(runner).mining = runner.epoch >= begin
