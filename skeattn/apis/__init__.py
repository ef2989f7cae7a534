"""Use a trained encoder without the training tools."""

from skeattn.apis.inference import embed
from skeattn.checkpoint import load_checkpoint, read_checkpoint
from skeattn.engine.build import build_splits, config_of, load_model

__all__ = ['build_splits', 'config_of', 'embed', 'load_checkpoint', 'load_model', 'read_checkpoint']
