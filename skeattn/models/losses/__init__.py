"""Losses: pure functions with thin registered modules."""

from skeattn.models.losses.barlow_twins import barlow_twins, cross_correlation
from skeattn.models.losses.contrast import (
    candidate_similarities,
    first_positive,
    follow,
    l2_normalize,
    mean_of_logs,
    mined_info_nce,
    nearest_keys,
    similarities,
)
from skeattn.models.losses.distillation import distillation, koleo, sinkhorn
from skeattn.models.losses.info_nce import InfoNCE, info_nce, matched_info_nce

__all__ = [
    'InfoNCE',
    'barlow_twins',
    'candidate_similarities',
    'cross_correlation',
    'distillation',
    'first_positive',
    'follow',
    'info_nce',
    'koleo',
    'l2_normalize',
    'matched_info_nce',
    'mean_of_logs',
    'mined_info_nce',
    'nearest_keys',
    'similarities',
    'sinkhorn',
]
