"""One file per method; the shared base classes are in base."""

from skeattn.models.algorithms.aimclr import AimCLR
from skeattn.models.algorithms.base import EncoderPretraining, MomentumContrast, MomentumPretraining, Pretraining
from skeattn.models.algorithms.crossclr import CrosSCLR
from skeattn.models.algorithms.hiclr import HiCLR
from skeattn.models.algorithms.mamp import MAMP
from skeattn.models.algorithms.pstl import PSTL
from skeattn.models.algorithms.recognizer import Recognizer
from skeattn.models.algorithms.skeattnclr import SkeAttnCLR
from skeattn.models.algorithms.skelemixclr import SkeleMixCLR
from skeattn.models.algorithms.skeletonclr import SkeletonCLR
from skeattn.models.algorithms.slim import SLiM
from skeattn.models.algorithms.stars import STARS

__all__ = [
    'MAMP',
    'PSTL',
    'STARS',
    'AimCLR',
    'CrosSCLR',
    'EncoderPretraining',
    'HiCLR',
    'MomentumContrast',
    'MomentumPretraining',
    'Pretraining',
    'Recognizer',
    'SLiM',
    'SkeAttnCLR',
    'SkeleMixCLR',
    'SkeletonCLR',
]
