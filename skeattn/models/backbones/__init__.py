"""Encoders E: clips ``(N, M, C, T, V)`` to feature maps ``(N, M, C', T', V')``."""

from skeattn.models.backbones.stgcn import STGCN

__all__ = ['STGCN']
