from pathlib import Path

import pytest
from PIL import Image

from skeattn.results.class_gain import MEAN, ClassGain
from skeattn.visualization.gains import draw_gains


def gain(name: str, base: float, ours: float) -> ClassGain:
    return ClassGain(name, 10, (base, base + 1), (ours, ours - 1), True)


@pytest.mark.slow
def test_bars_of_all_classes_fit_and_the_same_gains_give_the_same_picture(tmp_path: Path) -> None:
    gains = [*(gain(f'class_{i}', 50, 80 - i) for i in range(60)), gain(MEAN, 50, 60)]
    first, again = (draw_gains(gains, tmp_path / f'{i}.png', 'title') for i in (1, 2))
    assert first.read_bytes() == again.read_bytes()
    assert Image.open(first).size[1] > 30 * 60  # pixels a class
