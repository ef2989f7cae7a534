"""The time at which keys enter the queue."""

from typing import Any

from mmengine.hooks import Hook

from skeattn.engine.hooks.steps import bare_model, micro_batches, stepped, without_work
from skeattn.models.queue import queues_of
from skeattn.registry import HOOKS


@HOOKS.register_module()
class QueueUpdateHook(Hook):
    """Enqueue the staged keys of all processes once per optimiser step, so that its micro-batches see one queue.

    This applies to every :class:`~skeattn.models.queue.FeatureQueue` of the model.

    Raises:
        ConfigError: the model has no queue.
    """

    priority = 'ABOVE_NORMAL'

    def before_train(self, runner: Any) -> None:
        """Find the queues, and set the number of batches of keys that a step stages."""
        self.queues = queues_of(bare_model(runner))
        if not self.queues:
            raise without_work(runner, 'queue', 'has no queue')
        for queue in self.queues:
            queue.micro_batches = micro_batches(runner)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Flush when the optimiser has stepped."""
        for queue in self.queues if stepped(runner) else ():
            queue.flush()
