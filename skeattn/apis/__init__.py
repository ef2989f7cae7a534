"""Use a trained encoder without the training tools."""

from skeattn.apis.encoder import TrainedEncoder, load_encoder
from skeattn.apis.few_shot import FewShotClassifier
from skeattn.apis.inference import embed
from skeattn.apis.predictions import Predictions
from skeattn.apis.retrieval import Bank, Neighbour
from skeattn.apis.sliding_window import SlidingWindow
from skeattn.checkpoint import load_checkpoint, read_checkpoint
from skeattn.engine.build import build_splits, config_of, load_model
from skeattn.evaluation.few_shot import UNKNOWN

__all__ = [
    'UNKNOWN',
    'Bank',
    'FewShotClassifier',
    'Neighbour',
    'Predictions',
    'SlidingWindow',
    'TrainedEncoder',
    'build_splits',
    'config_of',
    'embed',
    'load_checkpoint',
    'load_encoder',
    'load_model',
    'read_checkpoint',
]
