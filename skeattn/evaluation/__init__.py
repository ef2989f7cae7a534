"""Judging a frozen encoder; usable without a Runner."""

from skeattn.evaluation.embedding_map import EmbeddingMap
from skeattn.evaluation.features import Features, calibrate_bn, extract_features, raw_features
from skeattn.evaluation.finetune import Finetune
from skeattn.evaluation.knn import KNNEvaluator, knn_scores
from skeattn.evaluation.linear_probe import LinearProbe
from skeattn.evaluation.outcome import Outcome, Scores
from skeattn.evaluation.retrieval import Retrieval
from skeattn.evaluation.subject import Subject
from skeattn.evaluation.topk import TopK

__all__ = [
    'EmbeddingMap',
    'Features',
    'Finetune',
    'KNNEvaluator',
    'LinearProbe',
    'Outcome',
    'Retrieval',
    'Scores',
    'Subject',
    'TopK',
    'calibrate_bn',
    'extract_features',
    'knn_scores',
    'raw_features',
]
