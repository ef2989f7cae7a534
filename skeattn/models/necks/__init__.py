"""What stands between a feature map and the losses: projector and predictor (MLP), attention mask (MHSAM)."""

from skeattn.models.necks.mhsam import MHSAM
from skeattn.models.necks.mlp import MLP

__all__ = ['MHSAM', 'MLP']
