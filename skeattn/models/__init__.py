"""Preprocessor, backbones, necks, heads, losses and the algorithms built from them."""

from skeattn.models.algorithms import (
    MAMP,
    PSTL,
    STARS,
    AimCLR,
    CrosSCLR,
    EncoderPretraining,
    HiCLR,
    MomentumContrast,
    MomentumPretraining,
    Pretraining,
    Recognizer,
    SkeAttnCLR,
    SkeleMixCLR,
    SkeletonCLR,
    SLiM,
)
from skeattn.models.backbones import BIGRU, DSTA, STGCN, RotaryTransformer
from skeattn.models.edges import DropAddEdges
from skeattn.models.encoder import Encoder
from skeattn.models.heads import LinearHead, MLPHead
from skeattn.models.losses import InfoNCE
from skeattn.models.momentum import key_copy
from skeattn.models.necks import MHSAM, MLP, AttentionDrop, PrototypeHead, TokenDecoder
from skeattn.models.preprocessor import SkeletonPreprocessor
from skeattn.models.queue import FeatureQueue

__all__ = [
    'BIGRU',
    'DSTA',
    'MAMP',
    'MHSAM',
    'MLP',
    'PSTL',
    'STARS',
    'STGCN',
    'AimCLR',
    'AttentionDrop',
    'CrosSCLR',
    'DropAddEdges',
    'Encoder',
    'EncoderPretraining',
    'FeatureQueue',
    'HiCLR',
    'InfoNCE',
    'LinearHead',
    'MLPHead',
    'MomentumContrast',
    'MomentumPretraining',
    'Pretraining',
    'PrototypeHead',
    'Recognizer',
    'RotaryTransformer',
    'SLiM',
    'SkeAttnCLR',
    'SkeleMixCLR',
    'SkeletonCLR',
    'SkeletonPreprocessor',
    'TokenDecoder',
    'key_copy',
]
