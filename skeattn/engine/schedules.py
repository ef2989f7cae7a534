"""Learning rates and weight decay over a training."""

import math
from typing import Any

from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler

from skeattn.engine.places import PARAM_SCHEDULERS


class WarmupCosine(_ParamScheduler):  # type: ignore[misc]
    """A linear rise from 0, then half a cosine to ``last``, of a setting of the optimiser.

    In a config the setting changes in every iteration and epochs are fractional; with ``by_epoch=True`` it changes in
    every epoch. ``epochs`` follows from ``train_cfg.max_epochs``. Where a parameter group has its own value, the whole
    curve is scaled.

    Args:
        optimizer: the wrapper of the optimiser.
        setting: its name in the parameter groups.
        last: last value of a parameter with the optimiser's value.
        epochs: length of the training in steps of the schedule.
        warmup: length of the rise, likewise; may be fractional.
        begin, end, last_step, by_epoch, verbose: see mmengine's schedulers.

    Attributes:
        epoch_length: steps of the schedule per epoch.
    """

    epoch_length = 1

    def __init__(
        self,
        optimizer: Any,
        setting: str,
        last: float,
        epochs: int,
        warmup: float = 0,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.epochs, self.warmup = epochs, warmup
        self.lowest = last / (getattr(optimizer, 'optimizer', optimizer).defaults[setting] or 1)
        super().__init__(optimizer, setting, begin, end, last_step, by_epoch, verbose)

    @classmethod
    def build_iter_from_epoch(cls, *args: Any, epoch_length: int, **settings: Any) -> 'WarmupCosine':
        """A schedule by iteration from one by epoch, as ``convert_to_iter_based`` asks for."""
        for name in ('epochs', 'warmup', 'begin', 'end'):
            if settings.get(name, INF) != INF:
                settings[name] *= epoch_length
        schedule = cls(*args, **(settings | {'by_epoch': False}))
        schedule.epoch_length = epoch_length
        return schedule

    def _get_value(self) -> list[float]:
        """The value of every parameter group."""
        factor = self.factor(self.last_step)
        return [base * factor for base in self.base_values]

    def factor(self, step: float) -> float:
        """The value at a step in multiples of that without a schedule."""
        if step < self.warmup:
            return step / self.warmup
        done = min((step - self.warmup) / max(self.epochs - self.warmup, 1), 1.0)
        return self.lowest + (1 - self.lowest) * (1 + math.cos(math.pi * done)) / 2


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(WarmupCosine):
    """Learning rates with warm-up and cosine decay (masked autoencoders, MAMP, PSTL, SLiM).

    At epoch e the rate is ``lr * e / warmup`` below ``warmup`` epochs, afterwards
    ``eta_min + (lr - eta_min) (1 + cos(pi (e - warmup) / (epochs - warmup))) / 2``. mmengine's LinearLR multiplies
    the last rate, so it cannot leave 0, and reaches its end one step early.

    The first iteration has lr 0. A parameter group with ``held=h``, from ``paramwise_cfg.custom_keys``, has lr 0 during
    the first h epochs (DINO's last layer).

    Args:
        optimizer, epochs, warmup, begin, end, last_step, by_epoch, verbose: see :class:`WarmupCosine`.
        eta_min: last rate of a parameter that trains with the optimiser's ``lr``.
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
        super().__init__(optimizer, 'lr', eta_min, epochs, warmup, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[float]:
        """The rate of every parameter group."""
        groups = self.optimizer.param_groups
        held = [self.last_step < group.get('held', 0) * self.epoch_length for group in groups]
        return [0.0 if waits else rate for waits, rate in zip(held, super()._get_value(), strict=True)]


@PARAM_SCHEDULERS.register_module()
class CosineWeightDecay(WarmupCosine):
    """Weight decay along half a cosine, from the optimiser's to ``last`` (DINO, SLiM).

    Parameters without weight decay, by ``paramwise_cfg``, remain without.

    Args:
        optimizer, epochs, begin, end, last_step, by_epoch, verbose: see :class:`WarmupCosine`.
        last: the last weight decay.
    """

    def __init__(
        self,
        optimizer: Any,
        epochs: int,
        last: float,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        super().__init__(optimizer, 'weight_decay', last, epochs, 0, begin, end, last_step, by_epoch, verbose)


def cut_schedules(schedules: Any, epochs: int, length: float) -> Any:
    """``param_scheduler`` for a training that ends earlier: schedules of its whole length end with it.

    Args:
        schedules: a config, a list of them, or schedules.
        epochs: ``train_cfg.max_epochs``, which is the ``epochs`` or ``T_max`` of a schedule of the whole length.
        length: epochs of the training, fewer where ``max_iters`` cuts it. Schedules of mmengine, which count whole
            epochs, end with the last one begun.
    """
    if isinstance(schedules, list | tuple):
        return [cut_schedules(schedule, epochs, length) for schedule in schedules]
    if not isinstance(schedules, dict) or length >= epochs:
        return schedules
    ends = {'epochs': length, 'T_max': math.ceil(length)}
    return {**schedules, **{key: end for key, end in ends.items() if schedules.get(key) == epochs}}
