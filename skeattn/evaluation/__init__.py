"""Judging a frozen encoder; usable without a Runner."""

from skeattn.evaluation.features import Features, calibrate_bn, extract_features, raw_features
from skeattn.evaluation.knn import KNNEvaluator, knn_scores
from skeattn.evaluation.linear_probe import LinearProbe
from skeattn.evaluation.topk import TopK

__all__ = [
    'Features',
    'KNNEvaluator',
    'LinearProbe',
    'TopK',
    'calibrate_bn',
    'extract_features',
    'knn_scores',
    'raw_features',
]
