"""Frames left out by motion, joints by their degree, tokens in tubes, in clips of any skeleton."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.augment import CentralSpatialMasking, ClipSpec, MotionAttentionTemporalMasking, TubeMask, generator
from skeattn.augment.functional import frame_motion, stillest
from skeattn.augment.masking import by_degree, remaining, tubes
from skeattn.errors import ConfigError
from skeattn.models.preprocessor import SkeletonPreprocessor
from skeattn.skeletons import LAYOUTS, SkeletonLayout, get_layout
from tests.augment.clips import clips, spec

TEMPORAL = {'type': 'MotionAttentionTemporalMasking', 'on': 'stream'}
SPATIAL = {'type': 'CentralSpatialMasking'}
layouts = st.sampled_from(sorted(LAYOUTS))


@st.composite
def trees(draw):
    """A skeleton of any shape."""
    parents = [0, *(draw(st.integers(0, j - 1)) for j in range(1, draw(st.integers(5, 30))))]
    V = len(parents)
    return SkeletonLayout(
        'tree', tuple(map(str, range(V))), tuple(parents), (), {'all': tuple(range(V))}, 0, (0, 1), (0, 1)
    )


def without_moving(x, seed=0, **options):
    op = MotionAttentionTemporalMasking(**options)
    params = op.draw(ClipSpec(x.shape[2], get_layout('ntu25'), len(x)), generator(seed, 0))
    return op, params, op.apply(x, params, None)


@given(
    layout=layouts,
    T=st.integers(6, 40),
    ratio=st.floats(0.1, 0.4),
    seed=st.integers(0, 10**6),
    per=st.sampled_from(['sample', 'batch']),
)
def test_frames_keep_their_order_and_those_that_move_most_are_left_out(layout, T, ratio, seed, per):
    x = clips(4, T, layout, torch.float64)
    op, params, out = without_moving(x, seed, ratio=ratio, per=per)
    d, frames = round(ratio * T), op.frames(x, params)
    assert out.shape[2] == frames.shape[1] == op.frames_left(T) == T - 2 * d
    assert (frames.diff(dim=1) > 0).all()
    for clip, kept, result in zip(x, frames.tolist(), out, strict=True):
        motion = [(clip[:, t + 1] - clip[:, t]).square().mean().item() for t in range(T - 1)] + [0.0]
        moving = sorted(range(T), key=motion.__getitem__)[T - d :]
        assert not set(kept) & set(moving) and torch.equal(result, clip[:, kept])
    assert (per == 'sample') or (params['places'] == params['places'][:1]).all()


@given(T=st.integers(5, 30), seed=st.integers(0, 10**6), per=st.sampled_from(['sample', 'batch']))
def test_a_clip_loses_its_own_frames_whoever_shares_its_process(T, seed, per):
    x = clips(5, T)
    op, params, together = without_moving(x, seed, per=per)
    for i in range(5):
        alone = op.apply(x[i : i + 1], {key: value[i : i + 1] for key, value in params.items()}, None)
        assert torch.equal(alone[0], together[i])


def test_every_frame_that_moves_little_can_be_kept():
    x = clips(1, 10, dtype=torch.float64).expand(2000, -1, -1, -1, -1)
    op, params, _ = without_moving(x)
    still = stillest(frame_motion(x[:1], 3, False), 8)[0]
    counts = torch.bincount(op.frames(x, params).flatten(), minlength=10) / 2000
    expected = torch.zeros(10).index_fill(0, still, 6 / 8)
    torch.testing.assert_close(counts, expected, rtol=0, atol=0.05)


def test_of_equal_frames_the_earlier_are_kept():
    motion = torch.tensor([[1.0, 0, 1, 0, 1, 0, 1, 0]])
    assert stillest(motion, 6).tolist() == [[0, 1, 2, 3, 5, 7]]


@pytest.mark.parametrize('absent', [False, True])
def test_who_appears_moves_only_as_released(absent):
    """A body far from the origin that is there from frame 6 on, or whose hand is missing in frame 3."""
    x = 5 + 0.01 * clips(2, 10, dtype=torch.float64)
    x[0, :, :6, :, 0] = 0
    x[0, ..., 1] = 0
    x[1, :, 3, 7] = 0
    motion = frame_motion(x, 3, absent)
    jumps = motion > 0.1
    assert jumps[0].nonzero().flatten().tolist() == ([5] if absent else [])
    assert jumps[1].nonzero().flatten().tolist() == ([2, 3] if absent else [])


def test_scores_and_marks_go_with_their_frames_and_are_no_motion():
    x = clips(3, 12, dtype=torch.float64)
    beside = 100 * torch.rand(3, 2, 12, 25, 2, dtype=torch.float64)
    op, params, out = without_moving(x)
    both = op.apply(torch.cat([x, beside], dim=1), params, None)
    assert torch.equal(both[:, :3], out)
    frames = op.frames(x, params)
    expected = torch.stack([clip[:, kept] for clip, kept in zip(beside, frames.tolist(), strict=True)])
    assert torch.equal(both[:, 3:], expected)


@given(layout=st.one_of(layouts.map(get_layout), trees()), seed=st.integers(0, 10**6), ratio=st.floats(0.15, 0.8))
def test_joints_are_left_out_in_every_skeleton(layout, seed, ratio):
    V, op = layout.num_joints, CentralSpatialMasking(ratio)
    params = op.draw(ClipSpec(16, layout, 6), generator(seed, 0))
    joints = op.notes(params, 16)['joints']
    assert joints.shape[0] == 6 and (joints == joints[:1]).all() and (joints.diff(dim=1) > 0).all()
    assert 1 <= V - joints.shape[1] <= round(ratio * V) and joints.min() >= 0 and joints.max() < V
    x = torch.randn(6, 3, 2, V, 1)
    assert op.apply(x, params, None) is x


@given(st.one_of(layouts.map(get_layout), trees()))
def test_a_joint_stands_in_the_multiset_once_for_each_of_its_bones(layout):
    degrees = [sum(joint in bone for bone in layout.bones) for joint in range(layout.num_joints)]
    assert torch.bincount(by_degree(layout), minlength=layout.num_joints).tolist() == degrees


@pytest.mark.slow
def test_the_chance_of_a_joint_is_its_degree():
    layout = get_layout('kinect20')
    V, op = layout.num_joints, CentralSpatialMasking(1 / 20)
    drawn = torch.zeros(V)
    for seed in range(4000):
        joints = op.draw(ClipSpec(16, layout, 1), generator(seed, 0))['joints'][0]
        drawn += 1 - torch.zeros(V).index_fill(0, joints, 1)
    degrees = torch.bincount(by_degree(layout)) / (2 * V - 2)
    torch.testing.assert_close(drawn / 4000, degrees, rtol=0, atol=0.03)


def test_a_joint_drawn_twice_is_left_out_once():
    assert remaining(torch.tensor([2, 0, 2]), 5).tolist() == [1, 3, 4]


@pytest.mark.parametrize('stream', ['joint', 'motion', 'bone'])
def test_the_preprocessor_masks_the_derived_stream(stream):
    views = {'query': {'crop': {'type': 'Crop'}}, 'temporal': {'source': 'query', 'frames': TEMPORAL}}
    preprocessor = SkeletonPreprocessor('ntu25', stream, views)
    preprocessor.begin_iteration(3, 7)
    inputs = preprocessor({'inputs': clips(4, 20)}, training=True)['inputs']
    op = MotionAttentionTemporalMasking()
    params = op.draw(spec(4, 20), generator(3, 7, 'temporal', 'frames'))
    expected = op.apply(inputs['query'].permute(0, 2, 3, 4, 1), params, None).permute(0, 4, 1, 2, 3)
    assert torch.equal(inputs['temporal'], expected) and inputs['temporal'].shape[3] == 12


def test_later_operations_on_the_stream_have_the_frames_that_are_left():
    mask = {'type': 'RandomJointMask', 'ratio': 0.2, 'fill': 5.0, 'on': 'stream'}
    mixed = {'type': 'SkeleMix', 'units': (4, 5)}  # on joints, so it comes first, on all frames
    views = {'temporal': {'frames': TEMPORAL, 'mask': mask, 'mix': mixed}}
    preprocessor = SkeletonPreprocessor('ntu25', views=views)
    for iteration in range(2):  # in the second, all draws are made before the first view
        preprocessor.begin_iteration(0, iteration)
        inputs = preprocessor({'inputs': clips(4, 20)}, training=True)['inputs']
        assert inputs['temporal'].shape == (4, 2, 3, 12, 25) and inputs['temporal.masked'].shape == (4, 12, 25)
        assert inputs['temporal.grid'].shape == (4, 5, 25)
        where = inputs['temporal.masked'][:, None, None].expand_as(inputs['temporal'])
        assert (inputs['temporal'][where] == 5).all() and (inputs['temporal'][~where] != 5).all()


def test_missing_joints_are_zero_in_the_frames_that_are_left():
    missing = torch.zeros(4, 20, 25, 2, dtype=torch.bool)
    missing[:, :, 4] = True
    preprocessor = SkeletonPreprocessor('ntu25', 'bone', {'temporal': {'frames': TEMPORAL}})
    preprocessor.begin_iteration(0, 0)
    x = preprocessor({'inputs': clips(4, 20), 'missing': missing}, training=True)['inputs']['temporal']
    assert (x[..., 4] == 0).all() and (x[..., 5] == 0).all() and (x[:, 0, ..., 7] != 0).any()


def test_half_of_a_global_batch_is_drawn_as_the_whole(monkeypatch):
    views = {'temporal': {'frames': TEMPORAL}, 'spatial': {'joints': SPATIAL}}

    def drawn(x):
        preprocessor = SkeletonPreprocessor('ntu25', views=views)
        preprocessor.begin_iteration(1, 4)
        return preprocessor({'inputs': x}, training=True)['inputs']

    x = clips(6, 20)
    whole = drawn(x)
    monkeypatch.setattr('skeattn.models.preprocessor.get_world_size', lambda: 2)
    for rank in range(2):
        monkeypatch.setattr('skeattn.models.preprocessor.get_rank', lambda rank=rank: rank)
        part = drawn(x[3 * rank : 3 * rank + 3])
        for name, value in part.items():
            assert torch.equal(value, whole[name][3 * rank : 3 * rank + 3]), name


@pytest.mark.parametrize('ratio', [0.0, 0.01, 0.5, -0.2])
def test_frames_that_cannot_be_left_out_are_refused(ratio):
    with pytest.raises(ConfigError, match=r'MotionAttentionTemporalMasking: ratio=.* of 16 frames'):
        MotionAttentionTemporalMasking(ratio).draw(spec(), generator(0, 0))


@pytest.mark.parametrize('ratio', [0.0, 0.01, 1.0, 1.5])
def test_joints_that_cannot_be_left_out_are_refused(ratio):
    with pytest.raises(ConfigError, match=r'CentralSpatialMasking: ratio=.* of 25 joints'):
        CentralSpatialMasking(ratio).draw(spec(), generator(0, 0))


def tube_masks(count=400, frames=64, patch=8, layout='ntu25', seed=0, **settings):
    op = TubeMask(patch, **settings)
    return op.draw(ClipSpec(frames, get_layout(layout), count), generator(seed, 0))


@settings(max_examples=20)
@given(
    frames=st.sampled_from([8, 16, 32, 64]),
    layout=st.sampled_from(['ntu25', 'kinect20', 'coco17']),
    low=st.floats(0.1, 0.5),
    high=st.floats(0.5, 0.95),
    seed=st.integers(0, 999),
)
def test_tubes_mask_no_more_than_their_budget_and_list_the_masked_tokens(frames, layout, low, high, seed):
    drawn = tube_masks(20, frames, layout=layout, seed=seed, ratio=(low, high))
    cells = frames // 8 * get_layout(layout).num_joints
    counts = drawn['masked'].sum(dim=1)
    assert drawn['masked'].shape == (20, cells) and counts.any() and (counts <= int(cells * high)).all()
    first = torch.arange(drawn['places'].shape[1]) < counts[:, None]
    assert torch.equal(drawn['masked'].gather(1, drawn['places']), first)
    assert all(row.unique().numel() == row.numel() for row in drawn['places'])


def test_shares_of_masked_tokens_are_stratified_over_the_batch():
    counts = tube_masks()['masked'].sum(dim=1).sort().values / 200
    expected = torch.linspace(0.5, 0.9, 400)
    assert (counts <= expected + 0.4 / 400 + 1e-6).all()
    assert (expected - counts).mean() < 0.02  # ten refused tubes seldom end a mask early


def tubes_one_by_one(budget, groups, patches, joints, largest, rand):
    """The mask of one clip as SLiM's paper and release describe it, in plain Python."""
    mask, refused = np.zeros((patches, joints), bool), 0
    while mask.sum() < budget and refused < 10:
        part = groups[int(rand() * len(groups))]
        w = 1 + int(rand() * len(part))
        begin = int(rand() * (len(part) - w + 1))
        most = min(budget - mask.sum(), largest)
        area = patches + rand() * (most - patches)
        h = min(max(round(area / w), 1), patches)
        top = int(rand() * (patches - h + 1))
        wider = mask.copy()
        wider[top : top + h, part[begin : begin + w]] = True
        if 0 < wider.sum() - mask.sum() <= most:
            mask, refused = wider, 0
        else:
            refused += 1
    return mask


