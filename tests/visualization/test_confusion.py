from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skeattn.errors import DataError
from skeattn.visualization.confusion import draw_confusion, most_confused, row_percent

COUNTS = np.array([[8, 2, 0], [3, 6, 3], [0, 0, 0]])


def test_rows_are_percent_of_the_true_class() -> None:
    assert row_percent(COUNTS).tolist() == [[80.0, 20.0, 0.0], [25.0, 50.0, 25.0], [0.0, 0.0, 0.0]]


def test_pairs_are_in_order_of_their_share_and_never_the_class_itself() -> None:
    assert most_confused(COUNTS, 2) == [(1, 0, 3, 25.0), (1, 2, 3, 25.0)]
    assert most_confused(COUNTS) == [(1, 0, 3, 25.0), (1, 2, 3, 25.0), (0, 1, 2, 20.0)]
    assert most_confused(np.eye(4, dtype=int)) == []


@pytest.mark.slow
@pytest.mark.parametrize('K', [3, pytest.param(60, marks=pytest.mark.slow)])
def test_same_counts_same_picture_large_enough_for_its_classes(tmp_path: Path, K: int) -> None:
    counts = np.random.default_rng(0).integers(0, 9, (K, K)) + 200 * np.eye(K, dtype=int)
    classes = [f'a_class_with_a_long_name_{i}' for i in range(K)]
    first, again = (draw_confusion(counts, classes, tmp_path / f'{i}.png', 'title') for i in (1, 2))
    assert first.read_bytes() == again.read_bytes()
    width, height = Image.open(first).size
    assert min(width, height) > 30 * K  # pixels a class


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no clips'):
        draw_confusion(np.zeros((2, 2), int), ['a', 'b'], tmp_path / 'c.png')
