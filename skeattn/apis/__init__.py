"""Use a trained encoder without the training tools."""

from skeattn.apis.checkpoint import load_checkpoint, read_checkpoint
from skeattn.apis.inference import build_splits, embed, load_model

__all__ = ['build_splits', 'embed', 'load_checkpoint', 'load_model', 'read_checkpoint']
