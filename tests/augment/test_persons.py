"""Which person of a clip is seen, and where its origin is."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.augment import CentreFirst, ClipSpec, PickPerson, generator
from tests.augment.clips import LAYOUT, clips, spec


def pick(x, seed=0, coordinates=3):
    op = PickPerson()
    params = op.draw(ClipSpec(x.shape[2], LAYOUT, len(x), coordinates, x.shape[4]), generator(seed, 0))
    return op.apply(x, params, None)


@given(
    present=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6), seed=st.integers(0, 99)
)
def test_a_person_who_is_present_is_picked(present, seed):
    there = torch.tensor(present)
    x = torch.randn(len(present), 3, 4, 25, 3) * there[:, None, None, None]
    out = pick(x, seed)
    assert out.shape == (len(present), 3, 4, 25, 1)
    for clip, whole, persons in zip(out, x, there.tolist(), strict=True):
        choices = [whole[..., m] for m in range(3) if persons[m]] or [torch.zeros(3, 4, 25)]
        assert any(torch.equal(clip[..., 0], choice) for choice in choices)


def test_persons_are_picked_equally_often_and_absent_ones_change_nothing():
    x = torch.arange(1.0, 4.0).expand(6000, 1, 1, 25, 3).clone()
    share = torch.bincount(pick(x, coordinates=1)[:, 0, 0, 0, 0].long())[1:] / 6000
    torch.testing.assert_close(share, torch.full((3,), 1 / 3), rtol=0, atol=0.03)
    absent = torch.cat([x[..., :1], torch.zeros_like(x[..., :1]), x[..., 1:]], dim=4)
    assert torch.equal(pick(absent, coordinates=1), pick(x, coordinates=1))


def test_a_score_does_not_make_a_person_present():
    x = torch.zeros(50, 3, 2, 25, 2)
    x[..., 1] = 1
    x[:, 2, ..., 0] = 0.5
    assert (pick(x, coordinates=2) == x[..., 1:]).all()


def test_each_person_begins_in_the_origin_and_absence_stays_zero():
    x = clips(4, 6) + 3
    x[:, :, :2, :, 1] = 0
    x[:, :, 4, :, 0] = 0
    op = CentreFirst('spine_mid')
    out = op.apply(x, op.draw(spec(4, 6), generator(0, 0)), None)
    joint = LAYOUT.joint('spine_mid')
    for person, first in ((0, 0), (1, 2)):
        assert not out[:, :, first, joint, person].any()
        there = x[..., person].abs().amax(dim=(1, 3), keepdim=True) > 0
        expected = (x - x[:, :, first : first + 1, joint : joint + 1])[..., person] * there
        torch.testing.assert_close(out[..., person], expected)
    assert not out[:, :, 4, :, 0].any() and not out[:, :, :2, :, 1].any()
