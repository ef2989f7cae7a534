"""The temperature of a teacher over a training."""

from typing import Any

from mmengine.hooks import Hook

from skeattn.engine.hooks.steps import bare_model, without_work
from skeattn.errors import ConfigError
from skeattn.registry import HOOKS


@HOOKS.register_module()
class TeacherTemperatureHook(Hook):
    """Set the model's ``teacher_temperature`` in every iteration: it rises linearly, then stays (DINO, SLiM).

    The value depends on the iteration alone, so a resumed run continues with it.

    Args:
        begin, end: first and last temperature.
        rise: share of the training after which the last one is reached; as released, 30 of 150 epochs.

    Raises:
        ConfigError: a temperature that is not positive, a share outside [0, 1], or a model without teacher temperature.
    """

    def __init__(self, begin: float = 0.04, end: float = 0.07, rise: float = 0.2) -> None:
        if not (begin > 0 and end > 0 and 0 <= rise <= 1):
            raise ConfigError(
                f'TeacherTemperatureHook: begin={begin}, end={end}, rise={rise}: temperatures must be above 0, and '
                f'rise, a share of the training, must lie in [0, 1]'
            )
        self.begin, self.end, self.rise = begin, end, rise

    def before_train(self, runner: Any) -> None:
        """Check that the model has a teacher with a temperature."""
        if not hasattr(bare_model(runner), 'teacher_temperature'):
            raise without_work(runner, 'temperature', 'has no teacher_temperature')

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Set the temperature of this iteration."""
        bare_model(runner).teacher_temperature.fill_(self.temperature(runner))

    def temperature(self, runner: Any) -> float:
        """The temperature at the Runner's current iteration."""
        done = min(runner.iter / max(self.rise * runner.max_iters, 1), 1.0)
        return self.begin + (self.end - self.begin) * done
