"""Whatever a user passes as clips is either embedded or refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skeattn.apis import load_encoder
from skeattn.apis.clips import Preparation
from skeattn.datasets.synthetic import generate, write_skeleton_file
from skeattn.errors import ConfigError, DataError, SkeAttnError
from skeattn.skeletons import SkeletonLayout, corresponding, get_layout
from tests.apis.conftest import SELF_SUPERVISED

NTU, AXES = get_layout('ntu25'), ('x', 'y', 'z')
PIPELINE = {
    'centre': {'type': 'Centre', 'joint': 'root', 'reference': 'frame'},
    'resample': {'type': 'Resample', 'num_frames': 8},
    'pack': {'type': 'PackClip', 'num_persons': 2},
}
RAW = {'pack': {'type': 'PackClip', 'num_persons': 1}}


def prepare(clips, encoders='ntu25', values=AXES, pipeline=PIPELINE, **stated):
    """Clips for an encoder of a layout and of values; further arguments are stated of the clips."""
    return Preparation(get_layout(encoders), values, pipeline)(clips, **stated)


def clip(T=6, V=25, C=3, seed=0):
    return (np.random.default_rng(seed).normal(size=(T, V, C)) + [0, 1, 3][:C]).astype(np.float32)


def test_every_form_of_the_same_clips_is_the_same(tmp_path: Path) -> None:
    clips = [clip(seed=i) for i in range(3)]
    np.save(tmp_path / 'b.npy', clips[1])
    expected = prepare(clips).clips
    forms = [
        np.stack(clips)[:, None],
        torch.tensor(np.stack(clips)[:, None]),
        tuple(torch.from_numpy(item) for item in clips),
        (item[None].astype(np.float64) for item in clips),
        {f'c{i}': item for i, item in enumerate(clips)},
        [clips[0], tmp_path / 'b.npy', torch.tensor(clips[2]).requires_grad_()],
    ]
    for form in forms:
        torch.testing.assert_close(prepare(form).clips, expected, rtol=0, atol=0)
    assert prepare({'walk': clips[0]}).names == ['walk']
    assert prepare(forms[-1]).names == ['clip 0', 'b', 'clip 2']
    torch.testing.assert_close(prepare(clips[0]).clips, expected[:1])


@pytest.mark.parametrize(
    ('factor', 'step', 'unit'),
    [
        (1, {}, None),
        (100, {}, 'centimetres'),
        (1000, {}, 'millimetres'),
        (1000, {'scale': {'type': 'ScaleBody'}}, None),
    ],
)
def test_clips_in_another_unit_than_metres_are_named_once(factor, step, unit, monkeypatch) -> None:
    """Their features are those of a giant. A pipeline that scales bodies reads any unit."""
    said: list[str] = []
    monkeypatch.setattr('skeattn.apis.clips.print_log', lambda text, *_: said.append(text))
    clips = [factor * clip.keypoint[:1] for clip in generate(0, 3)]
    prepare(clips, pipeline={**step, **PIPELINE})
    assert len(said) == (unit is not None)
    assert all(f'probably {unit}, ' in line and line.endswith(f'the coordinates by {factor}') for line in said)


@pytest.mark.slow
def test_a_packed_set_keeps_its_names_classes_and_subjects(packed) -> None:
    for form in (packed, packed.path, str(packed.path)):
        found = prepare(form)
        assert found.names == packed.table['name'].tolist() and found.classes == ('class0', 'class1', 'class2')
        assert found.labels.tolist() == packed.table['label'].tolist()
        assert found.subjects.tolist() == packed.table['subject'].tolist()
    torch.testing.assert_close(found.clips, prepare([packed.clip(i) for i in range(len(packed))]).clips)
    both = prepare([clip(), packed.path])
    assert len(both) == 1 + len(packed) and both.labels[0] == -1


def test_a_masked_array_has_missing_joints() -> None:
    values = clip()
    masked = np.ma.MaskedArray(values, mask=np.zeros_like(values, bool))
    masked[2:4, 7] = np.ma.masked
    values[2:4, 7] = np.nan
    found, expected = prepare(masked), prepare(values)
    assert found.missing is not None and found.missing.any()
    assert torch.equal(found.missing, expected.missing) and torch.equal(found.clips, expected.clips)


def test_joints_of_another_layout_are_converted_by_name() -> None:
    values = clip()
    kinect = values[:, list(corresponding(NTU, get_layout('kinect20')))]
    found = prepare(values, 'kinect20', layout='ntu25', pipeline=RAW)
    torch.testing.assert_close(found.clips, prepare(kinect, 'kinect20', pipeline=RAW).clips)


def test_a_file_of_another_layout_is_converted(tmp_path: Path) -> None:
    clip = next(iter(generate(3, 1)))
    write_skeleton_file(tmp_path / 'a.skeleton', clip.keypoint)
    found = prepare(tmp_path / 'a.skeleton', 'kinect20')
    expected = clip.keypoint[:, :, list(corresponding(NTU, get_layout('kinect20')))]
    torch.testing.assert_close(found.clips, prepare(expected, 'kinect20').clips, atol=1e-5, rtol=0)


def test_missing_joints_of_the_encoders_layout_are_listed() -> None:
    with pytest.raises(ConfigError) as error:
        prepare(clip(V=17), layout='coco17')
    text = str(error.value)
    assert text.startswith('clip 0: ') and "trained on 'coco17'" in text
    missing = [joint for joint in NTU.joints if joint not in get_layout('coco17').joints]
    assert f"'ntu25' has joints that layout 'coco17' lacks: {', '.join(missing)};" in text


def test_a_score_finds_missing_joints_and_is_dropped() -> None:
    scored = clip(V=18, C=3, seed=1)
    scored[..., 2] = 1
    scored[1, 3, 2] = 0
    found = prepare(scored, 'openpose18', ('x', 'y'), RAW, channels=('x', 'y', 'score'))
    assert found.clips.shape == (1, 2, 6, 18, 1)
    assert found.missing is not None and torch.nonzero(found.missing).tolist() == [[0, 1, 3, 0]]
    kept = torch.ones(6, 18, dtype=torch.bool)
    kept[1, 3] = False
    torch.testing.assert_close(
        found.clips[0, ..., 0][:, kept], torch.from_numpy(scored[..., :2]).permute(2, 0, 1)[:, kept]
    )


@pytest.mark.parametrize(
    ('clips', 'stated', 'error', 'message'),
    [
        ([], {}, DataError, 'there are no clips; pass at least one'),
        (7, {}, DataError, 'clips=7 is a int; pass arrays, paths, or a packed set'),
        ([clip(), None], {}, DataError, 'clip 1 holds a NoneType, not numbers'),
        ([clip(), 'absent.npy'], {}, DataError, r'absent\.npy does not exist'),
        ([[[1.0, 2.0], [1.0]]], {}, DataError, 'clip 0 is no array'),
        (list(clip()), {}, DataError, r'clip 0 has shape \(25, 3\).*a list holds one array per clip: stack the frames'),
        (clip(V=17), {}, DataError, r'clip 0 has shape \(6, 17, 3\).* joints of coco17 or h36m17, pass layout='),
        (clip(C=2), {}, DataError, r'shape \(6, 25, 2\); layout .ntu25. needs \(T, 25, 3\).* values x, y, z'),
        (clip(), {'layout': 'nothing'}, ConfigError, "unknown skeleton layout 'nothing'"),
        (clip(), {'layout': 3}, ConfigError, 'unknown skeleton layout 3'),
        (clip(), {'layout': {}}, ConfigError, 'has no valid definition: .*joints is missing'),
        (clip(), {'layout': ['ntu25']}, ConfigError, 'name one layout'),
        (clip(), {'channels': 'x,y,score'}, DataError, 'clip 0: its joints have the values x, y, score, but'),
        (clip(), {'channels': ('x', 'score')}, ConfigError, 'name x, y or x, y, z first'),
        (clip(), {'channels': ('x', 'y', 'score')}, DataError, 'clip 0: its joints have the values x, y, score, but'),
        (np.array([['a']]), {}, DataError, 'clip 0 holds <U1, not numbers'),
        (np.full((5, 25, 3), 1e39), {}, DataError, 'clip 0: NaN or infinite coordinate at person 0, frame 0'),
    ],
)
def test_what_is_no_clip_is_named_with_its_cure(clips, stated, error, message) -> None:
    with pytest.raises(error, match=message):
        prepare(clips, **stated)


@pytest.mark.slow
def test_a_folder_of_packed_sets_is_none(packed) -> None:
    folder = packed.path.parent
    with pytest.raises(
        DataError, match=rf'{folder} is no packed set, but a folder of {packed.path}; pass one or a list'
    ):
        prepare(folder)


@pytest.mark.slow
def test_a_stated_layout_that_a_packed_set_does_not_have(packed) -> None:
    with pytest.raises(ConfigError, match=r"layout='coco17', but .* has layout 'ntu25'; leave layout out"):
        prepare(packed, layout='coco17')


def test_clips_that_the_pipeline_leaves_at_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match=r'clip 1: shape \(7, 25, 1\) after the pipeline'):
        prepare([clip(6), clip(7)], pipeline=RAW)


def test_labels_are_names_or_numbers_and_may_be_missing() -> None:
    found = prepare([clip(seed=i) for i in range(4)])
    found.relabel(np.array([10, 2, 10, 9]))
    assert (found.classes, found.labels.tolist()) == (('2', '9', '10'), [2, 0, 2, 1])
    found.relabel(['b', None, 'a', float('nan')])
    assert (found.classes, found.labels.tolist()) == (('a', 'b'), [1, -1, 0, -1])
    found.relabel([torch.tensor(3), 'x', '', 3])
    assert (found.classes, found.labels.tolist()) == (('3', 'x'), [0, 1, -1, 0])
    found.relabel(np.array([1, -1, 0, -1]))  # as the column of a packed set
    assert (found.classes, found.labels.tolist()) == (('0', '1'), [1, -1, 0, -1])
    for arrays in (np.eye(4), np.zeros((4, 1)), [[0], [1], [2], [3]]):
        with pytest.raises(DataError, match='one name or number for each clip, not an array or a list'):
            found.relabel(arrays)
    with pytest.raises(DataError, match='2 labels for 4 clips; give one for each clip'):
        found.relabel(['a', 'b'])


CROWDS = {(40, 1): True, (20, 30): True, (3, 1): False, (10, 30): False}


@pytest.mark.parametrize(('shape', 'crowd'), CROWDS.items(), ids=str)
def test_more_persons_than_meet_are_probably_frames_or_clips(monkeypatch, shape, crowd) -> None:
    said: list[str] = []
    monkeypatch.setattr('skeattn.apis.clips.print_log', lambda text, *_: said.append(text))
    prepare([np.ones((*shape, 25, 3), np.float32)], pipeline=RAW)
    assert [f'{shape[0]} persons in {shape[1]} frames' in text for text in said] == [True] * crowd


VALUES = st.one_of(
    st.floats(-3, 3, width=32),
    st.floats(width=32),
    st.sampled_from([0.0, -1.0, float('nan'), float('inf'), float(np.float32(3e38)), float(np.float32(1e-42))]),
)
SHAPES = st.lists(st.integers(0, 4), max_size=5).map(tuple) | st.tuples(
    st.integers(0, 2), st.integers(0, 4), st.sampled_from([24, 25]), st.sampled_from([2, 3])
)
DTYPES = st.sampled_from([np.float32, np.float64, np.float16, np.int64, np.int8, np.bool_, np.complex64])


@given(SHAPES.flatmap(lambda shape: st.tuples(DTYPES, hnp.arrays(np.float32, shape, elements=VALUES, fill=VALUES))))
def test_any_array_is_finite_after_the_pipeline_or_refused_by_name(case) -> None:
    dtype, values = case
    with np.errstate(all='ignore'):
        array = values.astype(dtype)
    try:
        found = prepare([clip(), array])
    except SkeAttnError as error:
        assert 'clip 1' in str(error) and len(str(error)) > 20
    else:
        assert found.clips.shape == (2, 3, 8, 25, 2) and torch.isfinite(found.clips).all()
        assert array.shape[-2:] == (25, 3)


def test_labels_by_the_names_of_the_clips(encoder, clips) -> None:
    named = {f'n{i}': clip for i, clip in enumerate(clips[:3])}
    bank = encoder.bank(named, labels={'n2': 'sit', 'n0': 'wave'})
    assert bank.classes == ('sit', 'wave') and bank.features.labels.tolist() == [1, -1, 0]
    with pytest.raises(DataError, match='labels of clips that are not there: n7'):
        encoder.bank(named, labels={'n7': 'sit'})
    with pytest.raises(DataError, match="labels='abc' is one text"):
        encoder.bank(named, labels='abc')


@pytest.mark.slow
def test_a_layout_stated_at_the_beginning_is_that_of_all_clips(reader, clips) -> None:
    """The joints of NTU in reverse order are converted by their names."""
    last = NTU.num_joints - 1
    backwards = SkeletonLayout(
        name='backwards',
        joints=NTU.joints[::-1],
        parents=tuple(last - parent for parent in NTU.parents[::-1]),
        mirror=tuple((last - a, last - b) for a, b in NTU.mirror),
        parts={part: tuple(last - joint for joint in joints) for part, joints in NTU.parts.items()},
        hip=last - NTU.hip,
        spine=tuple(last - joint for joint in NTU.spine),
        shoulders=tuple(last - joint for joint in NTU.shoulders),
    )
    encoder = load_encoder(reader / SELF_SUPERVISED, 'cpu')
    stated = load_encoder(reader / SELF_SUPERVISED, 'cpu', layout=backwards)
    np.testing.assert_allclose(stated.embed(clips[0][:, ::-1]), encoder.embed(clips[0]), atol=1e-5)
    with pytest.raises(ConfigError, match="unknown skeleton layout 'nonsense'"):
        load_encoder(reader / SELF_SUPERVISED, 'cpu', layout='nonsense')
