from pathlib import Path

import numpy as np
import pytest

from skeattn.errors import ConfigError, DataError
from skeattn.visualization.embedding import draw_embedding, project
from skeattn.visualization.style import class_style
from tests.evaluation.standins import blobs


def test_classes_that_are_apart_stay_apart() -> None:
    features = blobs(30, 0, noise=0.1)
    points = project(features.x.numpy())
    centres = np.stack([points[features.labels == label].mean(0) for label in range(3)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(1)
    assert (nearest == features.labels.numpy()).all()


def test_same_features_same_picture(tmp_path: Path) -> None:
    panels = {'a': blobs(10, 0), 'b': blobs(10, 1), 'c': blobs(10, 2), 'd': blobs(200, 3)}
    first, again = (
        draw_embedding(panels, ['x', 'y', 'z'], tmp_path / f'{i}.png', 'title', limit=60).read_bytes() for i in (1, 2)
    )
    assert first == again and first.startswith(b'\x89PNG')


def test_every_class_of_a_large_set_looks_different() -> None:
    assert len({class_style(i) for i in range(60)}) == 60


def test_too_few_clips() -> None:
    with pytest.raises(DataError, match='at least 4 clips, not 3'):
        project(np.ones((3, 2)))


def test_pca_is_the_plane_of_largest_variance() -> None:
    x = np.random.default_rng(0).normal(size=(40, 6)) * [1, 9, 1, 1, 4, 1]
    x[:, 0] += 60  # scaling to unit length leaves the order of the spread
    points = project(x, method='pca')
    assert points.shape == (40, 2) and points[:, 0].var() > points[:, 1].var()
    assert abs(np.corrcoef(points[:, 0], x[:, 1])[0, 1]) > 0.95
    assert abs(np.corrcoef(points[:, 1], x[:, 4])[0, 1]) > 0.9


def test_a_method_that_cannot_run_is_said(monkeypatch) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ConfigError, match='UMAP needs the package umap-learn: pip install umap-learn'):
        project(np.ones((9, 3)), method='umap')
    with pytest.raises(ConfigError, match="no embedding method 'mds'; there are tsne, umap, pca"):
        project(np.ones((9, 3)), method='mds')


def test_umap_keeps_apart_what_is_apart() -> None:
    pytest.importorskip('umap')
    features = blobs(30, 0, noise=0.1)
    points, labels = project(features.x.numpy(), method='umap'), features.labels.numpy()
    centres = np.stack([points[labels == label].mean(0) for label in range(3)])
    assert (np.linalg.norm(points[:, None] - centres, axis=2).argmin(1) == labels).all()
