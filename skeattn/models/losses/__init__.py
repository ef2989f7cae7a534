"""Losses: pure functions with thin registered modules."""

from skeattn.models.losses.info_nce import InfoNCE, info_nce

__all__ = ['InfoNCE', 'info_nce']
