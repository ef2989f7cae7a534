"""One file per method; what they share is in base."""

from skeattn.models.algorithms.base import MomentumContrast
from skeattn.models.algorithms.skeattnclr import SkeAttnCLR
from skeattn.models.algorithms.skeletonclr import SkeletonCLR

__all__ = ['MomentumContrast', 'SkeAttnCLR', 'SkeletonCLR']
