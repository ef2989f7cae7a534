"""Masks whose correlation with movement is known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skeattn.channels import AXES
from skeattn.errors import ConfigError
from skeattn.evaluation.mask_motion import caption, correlate, describe, joint_speed, mask_motion, motion_table
from tests.evaluation.standins import ClipSet

N, T, V, M, ROWS = 6, 9, 4, 2, 2


class Masked(nn.Module):
    """A network whose mask is a function of the clips ``(N, C, T, V, M)`` of a batch."""

    def __init__(self, mask) -> None:
        super().__init__()
        self.mask = mask

    def salient_mask(self, data: dict[str, Tensor]) -> Tensor:
        assert not self.training and not torch.is_grad_enabled()
        return self.mask(data['inputs']).float()


def moving(channels: int = 3) -> ClipSet:
    """Random walks of two persons; the second is absent in the clips of class 0."""
    clips = torch.randn(N, channels, T, V, M, generator=torch.Generator().manual_seed(0)).cumsum(2)
    clips[::2, ..., 1] = 0
    clips = ClipSet(clips, torch.arange(N) % 2, torch.zeros(N))
    clips.channels, clips.classes, clips.missing = AXES, ['single', 'pair'], None
    return clips


def test_speed_is_the_mean_distance_of_a_cells_steps() -> None:
    clips = torch.zeros(1, 3, 5, 2, 1)
    clips[0, 0, :, 0, 0] = torch.tensor([0.0, 3.0, 3.0, 5.0, 4.0])
    clips[0, 1, 1:, 0, 0] = 4.0  # the first step is 3-4-5
    speed = joint_speed(clips, 2)
    assert speed.shape == (1, 1, 2, 2)
    torch.testing.assert_close(speed[0, 0], torch.tensor([[2.5, 0.0], [1.5, 0.0]], dtype=torch.float64))
    gone = torch.zeros(1, 5, 2, 1, dtype=torch.bool)
    gone[0, 0, 0], gone[0, :, 1] = True, True
    speed = joint_speed(clips, 2, gone)[0, 0]
    torch.testing.assert_close(speed[:, 0], torch.tensor([0.0, 1.5], dtype=torch.float64))
    assert speed[:, 1].isnan().all()


@pytest.mark.parametrize('rows', [ROWS, 3, T])
@pytest.mark.parametrize(('slope', 'expected'), [(0.01, 1.0), (-0.3, -1.0)])
def test_a_mask_that_is_a_line_of_the_speed_has_correlation_one(rows: int, slope: float, expected: float) -> None:
    clips = moving()
    motion = mask_motion(Masked(lambda x: 0.5 + slope * joint_speed(x, rows)), clips, batch_size=4)
    torch.testing.assert_close(motion.correlation, torch.full((N,), expected, dtype=torch.float64), atol=1e-5, rtol=0)
    assert motion.by_class(clips.classes) == pytest.approx({'single': expected, 'pair': expected}, abs=1e-5)
    assert motion.mean == pytest.approx(expected, abs=1e-5)


def test_it_is_numpys_over_the_persons_present_and_averaged_by_class() -> None:
    """Absent persons have wild mask values, which count neither in the correlation nor in the range."""
    clips, noise = moving(), torch.randn(N, M, ROWS, V, generator=torch.Generator().manual_seed(1))
    noise[::2, 1] = 100.0
    motion = mask_motion(Masked(lambda x: noise), clips)
    speed, persons = joint_speed(clips.clips, ROWS), [1 + i % 2 for i in range(N)]
    expected = [
        np.corrcoef(noise[i, :count].flatten(), speed[i, :count].flatten())[0, 1] for i, count in enumerate(persons)
    ]
    np.testing.assert_allclose(motion.correlation.numpy(), expected, atol=1e-6)
    assert motion.by_class(clips.classes)['pair'] == pytest.approx(np.mean(expected[1::2]), abs=1e-6)
    assert motion.mean == pytest.approx(np.mean(expected), abs=1e-6)
    there = torch.cat([noise[i, :count].flatten() for i, count in enumerate(persons)])
    assert (motion.low, motion.high) == (there.min(), there.max())
    lines = [line.split() for line in motion_table({'a': motion, 'b': motion}, clips.classes).splitlines()[2:]]
    assert lines[0] == ['single', '3', *[f'{np.mean(expected[::2]):.2f}'] * 2]
    assert lines[-1] == ['all', 'clips', '6', *[f'{np.mean(expected):.2f}'] * 2]


def test_only_coordinates_move() -> None:
    clips = moving(channels=4)
    clips.channels = (*AXES, 'score')
    motion = mask_motion(Masked(lambda x: joint_speed(x[:, :3], ROWS)), clips)
    assert motion.mean == pytest.approx(1.0, abs=1e-6)


def test_a_constant_mask_and_a_clip_at_rest_have_no_correlation() -> None:
    clips = moving()
    motion = mask_motion(Masked(lambda x: torch.full((len(x), M, ROWS, V), 0.1)), clips)
    assert math.isnan(motion.mean) and motion.correlation.isnan().all()
    assert motion.facts(clips.classes) == {
        'range': pytest.approx([0.1, 0.1]),
        'correlation': None,
        'by_class': {'single': None, 'pair': None},
    }
    clips.clips[0] = 1.7
    motion = mask_motion(Masked(lambda x: joint_speed(x, ROWS) + torch.rand(V)), clips)
    assert motion.correlation.isnan().tolist() == [True] + [False] * 5 and not math.isnan(motion.mean)
    assert '–' in motion_table({'still': mask_motion(Masked(lambda x: torch.ones(len(x), M, 1, V)), clips)}, ['a', 'b'])


def test_cells_without_a_value_are_left_out() -> None:
    a, b = torch.tensor([[1.0, 2, 9, 3]]).double(), torch.tensor([[2.0, 4, math.nan, 7]]).double()
    assert correlate(a, b).item() == pytest.approx(np.corrcoef([1, 2, 3], [2, 4, 7])[0, 1])


@pytest.mark.parametrize(
    ('correlation', 'words'),
    [
        (0.51, 'follows movement'),
        (0.5, 'weakly follows movement'),
        (0.2, 'weakly follows movement'),
        (0.196, 'weakly follows movement'),
        (0.19, 'does not follow movement'),
        (-0.9, 'does not follow movement'),
        (math.nan, 'does not follow movement'),
    ],
)
def test_words_are_chosen_by_the_number(correlation: float, words: str) -> None:
    assert describe(correlation) == words
    assert caption(0.1, correlation).startswith(f'After training the mask {words}: ')


def test_a_network_without_mask_is_refused() -> None:
    with pytest.raises(ConfigError, match='Identity has no salient mask'):
        mask_motion(nn.Identity(), moving())
