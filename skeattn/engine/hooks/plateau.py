"""Learning rates that are lowered when the training loss stalls."""

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import ParamSchedulerHook

from skeattn.engine.hooks.steps import EPOCH_LOSSES, curves
from skeattn.registry import HOOKS


@HOOKS.register_module()
class LossScheduleHook(ParamSchedulerHook):
    """mmengine's hook, but a schedule that waits for a plateau (``ReduceOnPlateauLR``) watches the training loss.

    mmengine's hook steps it with the metrics of an evaluation: test metrics, since there is no validation set.
    The loss is its mean over the batches of an epoch and over all processes; the curves ``loss`` and ``lr`` (that of
    the epoch) keep it, one value per epoch, and checkpoints keep the curves.
    """

    def before_train_epoch(self, runner: Any) -> None:
        """Start an epoch's mean, or continue that of a resumed one."""
        hub = runner.message_hub
        self._losses: list[torch.Tensor] = hub.runtime_info.get(EPOCH_LOSSES) or []
        hub.update_info(EPOCH_LOSSES, self._losses)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Record the loss."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if outputs:  # empty where the iteration was undone
            self._losses.append(torch.as_tensor(outputs['loss']).detach().double())

    def after_train_epoch(self, runner: Any) -> None:
        """Step all schedules that count epochs, those that wait for a plateau with the epoch's loss."""
        mean = torch.stack(self._losses or [torch.tensor(float('nan'))]).mean()
        runner.message_hub.update_info(EPOCH_LOSSES, [])
        all_reduce(mean, op='mean')
        history = curves(runner)
        history.setdefault('loss', []).append(mean.item())
        history.setdefault('lr', []).append(runner.optim_wrapper.get_lr()['lr'][0])
        super().after_train_epoch(runner)
        for scheduler in runner.param_schedulers or []:
            if getattr(scheduler, 'need_val_args', False):
                scheduler.step({scheduler.monitor: mean.item()})

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """No schedule follows an evaluation."""
