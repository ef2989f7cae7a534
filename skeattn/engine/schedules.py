"""Learning rates over a training."""

import math
from typing import Any

from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler

from skeattn.engine.places import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(_ParamScheduler):  # type: ignore[misc]
    """A linear rise from 0, then half a cosine down to ``eta_min`` (masked autoencoders, MAMP, PSTL).

    At epoch e the rate is ``lr * e / warmup`` below ``warmup`` epochs, afterwards
    ``eta_min + (lr - eta_min) (1 + cos(pi (e - warmup) / (epochs - warmup))) / 2``. mmengine's LinearLR multiplies
    the last rate, so it cannot leave 0, and reaches its end one step early.

    In a config the rate changes in every iteration, e is fractional and the first iteration has lr 0; with
    ``by_epoch=True`` it changes in every epoch. ``epochs`` follows from ``train_cfg.max_epochs``.

    Args:
        optimizer: the wrapper of the optimiser.
        epochs: length of the training in steps of the schedule.
        warmup: length of the rise, likewise; may be fractional.
        eta_min: last rate of a parameter that trains with the optimiser's ``lr``. Where a parameter group has its own
            rate, the whole curve is scaled.
        begin, end, last_step, by_epoch, verbose: see mmengine's schedulers.
    """

    def __init__(
        self,
        optimizer: Any,
        epochs: int,
        warmup: float = 0,
        eta_min: float = 0.0,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.epochs, self.warmup = epochs, warmup
        self.lowest = eta_min / (getattr(optimizer, 'optimizer', optimizer).defaults['lr'] or 1)
        super().__init__(optimizer, 'lr', begin, end, last_step, by_epoch, verbose)

    @classmethod
    def build_iter_from_epoch(cls, *args: Any, epoch_length: int, **settings: Any) -> 'WarmupCosineLR':
        """A schedule by iteration from one by epoch, as ``convert_to_iter_based`` asks for."""
        for name in ('epochs', 'warmup', 'begin', 'end'):
            if settings.get(name, INF) != INF:
                settings[name] *= epoch_length
        return cls(*args, **(settings | {'by_epoch': False}))

    def _get_value(self) -> list[float]:
        """The rate of every parameter group."""
        factor = self.factor(self.last_step)
        return [base * factor for base in self.base_values]

    def factor(self, step: float) -> float:
        """The rate at a step in multiples of that without a schedule."""
        if step < self.warmup:
            return step / self.warmup
        done = min((step - self.warmup) / max(self.epochs - self.warmup, 1), 1.0)
        return self.lowest + (1 - self.lowest) * (1 + math.cos(math.pi * done)) / 2
