"""Judging a frozen encoder; usable without a Runner."""

from skeattn.evaluation.embedding_map import EmbeddingMap
from skeattn.evaluation.features import Features, calibrate_bn, extract_features, raw_features
from skeattn.evaluation.knn import KNNEvaluator, knn_scores
from skeattn.evaluation.linear_probe import LinearProbe
from skeattn.evaluation.result import Outcome, Scores
from skeattn.evaluation.retrieval import Retrieval
from skeattn.evaluation.topk import TopK

__all__ = [
    'EmbeddingMap',
    'Features',
    'KNNEvaluator',
    'LinearProbe',
    'Outcome',
    'Retrieval',
    'Scores',
    'TopK',
    'calibrate_bn',
    'extract_features',
    'knn_scores',
    'raw_features',
]
