"""The map of features: its numbers, its files, and what it cannot draw."""

from pathlib import Path

import numpy as np
import pytest
import torch

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation import EmbeddingMap
from skeattn.evaluation.embedding_map import purity
from tests.evaluation.standins import blobs

pytest.importorskip('sklearn')
pytest.importorskip('matplotlib')
BANK, TEST = blobs(2, seed=0), blobs(14, seed=1, noise=0.3)
SMALL = {'perplexity': 5.0, 'neighbours': 5}


def test_classes_that_lie_apart_lie_apart_on_the_map() -> None:
    near, far = EmbeddingMap(**SMALL)(BANK, TEST), EmbeddingMap(**SMALL)(BANK, blobs(14, seed=1, noise=50.0))
    assert near['knn'] == 100.0 and far['knn'] < 70.0
    assert 50.0 < near['trustworthiness'] <= 100.0


def test_picture_and_coordinates_are_written_and_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    files = [
        EmbeddingMap(**SMALL, classes=['a', 'b', 'c'], seed=1, out=tmp_path / name).evaluate(BANK, TEST).files
        for name in ('x.tsne', 'y.tsne')
    ]
    assert sorted(path.name for path in files[0].values()) == ['x.tsne.map.png', 'x.tsne.points.npz']
    assert files[0]['map'].read_bytes().startswith(b'\x89PNG')
    x, y = (np.load(found['points'], allow_pickle=False) for found in files)
    assert x['points'].shape == (42, 2) and x['names'].tolist() == TEST.names
    assert np.array_equal(x['labels'], TEST.labels)
    assert np.array_equal(x['points'], y['points'])


def test_many_clips_are_thinned_evenly(tmp_path: Path) -> None:
    outcome = EmbeddingMap(**SMALL, limit=21, out=tmp_path / 'm').evaluate(BANK, TEST)
    assert len(np.load(outcome.files['points'])['points']) == 21


def test_purity_is_the_share_of_neighbours_of_the_same_class() -> None:
    points = np.array([[0.0, 0], [1, 0], [2.5, 0], [10, 0], [11, 0]])
    # nearest two, from the left: (b c), (a c), (b a), (e c), (d c)
    assert purity(points, np.array([0, 0, 1, 1, 1]), 2) == pytest.approx(100 * (1 + 1 + 0 + 2 + 2) / 10)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ({'perplexity': 14.0, 'neighbours': 5}, 'a map of 42 clips: perplexity=14.0 needs at least 43'),
        ({'perplexity': 5.0, 'neighbours': 21}, 'neighbours=21 needs at least 43'),
    ],
)
def test_too_few_clips_are_counted(wrong: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        EmbeddingMap(**wrong)(BANK, TEST)


@pytest.mark.parametrize('wrong', [{'method': 'pca'}, {'perplexity': 0.0}, {'neighbours': 0}, {'limit': 0}])
def test_settings_without_meaning_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EmbeddingMap(**wrong)


@pytest.mark.parametrize(
    ('absent', 'method', 'cure'), [('umap', 'umap', 'pip install umap-learn'), ('sklearn', 'tsne', r'skeattn\[vis\]')]
)
def test_a_missing_package_is_named_with_the_cure(
    absent: str, method: str, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    real = importlib.import_module

    def without(name: str, *args: object) -> object:
        if name.partition('.')[0] == absent:
            raise ModuleNotFoundError(f'No module named {absent!r}', name=absent)
        return real(name, *args)

    monkeypatch.setattr(importlib, 'import_module', without)
    with pytest.raises(ConfigError, match=f'needs {absent}: .*{cure}'):
        EmbeddingMap(method=method)


def test_umap_is_used_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its package is not among the needed ones, so a stand-in that keeps the first two coordinates."""
    import sys
    import types

    class UMAP:
        def __init__(self, **settings: object) -> None:
            assert settings == {'n_neighbors': 5, 'metric': 'cosine', 'random_state': 3, 'n_jobs': 1}

        def fit_transform(self, x: np.ndarray) -> np.ndarray:
            return x[:, :2]

    monkeypatch.setitem(sys.modules, 'umap', types.SimpleNamespace(UMAP=UMAP))
    metrics = EmbeddingMap(method='umap', seed=3, **SMALL)(BANK, TEST)
    x = torch.nn.functional.normalize(TEST.x, dim=1).numpy()
    assert metrics['knn'] == purity(x[:, :2], TEST.labels.numpy(), 5)