@settings(max_examples=30)
@given(
    budget=st.integers(1, 180),
    patches=st.integers(1, 9),
    layout=st.sampled_from(['ntu25', 'kinect20']),
    largest=st.sampled_from([20, 100]),
    seed=st.integers(0, 999),
)
def test_tubes_are_those_drawn_one_by_one(budget, patches, layout, largest, seed):
    layout = get_layout(layout)
    budget = min(budget, patches * layout.num_joints)
    groups = [list(part) for part in layout.parts.values()]
    arguments = (groups, patches, layout.num_joints, largest)
    ours = tubes(np.array([budget]), *arguments, iter(np.random.default_rng(seed).random((10_000, 1))))
    draws = iter(np.random.default_rng(seed).random(10_000).tolist())
    assert np.array_equal(ours[0], tubes_one_by_one(budget, *arguments, lambda: next(draws)))


def test_a_mask_of_a_clip_depends_on_its_place_in_the_global_batch_alone():
    op, batch = TubeMask(), spec(8, 64)
    one, again = (op.draw(batch, generator(3, 5)) for _ in range(2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one['masked'], op.draw(batch, generator(3, 6))['masked'])
    assert 0.3 < tube_masks()['coin'].float().mean() < 0.7


def test_the_parts_of_a_kinect_2_skeleton_are_those_of_the_release_in_its_order():
    """A tube is a run of them: the spine is joint 0, 1 and 20, the neck joint 2."""
    arms = (4, 5, 6, 7, 21, 22), (8, 9, 10, 11, 23, 24)
    parts = get_layout('ntu25').parts
    assert parts['trunk'] == (0, 1, 20, 2, 3) and (parts['left_arm'], parts['right_arm']) == arms


def test_settings_of_tubes_that_cannot_work_are_named():
    for wrong in ({'ratio': (0.9, 0.5)}, {'ratio': (0.5, 1.0)}, {'largest': 0}):
        with pytest.raises(ConfigError, match='TubeMask: '):
            TubeMask(**wrong)
