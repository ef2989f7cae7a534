"""The map of features: its numbers, its files, and what it cannot draw."""

import sys

import numpy as np
import pytest

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation import EmbeddingMap
from skeattn.evaluation.embedding_map import project, purity
from skeattn.visualization import embedding
from tests.evaluation.standins import blobs

pytest.importorskip('sklearn')
pytest.importorskip('matplotlib')
BANK, TEST = blobs(2, seed=0), blobs(14, seed=1, noise=0.3)
SMALL = {'perplexity': 5.0, 'neighbours': 5}


def test_classes_that_lie_apart_lie_apart_on_the_map() -> None:
    near, far = EmbeddingMap(**SMALL)(BANK, TEST), EmbeddingMap(**SMALL)(BANK, blobs(14, seed=1, noise=50.0))
    assert near['knn'] == 100.0 and far['knn'] < 70.0
    assert 50.0 < near['trustworthiness'] <= 100.0


def test_points_belong_to_their_clips_and_are_the_same_for_the_same_seed() -> None:
    x, y = (EmbeddingMap(**SMALL, seed=1).evaluate(BANK, TEST).arrays['points'] for _ in range(2))
    assert x['points'].shape == (42, 2) and x['names'].tolist() == TEST.names
    assert np.array_equal(x['labels'], TEST.labels)
    assert np.array_equal(x['points'], y['points'])


def test_the_protocol_and_the_picture_of_the_tool_show_the_same_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind G7: two implementations of one thing gave different maps of the same features."""
    drawn: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    monkeypatch.setattr(embedding, 'draw_maps', lambda maps, *_: drawn.update(maps))
    test = blobs(40, seed=1, noise=0.3)
    embedding.draw_embedding({'map': test}, ['a', 'b', 'c'], 'map.png', seed=2, limit=100)
    points = EmbeddingMap(seed=2, limit=100).evaluate(BANK, test).arrays['points']
    assert len(points['points']) == 100
    np.testing.assert_array_equal(drawn['map'][0], points['points'])
    np.testing.assert_array_equal(drawn['map'][1], points['labels'])


def test_many_clips_are_thinned_evenly() -> None:
    arrays = EmbeddingMap(**SMALL, limit=21).evaluate(BANK, TEST).arrays['points']
    assert len(arrays['points']) == len(arrays['names']) == 21


def test_purity_is_the_share_of_neighbours_of_the_same_class() -> None:
    points = np.array([[0.0, 0], [1, 0], [2.5, 0], [10, 0], [11, 0]])
    # nearest two, from the left: (b c), (a c), (b a), (e c), (d c)
    assert purity(points, np.array([0, 0, 1, 1, 1]), 2) == pytest.approx(100 * (1 + 1 + 0 + 2 + 2) / 10)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (
            {'perplexity': 14.0, 'neighbours': 5},
            'a map of 42 clips is too small: perplexity=14.0 needs at least 43; lower perplexity',
        ),
        ({'perplexity': 5.0, 'neighbours': 21}, 'neighbours=21 needs at least 43'),
    ],
)
def test_too_few_clips_are_counted(wrong: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        EmbeddingMap(**wrong)(BANK, TEST)


@pytest.mark.parametrize('wrong', [{'method': 'mds'}, {'perplexity': 0.0}, {'neighbours': 0}, {'limit': 0}])
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
    with pytest.raises(ConfigError, match=f'needs {absent}; .*{cure}'):
        EmbeddingMap(method=method)


def test_umap_is_used_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its package is optional, so a stand-in keeps the first two coordinates."""
    import types

    class UMAP:
        def __init__(self, **settings: object) -> None:
            assert settings == {'n_neighbors': 5, 'random_state': 3, 'n_jobs': 1}

        def fit_transform(self, x: np.ndarray) -> np.ndarray:
            return x[:, :2]

    monkeypatch.setitem(sys.modules, 'umap', types.SimpleNamespace(UMAP=UMAP))
    metrics = EmbeddingMap(method='umap', seed=3, **SMALL)(BANK, TEST)
    plane = project(TEST.x.numpy(), method='pca')  # the stand-in keeps the first two components
    assert metrics['knn'] == purity(plane, TEST.labels.numpy(), 5)


def test_classes_that_are_apart_stay_apart() -> None:
    features = blobs(30, 0, noise=0.1)
    points = project(features.x.numpy())
    centres = np.stack([points[features.labels == label].mean(0) for label in range(3)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(1)
    assert (nearest == features.labels.numpy()).all()


def test_too_few_clips() -> None:
    with pytest.raises(DataError, match='3 clips are too few for an embedding map; give at least 4'):
        project(np.ones((3, 2)))


def test_pca_is_the_plane_of_largest_variance() -> None:
    x = np.random.default_rng(0).normal(size=(40, 6)) * [1, 9, 1, 1, 4, 1]
    x[:, 0] += 60  # scaling to unit length leaves the order of the spread
    points = project(x, method='pca')
    assert points.shape == (40, 2) and points[:, 0].var() > points[:, 1].var()
    assert abs(np.corrcoef(points[:, 0], x[:, 1])[0, 1]) > 0.95
    assert abs(np.corrcoef(points[:, 1], x[:, 4])[0, 1]) > 0.9


def test_a_method_that_cannot_run_is_reported(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'umap', None)
    with pytest.raises(ConfigError, match='needs umap; pip install umap-learn, or use tsne or pca'):
        project(np.ones((9, 3)), method='umap')
    with pytest.raises(ConfigError, match="no embedding method 'mds'; choose from tsne, umap, pca"):
        project(np.ones((9, 3)), method='mds')


def test_umap_keeps_apart_what_is_apart() -> None:
    pytest.importorskip('umap')
    features = blobs(30, 0, noise=0.1)
    points, labels = project(features.x.numpy(), method='umap'), features.labels.numpy()
    centres = np.stack([points[labels == label].mean(0) for label in range(3)])
    assert (np.linalg.norm(points[:, None] - centres, axis=2).argmin(1) == labels).all()
