"""Properties of every operation: draws, probabilities, independent clips, absent persons, layouts, precision."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.augment import (
    AxisMask,
    Crop,
    CropResize,
    GaussianBlur,
    GaussianNoise,
    JointCorruption,
    LimbScale,
    RandomJointMask,
    RandomRotation,
    Rotate,
    ScaleAxes,
    Shear,
    SkeleAdaIN,
    SkeleMix,
    SpatialFlip,
    TemporalFlip,
    generator,
)
from skeattn.augment.base import integers
from skeattn.augment.seeding import normal
from skeattn.errors import ConfigError
from skeattn.registry import AUGMENTS
from tests.augment.clips import OPS, PARTIAL, clips, partners_in, spec

WITH_DRAWS = sorted(OPS.keys() - {'TemporalFlip', 'SpatialFlip', 'CentreFirst'})


def build(name, **kwargs):
    return AUGMENTS.build({'type': name, **OPS[name], **kwargs})


def rows(params, index):
    return {key: value[index] for key, value in params.items()}


def test_every_operation_is_tried_here():
    ours = {name for name, op in AUGMENTS.module_dict.items() if op.__module__.startswith('skeattn.')}
    assert OPS.keys() | PARTIAL == ours


def test_generators_depend_on_every_name():
    draws = {
        torch.rand(1, generator=generator(*args)).item()
        for args in ((0, 1, 'a'), (0, 2, 'a'), (1, 1, 'a'), (0, 1, 'b'))
    }
    assert len(draws) == 4
    assert torch.equal(torch.rand(3, generator=generator(5, 6, 'q')), torch.rand(3, generator=generator(5, 6, 'q')))


@given(low=st.integers(-5, 5), span=st.integers(0, 6), seed=st.integers(0, 99))
def test_integers_reach_both_ends_and_nothing_beyond(low, span, seed):
    drawn = integers(low, low + span, 500, generator(seed, 0))
    assert drawn.unique().tolist() == list(range(low, low + span + 1))


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10**6),
    per=st.sampled_from(['sample', 'batch']),
    probability=st.sampled_from([0.5, 1.0]),
    layout=st.sampled_from(['ntu25', 'kinect20']),
    frames=st.sampled_from([12, 25]),
)
@pytest.mark.parametrize('name', OPS)
def test_a_clip_changes_by_its_own_row_alone(name, seed, per, probability, layout, frames):
    """So one draw per batch is one draw repeated, and any division among processes gives the same clips."""
    op, x = build(name, per=per, probability=probability), clips(5, frames, layout)
    params = op.draw(spec(5, frames, layout), generator(seed, 0))
    together = op.apply(x, params, partners_in(x))
    partners = partners_in(x)(params['shift']) if 'shift' in params else x
    for i in range(5):
        alone = op.apply(x[i : i + 1], rows(params, slice(i, i + 1)), lambda shift, i=i: partners[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', OPS)
def test_one_draw_per_batch_is_a_switch(name):
    one = build(name, per='batch', probability=0.5).draw(spec(64), generator(0, 0))
    assert all(len(value) == 64 and (value == value[:1]).all() for value in one.values())
    own = build(name, probability=0.5).draw(spec(64), generator(0, 0))
    assert own.keys() == one.keys()
    for key in own.keys() - {'order', 'grid', 'reference'}:  # facts of the layout and of T
        assert (own[key] != own[key][:1]).any(), key


@pytest.mark.parametrize('name', WITH_DRAWS)
def test_draws_follow_from_the_generator_alone(name):
    op = build(name, probability=0.5)
    state = torch.random.get_rng_state()
    first, again, other = (op.draw(spec(64), generator(seed, 0)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    for key in first:
        assert torch.equal(first[key], again[key])
        assert key == 'grid' or not torch.equal(first[key], other[key]), key


@pytest.mark.parametrize('name', WITH_DRAWS)
def test_clips_draw_independently(name):
    """Neighbouring rows of every parameter are as different as distant ones: no shared value, no visible order."""
    for key, value in build(name, probability=0.5).draw(spec(4000), generator(1, 2)).items():
        value = value.reshape(4000, -1).double()
        value = (value - value.mean(0)) / value.std(0).clamp(min=1e-9)
        for distance in (1, 2, 7):
            assert (value * value.roll(distance, 0)).mean().abs() < 0.08, (key, distance)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize('name', OPS)
def test_probability_selects_clips(name, seed):
    x = clips(8)

    def applied(probability):
        op = build(name, probability=probability)
        params = op.draw(spec(8), generator(seed, 0))
        return op.apply(x, params, partners_in(x)), params

    always, _ = applied(1.0)
    sometimes, params = applied(0.5)
    assert torch.equal(applied(0.0)[0], x)
    assert torch.equal(sometimes[params['applies']], always[params['applies']])
    assert torch.equal(sometimes[~params['applies']], x[~params['applies']])


def test_probability_is_the_share_of_draws():
    applies = build('Rotate', probability=0.3).draw(spec(20000), generator(0, 0))['applies']
    assert abs(applies.double().mean() - 0.3) < 0.02


@pytest.mark.parametrize('name', OPS)
def test_default_probabilities_are_aimclrs(name):
    half = {'SpatialFlip', 'GaussianNoise', 'GaussianBlur', 'AxisMask', 'TemporalFlip'}
    assert build(name).probability == (0.5 if name in half else 1.0)


@pytest.mark.parametrize('layout', ['ntu25', 'kinect20'])
@pytest.mark.parametrize('name', sorted(OPS.keys() - {'SkeleMix', 'RandomJointMask', 'TokenNoise'}))
def test_absent_persons_stay_absent(name, layout):
    op, x = build(name, probability=1.0), clips(layout=layout)
    out = op.apply(x, op.draw(spec(layout=layout), generator(0, 0)), partners_in(x))
    assert out[::2, ..., 1].abs().max() == 0
    assert (out[::2, ..., 0] != x[::2, ..., 0]).any() and (out[1::2, ..., 1] != x[1::2, ..., 1]).any()


@pytest.mark.parametrize('name', OPS)
def test_precision_is_kept_and_the_clip_is_not_touched(name):
    op = build(name, probability=1.0)
    params = op.draw(spec(), generator(0, 0))
    single, double = clips(), clips().double()
    before = single.clone()
    out_single, out_double = (op.apply(x, params, partners_in(x)) for x in (single, double))
    assert torch.equal(single, before)
    assert (out_single.dtype, out_double.dtype) == (torch.float32, torch.float64)
    torch.testing.assert_close(out_single.double(), out_double, rtol=1e-4, atol=1e-5)


def noise_of_a_device(self, seeds, like):
    return normal(seeds, like[0].numel()).view(like.shape).to(like)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('name', OPS)
def test_a_gpu_makes_the_same_clips(name, monkeypatch):
    monkeypatch.setattr(GaussianNoise, 'noise', noise_of_a_device)  # which the CPU has, too, but does not use
    op, x = build(name), clips()
    params = op.draw(spec(), generator(0, 0))
    partners = partners_in(x)
    on_gpu = {key: value.cuda() for key, value in params.items()}
    out = op.apply(x.cuda(), on_gpu, lambda shift: partners(shift.cpu()).cuda())
    torch.testing.assert_close(out.cpu(), op.apply(x, params, partners), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    'build',
    [
        lambda: Crop(ratio=0),
        lambda: CropResize(share=(0, 1)),
        lambda: CropResize(share=(0.9, 0.5)),
        lambda: CropResize(share=(0.5, 1.1)),
        lambda: CropResize(min_frames=0),
        lambda: CropResize(num_frames=0),
        lambda: CropResize(place='start'),
        lambda: SkeleMix(parts=(0, 2)),
        lambda: Shear(per='epoch'),
        lambda: Rotate(on='bone'),
        lambda: SpatialFlip(probability=1.1),
        lambda: TemporalFlip(probability=-0.1),
        lambda: AxisMask(per='clip'),
        lambda: GaussianNoise(std=-1),
        lambda: GaussianBlur(taps=4),
        lambda: GaussianBlur(sigma=(0, 1)),
        lambda: GaussianBlur(sigma=(2, 1)),
        lambda: SkeleAdaIN(statistics='person'),
        lambda: RandomRotation(degrees=-1),
        lambda: RandomRotation(degrees=(10, 10)),
        lambda: JointCorruption(zero_probability=1.5),
        lambda: JointCorruption(ratio=0.01).draw(spec(), generator(0, 0)),
        lambda: JointCorruption(ratio=1.1).draw(spec(), generator(0, 0)),
        lambda: ScaleAxes(factors=(0, 1)),
        lambda: LimbScale(factors=(1.2, 0.8)),
        lambda: RandomJointMask(ratio=0.01).draw(spec(), generator(0, 0)),
        lambda: RandomJointMask(ratio=1.1).draw(spec(), generator(0, 0)),
        lambda: SkeleAdaIN().draw(spec(batch=1), generator(0, 0)),
    ],
)
def test_bad_settings_are_refused(build):
    with pytest.raises(ConfigError):
        build()
