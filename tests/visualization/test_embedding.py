from pathlib import Path

import numpy as np
import pytest

from skeattn.errors import DataError
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
