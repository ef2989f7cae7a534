"""Classification heads."""

from skeattn.models.heads.linear import LinearHead

__all__ = ['LinearHead']
