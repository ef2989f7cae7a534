"""Backbones E, from clips ``(N, M, C, T, V)`` to feature maps ``(N, M', C', T', V')``; see contract."""

from skeattn.models.backbones.agcn import AGCN
from skeattn.models.backbones.bigru import BIGRU
from skeattn.models.backbones.ctrgcn import CTRGCN
from skeattn.models.backbones.dsta import DSTA
from skeattn.models.backbones.rotary import RotaryTransformer
from skeattn.models.backbones.stgcn import STGCN
from skeattn.models.backbones.stgcnpp import STGCNPP
from skeattn.models.backbones.transformer import SkeletonTransformer

__all__ = ['AGCN', 'BIGRU', 'CTRGCN', 'DSTA', 'STGCN', 'STGCNPP', 'RotaryTransformer', 'SkeletonTransformer']
