"""Classification heads."""

from skeattn.models.heads.linear import LinearHead
from skeattn.models.heads.mlp import MLPHead

__all__ = ['LinearHead', 'MLPHead']
