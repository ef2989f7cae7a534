"""Evaluation of a frozen encoder; needs no Runner."""

from skeattn.evaluation.discriminant import DiscriminantProbe
from skeattn.evaluation.embedding_map import EmbeddingMap
from skeattn.evaluation.evaluator import Evaluator, FunctionEvaluator
from skeattn.evaluation.features import Features, calibrate_bn, extract_features, raw_features
from skeattn.evaluation.knn import KNNEvaluator, knn_scores
from skeattn.evaluation.linear_probe import LinearProbe
from skeattn.evaluation.logistic_probe import LogisticProbe
from skeattn.evaluation.mask_motion import MaskMotion, mask_motion
from skeattn.evaluation.result import ProtocolResult, Scores
from skeattn.evaluation.retrieval import Retrieval
from skeattn.evaluation.ridge_probe import RidgeProbe
from skeattn.evaluation.topk import TopK

__all__ = [
    'DiscriminantProbe',
    'EmbeddingMap',
    'Evaluator',
    'Features',
    'FunctionEvaluator',
    'KNNEvaluator',
    'LinearProbe',
    'LogisticProbe',
    'MaskMotion',
    'ProtocolResult',
    'Retrieval',
    'RidgeProbe',
    'Scores',
    'TopK',
    'calibrate_bn',
    'extract_features',
    'knn_scores',
    'mask_motion',
    'raw_features',
]
