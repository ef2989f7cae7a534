"""A map of features in the plane, and how far it can be trusted."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.features import Features
from skeattn.evaluation.result import Outcome
from skeattn.files import write_atomic
from skeattn.registry import EVALUATORS


@EVALUATORS.register_module()
class EmbeddingMap:
    """The test clips in the plane, by cosine similarity: coordinates, a picture, and two numbers on the map.

    Metrics in percent: ``trustworthiness`` (Venna and Kaski, 2001: are neighbours on the map neighbours among the
    features?) and ``knn`` (of a clip's neighbours on the map, the share of its class, mean over clips).

    Args:
        method: ``'tsne'``, or ``'umap'`` (needs the package umap-learn).
        perplexity: how many neighbours count for t-SNE; for UMAP their number.
        limit: most clips on the map; of more, an evenly spaced part.
        neighbours: of both metrics.
        seed: of the map.
        classes: class names for the legend; the labels where there are none.
        out: ``<out>.map.png`` and ``<out>.points.npz`` are written, in it ``points`` (N, 2), ``labels`` and ``names``;
            nothing where there is none.
    """

    def __init__(
        self,
        method: str = 'tsne',
        perplexity: float = 30.0,
        limit: int = 2000,
        neighbours: int = 10,
        seed: int = 0,
        classes: Sequence[str] = (),
        out: Path | None = None,
    ) -> None:
        if method not in ('tsne', 'umap'):
            raise ConfigError(f"EmbeddingMap: method={method!r}; choose 'tsne' or 'umap'")
        if perplexity <= 0 or neighbours < 1 or limit < 1:
            raise ConfigError(
                f'EmbeddingMap: perplexity={perplexity!r}, neighbours={neighbours!r} and limit={limit!r} must be > 0'
            )
        self.method, self.perplexity, self.limit, self.neighbours = method, perplexity, limit, neighbours
        self.seed, self.classes, self.out = seed, list(classes), out
        self.embedding = _needed('skeattn.visualization.embedding', 'pip install "skeattn[vis]"')
        self.manifold = _needed('sklearn.manifold', 'pip install "skeattn[vis]"')
        if method == 'umap':
            self.umap = _needed('umap', 'pip install umap-learn, or take method="tsne"')

    def __call__(self, bank: Features, test: Features) -> dict[str, float]:
        """The metrics alone."""
        return self.evaluate(bank, test).metrics

    def evaluate(self, bank: Features, test: Features) -> Outcome:
        """Metrics, and the files ``map`` and ``points`` where they shall be written.

        Raises:
            DataError: too few clips for the perplexity or the neighbours.
        """
        test = test.select(torch.as_tensor(self.embedding.evenly(len(test), self.limit)))
        N = len(test)
        for setting, needed in (('perplexity', 3 * self.perplexity + 1), ('neighbours', 2 * self.neighbours + 1)):
            if needed > N:
                raise DataError(
                    f'a map of {N} clips: {setting}={getattr(self, setting)} needs at least {int(needed)}; lower '
                    f'{setting} (--cfg-options protocols.tsne.{setting}=...), or see limit={self.limit}'
                )
        x, labels = normalize(test.x, dim=1).numpy(), test.labels.numpy()
        points = self._project(x)
        metrics = {
            'trustworthiness': 100 * float(self.manifold.trustworthiness(x, points, n_neighbors=self.neighbours)),
            'knn': purity(points, labels, self.neighbours),
        }
        if self.out is None:
            return Outcome(metrics)
        files = {
            kind: self.out.with_name(f'{self.out.name}.{kind}.{end}')
            for kind, end in (('map', 'png'), ('points', 'npz'))
        }
        names = self.classes or [str(i) for i in range(int(labels.max()) + 1)]
        self.embedding.draw_maps({f'{N} test clips': (points, labels)}, names, files['map'])
        arrays: dict[str, Any] = {'points': points, 'labels': labels, 'names': np.array(test.names, np.str_)}
        write_atomic(files['points'], lambda file: np.savez(file, **arrays))
        return Outcome(metrics, files=files)

    def _project(self, x: np.ndarray) -> np.ndarray:
        if self.method == 'tsne':
            return self.embedding.project(x, self.seed, self.perplexity)
        reducer = self.umap.UMAP(n_neighbors=round(self.perplexity), metric='cosine', random_state=self.seed, n_jobs=1)
        return np.asarray(reducer.fit_transform(x))


def purity(points: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Of the k nearest points of each of (N, 2), the share in percent with its label (N,)."""
    place, label = torch.as_tensor(points, dtype=torch.float64), torch.as_tensor(labels)
    distances = torch.cdist(place, place, compute_mode='donot_use_mm_for_euclid_dist').fill_diagonal_(torch.inf)
    nearest = distances.topk(k, dim=1, largest=False).indices
    return 100 * (label[nearest] == label[:, None]).double().mean().item()


def _needed(module: str, cure: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(f'EmbeddingMap needs {error.name or module}: {cure}') from error
