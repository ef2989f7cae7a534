from pathlib import Path

import pytest

from skeattn.visualization.embedding import draw_embedding
from skeattn.visualization.style import class_style
from tests.evaluation.standins import blobs


@pytest.mark.slow
def test_same_features_same_picture(tmp_path: Path) -> None:
    panels = {'a': blobs(10, 0), 'b': blobs(10, 1), 'c': blobs(10, 2), 'd': blobs(200, 3)}
    first, again = (
        draw_embedding(panels, ['x', 'y', 'z'], tmp_path / f'{i}.png', 'title', limit=60).read_bytes() for i in (1, 2)
    )
    assert first == again and first.startswith(b'\x89PNG')


def test_every_class_of_a_large_set_looks_different() -> None:
    assert len({class_style(i) for i in range(60)}) == 60
