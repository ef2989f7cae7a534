"""Hooks decide when state changes; the models compute the new state."""

from skeattn.engine.hooks.accuracy import AccuracyHook
from skeattn.engine.hooks.bn_statistics import AverageBNStatsHook
from skeattn.engine.hooks.checkpoint import SafeCheckpointHook
from skeattn.engine.hooks.early_stopping import EarlyStoppingHook
from skeattn.engine.hooks.mining import MiningHook
from skeattn.engine.hooks.momentum import MomentumUpdateHook
from skeattn.engine.hooks.non_finite import NonFiniteHook
from skeattn.engine.hooks.plateau import LossScheduleHook
from skeattn.engine.hooks.queue import QueueUpdateHook
from skeattn.engine.hooks.randomness import RandomnessHook
from skeattn.engine.hooks.temperature import TeacherTemperatureHook

__all__ = [
    'AccuracyHook',
    'AverageBNStatsHook',
    'EarlyStoppingHook',
    'LossScheduleHook',
    'MiningHook',
    'MomentumUpdateHook',
    'NonFiniteHook',
    'QueueUpdateHook',
    'RandomnessHook',
    'SafeCheckpointHook',
    'TeacherTemperatureHook',
]
