"""Judging a frozen encoder; usable without a Runner."""

from skeattn.evaluation.features import Features, calibrate_bn, extract_features, raw_features
from skeattn.evaluation.knn import KNNEvaluator, knn_scores
from skeattn.evaluation.linear_probe import LinearProbe

__all__ = [
    'Features',
    'KNNEvaluator',
    'LinearProbe',
    'calibrate_bn',
    'extract_features',
    'knn_scores',
    'raw_features',
]
