"""Modules between a feature map and the losses: projector and predictor (MLP), attention mask (MHSAM), EADM."""

from skeattn.models.necks.attention_drop import AttentionDrop
from skeattn.models.necks.mhsam import MHSAM
from skeattn.models.necks.mlp import MLP

__all__ = ['MHSAM', 'MLP', 'AttentionDrop']
