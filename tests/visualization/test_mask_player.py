import importlib
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import get_layout
from skeattn.visualization import MaskedClip, masked_clips, play_masks
from skeattn.visualization.mask_player import _place, _Player, mask_range
from tests.evaluation.standins import ClipSet

LAYOUT = get_layout('kinect20')
T, V = 8, LAYOUT.num_joints


def masked(persons: int = 1, frames: int = 2) -> MaskedClip:
    """Two persons, ``persons`` of them there; the trained mask grows with time, absent persons carry nonsense."""
    rng = np.random.default_rng(0)
    keypoint = rng.normal(size=(3, T, V, 2)).astype(np.float32)
    keypoint[..., persons:] = 0
    mask = np.full((2, frames, V), 0.5) + 0.1 * np.arange(frames)[:, None]
    mask[persons:] = 7.0
    return MaskedClip('wave', keypoint, {'untrained': np.where(mask < 1, 0.5, mask), 'trained': mask})


@pytest.mark.slow
def test_gif_holds_every_frame_on_one_scale(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'mask.gif'
    low, high = play_masks([masked(1), masked(2)], LAYOUT, path, dpi=30)
    assert (low, high) == pytest.approx((0.5, 0.6))
    with Image.open(path) as gif:
        assert gif.n_frames == T and gif.info['loop'] == 0
        frames = []
        for i in range(T):
            gif.seek(i)
            frames.append(np.asarray(gif.convert('RGB'), dtype=int))
    assert all(np.abs(a - b).sum() > 0 for a, b in itertools.pairwise(frames))
    assert list(path.parent.iterdir()) == [path]


def test_range_ignores_absent_persons() -> None:
    assert mask_range([masked(1)]) == {'untrained': (0.5, 0.5), 'trained': (0.5, 0.6)}


def test_a_mask_frame_lasts_as_long_as_the_frames_it_stands_for() -> None:
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    clip = masked(1, frames=4)
    player = _Player(Figure().subplots(), clip, 'trained', LAYOUT, Normalize(0, 1))
    shown = []
    for t in range(T):
        player.show(t)
        shown.append(float(player.joints[0].get_array()[0]))
        np.testing.assert_allclose(player.joints[0].get_offsets(), _place(clip.keypoint)[0, t])
    np.testing.assert_allclose(shown, np.repeat([0.5, 0.6, 0.7, 0.8], 2))
    assert len(player.lines[0].get_segments()) == V - 1


def test_persons_are_drawn_beside_each_other() -> None:
    left, right = _place(masked(2).keypoint)
    assert left[..., 0].max() < right[..., 0].min()


def test_masks_are_asked_of_the_networks_for_the_clips_chosen() -> None:
    class Network(torch.nn.Module):
        def __init__(self, shift: float) -> None:
            super().__init__()
            self.shift = shift

        def salient_mask(self, data: dict) -> torch.Tensor:
            assert not self.training and not torch.is_grad_enabled()
            return (data['inputs'][:, 0, ::4] + self.shift).permute(0, 3, 1, 2)

    clips = ClipSet(torch.randn(5, 3, T, V, 2), torch.tensor([0, 1, 0, 1, 0]), torch.zeros(5))
    clips.classes = ['sit_down', 'wave']
    drawn = masked_clips({'a': Network(0.0), 'b': Network(1.0)}, clips, [3, 0])
    assert [clip.title for clip in drawn] == ['wave', 'sit down']
    np.testing.assert_array_equal(drawn[0].keypoint, clips.clips[3].numpy())
    np.testing.assert_allclose(drawn[1].masks['b'], clips.clips[0, 0, ::4].permute(2, 0, 1).numpy() + 1)


@pytest.mark.parametrize(('shape', 'persons'), [((2, 2, V - 1), 1), ((1, 2, V), 1), ((2, T + 1, V), 1), ((2, 2, V), 0)])
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, shape: tuple[int, ...], persons: int) -> None:
    clip = masked(persons)
    clip.masks['trained'] = np.zeros(shape)
    with pytest.raises(DataError, match="'wave'"):
        play_masks([clip], LAYOUT, tmp_path / 'mask.gif')
    assert not list(tmp_path.iterdir())


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'sklearn', None)
    monkeypatch.delitem(sys.modules, 'skeattn.visualization', raising=False)
    needed = r'pictures need matplotlib, pillow and scikit-learn \(sklearn is missing\); pip install "skeattn\[vis\]"'
    with pytest.raises(ConfigError, match=needed):
        importlib.import_module('skeattn.visualization')
