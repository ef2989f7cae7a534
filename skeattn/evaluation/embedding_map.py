"""A map of features in the plane: t-SNE, UMAP or PCA by cosine similarity, and two measures of its quality."""

import importlib
from typing import Any

import numpy as np
import torch

from skeattn import choices
from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.evaluator import Evaluator
from skeattn.evaluation.features import Features
from skeattn.evaluation.result import ProtocolResult
from skeattn.registry import EVALUATORS

METHODS = choices.MAP_METHODS
CURES = {'sklearn': 'pip install "skeattn[vis]"', 'umap': 'pip install umap-learn, or use tsne or pca'}


def project(x: np.ndarray, seed: int = 0, perplexity: float = 30.0, method: str = 'tsne') -> np.ndarray:
    """A map of (N, D) features by cosine similarity: (N, 2), the same for the same seed.

    Features are first scaled to unit length, as for KNN, and reduced to at most 50 principal components.

    Args:
        x: the features.
        seed: of t-SNE and UMAP.
        perplexity: of t-SNE, and the number of UMAP's neighbours; both are limited by the number of clips.
        method: ``'tsne'``, ``'umap'`` (needs the package umap-learn) or ``'pca'``, the first two components.

    Raises:
        DataError: fewer than four clips, or features with fewer than two dimensions.
        ConfigError: an unknown method, or a missing package.
    """
    check_method(method)
    if len(x) < 4:
        raise DataError(f'{len(x)} clips are too few for an embedding map; give at least 4')
    if x.shape[1] < 2:
        raise DataError(f'features of {x.shape[1]} dimensions have no embedding map; give at least 2 dimensions')
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    components = 2 if method == 'pca' else min(50, *x.shape)
    pca = _needed('sklearn.decomposition').PCA
    x = pca(components, svd_solver='full' if min(x.shape) < 2000 else 'covariance_eigh').fit_transform(x)
    if method == 'tsne':
        tsne = _needed('sklearn.manifold').TSNE
        x = tsne(perplexity=min(perplexity, (len(x) - 1) / 3), init='pca', random_state=seed, n_jobs=1).fit_transform(x)
    elif method == 'umap':
        neighbours = max(2, min(round(perplexity), len(x) - 1))
        x = _needed('umap').UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(x)
    return np.asarray(x)


def check_method(method: str) -> None:
    """Refuse an embedding method that is unknown or lacks a package, before any work.

    Raises:
        ConfigError: it is not in :data:`METHODS`, or a package is missing.
    """
    if method not in METHODS:
        raise ConfigError(f'no embedding method {method!r}; choose from {", ".join(METHODS)}')
    _needed('sklearn.manifold')
    if method == 'umap':
        _needed('umap')


def evenly(N: int, limit: int) -> np.ndarray:
    """At most ``limit`` of the indices 0..N-1, evenly spaced."""
    return np.unique(np.linspace(0, N - 1, min(limit, N)).round().astype(int))


@EVALUATORS.register_module()
class EmbeddingMap(Evaluator):
    """The test clips in the plane, by cosine similarity: coordinates, a picture, and two metrics of the map.

    Metrics in percent: ``trustworthiness`` (Venna and Kaski, 2001: are neighbours on the map neighbours among the
    features?) and ``knn`` (share of a clip's class among its neighbours on the map, mean over clips). The array
    ``points`` of the result holds ``points`` (N, 2), ``labels`` and ``names``.

    Args:
        method, perplexity: see :func:`project`.
        limit: maximum number of clips on the map; a larger set is thinned evenly.
        neighbours: of both metrics.
        seed: of the map.

    Raises:
        ConfigError: a setting is out of range, or a package is missing.
    """

    def __init__(
        self, method: str = 'tsne', perplexity: float = 30.0, limit: int = 2000, neighbours: int = 10, seed: int = 0
    ) -> None:
        check_method(method)
        if perplexity <= 0 or neighbours < 1 or limit < 1:
            raise ConfigError(
                f'EmbeddingMap: perplexity={perplexity!r}, neighbours={neighbours!r} and limit={limit!r} must be > 0'
            )
        self.method, self.perplexity, self.limit, self.neighbours = method, perplexity, limit, neighbours
        self.seed = seed

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """Metrics and points.

        Raises:
            DataError: too few clips for the perplexity or the neighbours.
        """
        test = test.select(torch.as_tensor(evenly(len(test), self.limit)))
        N = len(test)
        for setting, needed in (('perplexity', 3 * self.perplexity + 1), ('neighbours', 2 * self.neighbours + 1)):
            if needed > N:
                raise DataError(
                    f'a map of {N} clips is too small: {setting}={getattr(self, setting)} needs at least '
                    f'{int(needed)}; lower {setting} (--cfg-options protocols.tsne.{setting}=...), or raise '
                    f'limit={self.limit}'
                )
        x, labels = test.x.numpy(), test.labels.numpy()
        points = project(x, self.seed, self.perplexity, self.method)
        unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        trust = _needed('sklearn.manifold').trustworthiness(unit, points, n_neighbors=self.neighbours)
        metrics = {'trustworthiness': 100 * float(trust), 'knn': purity(points, labels, self.neighbours)}
        arrays = {'points': points, 'labels': labels, 'names': np.array(test.names, np.str_)}
        return ProtocolResult(metrics, arrays={'points': arrays})


def purity(points: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Percentage of the k nearest points of each point (N, 2) that have its label (N,), mean over the points."""
    place, label = torch.as_tensor(points, dtype=torch.float64), torch.as_tensor(labels)
    distances = torch.cdist(place, place, compute_mode='donot_use_mm_for_euclid_dist').fill_diagonal_(torch.inf)
    nearest = distances.topk(k, dim=1, largest=False).indices
    return 100 * (label[nearest] == label[:, None]).double().mean().item()


def _needed(module: str) -> Any:
    """An optional package, imported on use."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition('.')[0]
        raise ConfigError(f'an embedding map needs {error.name or package}; {CURES[package]}') from error
