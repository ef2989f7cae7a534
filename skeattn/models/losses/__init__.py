"""Losses: pure functions with thin registered modules."""

from skeattn.models.losses.contrast import (
    first_positive,
    follow,
    mean_of_logs,
    mined_info_nce,
    nearest,
    similarities,
)
from skeattn.models.losses.info_nce import InfoNCE, info_nce

__all__ = [
    'InfoNCE',
    'first_positive',
    'follow',
    'info_nce',
    'mean_of_logs',
    'mined_info_nce',
    'nearest',
    'similarities',
]
