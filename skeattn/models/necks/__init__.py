"""Modules between encoder and losses: projector and predictor (MLP), attention mask (MHSAM), EADM, decoder, head."""

from skeattn.models.necks.attention_drop import AttentionDrop
from skeattn.models.necks.mhsam import MHSAM
from skeattn.models.necks.mlp import MLP
from skeattn.models.necks.prototypes import PrototypeHead
from skeattn.models.necks.token_decoder import TokenDecoder

__all__ = ['MHSAM', 'MLP', 'AttentionDrop', 'PrototypeHead', 'TokenDecoder']
