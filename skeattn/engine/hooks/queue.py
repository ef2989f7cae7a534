"""When keys enter the memory bank."""

from typing import Any

from mmengine.hooks import Hook

from skeattn.engine.hooks.steps import bare_model, micro_batches, stepped
from skeattn.errors import ConfigError
from skeattn.registry import HOOKS


@HOOKS.register_module()
class QueueUpdateHook(Hook):
    """Enqueue the staged keys of all processes once per optimiser step, so that its micro-batches see one queue.

    Raises:
        ConfigError: the model has no queue.
    """

    priority = 'ABOVE_NORMAL'

    def before_train(self, runner: Any) -> None:
        """Say how many batches of keys a step stages."""
        model = bare_model(runner)
        if not hasattr(model, 'update_queue'):
            raise ConfigError(f'{type(model).__name__} has no queue; remove the hook: default_hooks.queue=None')
        model.expect_micro_batches(micro_batches(runner))

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Flush when the optimiser has stepped."""
        if stepped(runner):
            bare_model(runner).update_queue()
