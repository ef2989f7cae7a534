"""Preprocessor, backbones, necks, heads, losses and the algorithms made of them."""

from skeattn.models.algorithms import MomentumContrast, SkeAttnCLR, SkeletonCLR
from skeattn.models.backbones import STGCN
from skeattn.models.heads import LinearHead
from skeattn.models.losses import InfoNCE
from skeattn.models.necks import MHSAM, MLP
from skeattn.models.preprocessor import SkeletonPreprocessor
from skeattn.models.queue import FeatureQueue

__all__ = [
    'MHSAM',
    'MLP',
    'STGCN',
    'FeatureQueue',
    'InfoNCE',
    'LinearHead',
    'MomentumContrast',
    'SkeAttnCLR',
    'SkeletonCLR',
    'SkeletonPreprocessor',
]
