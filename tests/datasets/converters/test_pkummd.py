"""PKU-MMD: actions cut out of raw text videos, sides from the split files, whatever is wrong named and left out."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.datasets import PackedSet, split
from skeattn.datasets.converters.pkummd import Action, convert, parse, read_action, read_split
from skeattn.datasets.converters.source import bundled
from skeattn.datasets.packed import convert_arguments
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import read_config
from skeattn.errors import ConfigError, DataError
from tests.conftest import ROOT

VIDEOS = {1: ('0002-L', '0002-M', '0003-R'), 2: ('A01N02-L', 'A01N02-M', 'A26N13-R')}
CLIPS = {
    1: ('F002V1C008L001', 'F002V1C051L002', 'F002V2C008L001', 'F002V2C051L002', 'F003V3C008L001', 'F003V3C051L002'),
    2: ('A001N002V1C008L001', 'A001N002V1C051L002', 'A001N002V2C008L001', 'A001N002V2C051L002',
        'A026N013V3C008L001', 'A026N013V3C051L002'),
}  # fmt: skip
SPLITS = {1: ('cross-subject.txt', 'cross-view.txt'), 2: ('cross_subject_v2.txt', 'cross_view_v2.txt')}
LABELS = '8,3,12,2\n51,20,39,1\n'


def video(seed, frames=40):
    """Two persons ``(2, T, 25, 3)``; the second is there in frames 30 to 34 (from 1) alone."""
    keypoint = (0.5 + np.random.default_rng(seed).random((2, frames, 25, 3))).round(4)
    keypoint[1, :29] = keypoint[1, 34:] = 0
    return keypoint


def text(keypoint):
    rows = keypoint.swapaxes(0, 1).reshape(keypoint.shape[1], -1)
    return '\n'.join(' '.join(f'{value:.7g}' for value in row) for row in rows) + '\n'


def split_text(train, test):
    return f'Training videos:\n{", ".join(train)}\nValidation videos:\n{", ".join(test)}\n'


def tree(folder: Path, part: int = 1, labels: str = LABELS) -> Path:
    """Raw files of three videos as the data set's site ships them."""
    for name in ('Skeleton', 'Label', 'Split'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(VIDEOS[part]):
        (folder / f'Skeleton/{name}.txt').write_text(text(video(seed)))
        (folder / f'Label/{name}.txt').write_text(labels)
    first, second, third = VIDEOS[part]
    (folder / f'Split/{SPLITS[part][0]}').write_text(split_text([first, second], [third]))
    (folder / f'Split/{SPLITS[part][1]}').write_text(split_text([second, third], [first]))
    return folder


def packed(folder, **options) -> PackedSet:
    convert(folder, folder.parent / 'packed', overwrite=True, jobs=1, **options)
    return PackedSet.open(folder.parent / 'packed')


def skipped(packed):
    return {skip['name']: skip['reason'] for skip in packed.manifest['skipped']}


@pytest.mark.parametrize('part', [1, 2])
def test_actions_become_clips_with_the_sides_of_the_split_files(tmp_path, part):
    out = packed(tree(tmp_path / 'raw', part))
    assert tuple(out.table['name']) == CLIPS[part] and out.manifest['dataset'] == f'pkummd{part}'
    assert out.layout.name == 'ntu25' and out.classes == bundled('pkummd_actions.txt') and not skipped(out)
    assert out.table['label'].tolist() == [7, 50] * 3
    assert out.table['camera'].tolist() == [1, 1, 2, 2, 3, 3]
    assert out.table['video'].tolist() == ([2, 2, 2, 2, 3, 3] if part == 1 else [1, 1, 1, 1, 26, 26])
    assert out.table['subject'].tolist() == ([-1] * 6 if part == 1 else [2, 2, 2, 2, 13, 13])
    assert [side.tolist() for side in split(out, 'xsub')] == [[0, 1, 2, 3], [4, 5]]
    assert [side.tolist() for side in split(out, 'xview')] == [[2, 3, 4, 5], [0, 1]]


def test_frames_are_those_of_the_label_and_the_second_person_is_there_where_it_is(tmp_path):
    out = packed(tree(tmp_path / 'raw'))
    for i in range(6):
        alone, together = video(i // 2)[:1, 2:12], video(i // 2)[:, 19:39]
        np.testing.assert_array_equal(out.clip(i), (together if i % 2 else alone).astype(np.float32))
    assert out.table['persons'].tolist() == [1, 2] * 3


def test_a_second_person_whose_values_sum_to_zero_is_none(tmp_path):
    raw = tree(tmp_path / 'raw')
    keypoint = video(0)
    keypoint[1, 25] = np.resize([1, -1, 0], (25, 3))
    (raw / 'Skeleton/0002-L.txt').write_text(text(keypoint))
    np.testing.assert_array_equal(packed(raw).clip(1), video(0)[:, 19:39].astype(np.float32))


@pytest.mark.parametrize(('frames', 'first'), [(299, 0), (300, 0), (301, 0), (302, 1), (401, 50), (402, 51)])
def test_of_a_long_action_the_central_300_frames_are_kept(tmp_path, frames, first):
    raw = tree(tmp_path / 'raw', labels=f'1,11,{10 + frames},1\n')
    keypoint = video(5, frames=420)
    for name in VIDEOS[1]:
        (raw / f'Skeleton/{name}.txt').write_text(text(keypoint))
    expected = keypoint[:, 10 + first : 10 + first + min(frames, 300)]
    clip = packed(raw).clip(0)
    np.testing.assert_array_equal(clip, expected[: len(clip)].astype(np.float32))
    assert len(clip) == 2 if expected[1].any() else 1


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        ('8,12,3,2', 'from frame 12 to 3 has no frames'),
        ('8,0,3,2', 'from frame 0 to 3 has no frames'),
        ('8,30,41,2', 'frames 30 to 41 are outside the 40 of the video'),
        ('0,1,3,2', 'class 0 is outside 1..51'),
        ('52,1,3,2', 'class 52 is outside 1..51'),
        ('8 1 3 2', 'not class, first frame, last frame, confidence'),
        ('8,1,three,2', 'not class, first frame, last frame, confidence'),
        ('', 'not class, first frame, last frame, confidence'),
    ],
)
def test_an_unusable_line_is_left_out_or_stops_a_strict_conversion(tmp_path, line, reason):
    raw = tree(tmp_path / 'raw')
    (raw / 'Label/0002-M.txt').write_text(f'8,3,12,2\n{line}\n51,20,39,1\n')
    out = packed(raw)
    assert len(out) == 6 and out.table['name'][3] == 'F002V2C051L003'
    (message,) = skipped(out).values()
    assert '0002-M.txt, line 2' in message and reason in message
    with pytest.raises(DataError, match=rf'0002-M\.txt, line 2.*{reason}.*--strict'):
        packed(raw, strict=True)


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (lambda rows: [*rows[:5], rows[5] + ' 1', *rows[6:]], 'line 4 of the action is not the 150 numbers'),
        (lambda rows: [*rows[:5], rows[5].replace('.', 'x', 1), *rows[6:]], 'line 4 of the action is not the 150'),
        (lambda rows: [*rows[:5], '', *rows[6:]], 'line 4 of the action is not the 150 numbers'),
        (lambda rows: [*rows[:2], *[' '.join(['0'] * 150)] * 10, *rows[12:]], 'no body in any frame'),
        (lambda rows: [*rows[:5], ' '.join(['1e60'] * 150), *rows[6:]], 'NaN or infinite coordinate'),
    ],
)
def test_damage_in_an_action_costs_that_action(tmp_path, damage, reason):
    raw = tree(tmp_path / 'raw')
    path = raw / 'Skeleton/0002-L.txt'
    path.write_text('\n'.join(damage(path.read_text().splitlines())))
    out = packed(raw)
    assert tuple(out.table['name']) == CLIPS[1][1:]
    assert skipped(out).keys() == {CLIPS[1][0]} and reason in skipped(out)[CLIPS[1][0]]


def test_a_truncated_video_loses_the_actions_beyond_its_end(tmp_path):
    raw = tree(tmp_path / 'raw')
    path = raw / 'Skeleton/0003-R.txt'
    path.write_text('\n'.join(path.read_text().splitlines()[:15]))
    out = packed(raw)
    assert skipped(out).keys() == {'F003V3C051L002'} and len(out) == 5


@pytest.mark.parametrize(('folder', 'kind'), [('Skeleton', 'skeleton'), ('Label', 'label')])
def test_a_video_without_its_other_file_is_named(tmp_path, folder, kind):
    raw = tree(tmp_path / 'raw')
    (raw / f'{folder}/0002-M.txt').unlink()
    assert skipped(packed(raw)) == {'0002-M': f'0002-M has no {kind} file'}


@pytest.mark.parametrize(
    ('gone', 'message'),
    [
        ('Skeleton', r'no folder of skeletons of part 1: 0002-L\.txt …, 150 numbers a line'),
        ('Label', r'no folder of labels of part 1: 0002-L\.txt …, class, first and last frame a line'),
        ('Split', r'holds 0 files cross_subject\.txt, not the one of part 1'),
    ],
)
def test_what_was_not_found_is_named(tmp_path, gone, message):
    raw = tree(tmp_path / 'raw')
    (raw / gone).rename(tmp_path / gone)
    with pytest.raises(DataError, match=message):
        packed(raw)
    convert([raw, tmp_path / gone], tmp_path / 'packed', jobs=1)  # several sources are one
    assert len(PackedSet.open(tmp_path / 'packed')) == 6


def test_two_versions_of_the_same_files_and_both_parts_are_not_mixed(tmp_path):
    raw = tree(tmp_path / 'raw')
    with pytest.raises(DataError, match='nowhere does not exist'):
        packed(raw / 'nowhere')
    with pytest.raises(DataError, match='no file named as a video'):
        packed(raw / 'Split')
    tree(tree(raw).parent / 'raw/two', 2)
    with pytest.raises(DataError, match='both parts; choose one by --part 1'):
        packed(raw)
    assert [packed(raw, part=part).manifest['dataset'] for part in (1, 2)] == ['pkummd1', 'pkummd2']
    (raw / 'Skeleton').rename(raw / 'old')
    tree(raw)
    with pytest.raises(DataError, match='both hold skeletons of part 1; give the folder of one'):
        packed(raw, part=1)
    with pytest.raises(ConfigError, match='part=3'):
        packed(raw, part=3)


def test_clips_of_unlisted_videos_are_on_neither_side_or_tested_on_as_released(tmp_path):
    raw = tree(tmp_path / 'raw')
    (raw / 'Split/cross-subject.txt').write_text(split_text(['0002-L', '0099-L'], ['0003-R']))
    out = packed(raw)
    assert [side.tolist() for side in split(out, 'xsub')] == [[0, 1], [4, 5]]
    assert out.manifest['notes']['clips of videos that the xsub lists lack'] == 2
    assert out.manifest['notes']['clips of videos that the xview lists lack'] == 0
    released = packed(raw, unlisted='test')
    assert [side.tolist() for side in split(released, 'xsub')] == [[0, 1], [2, 3, 4, 5]]
    with pytest.raises(ConfigError, match="unlisted='train'"):
        packed(raw, unlisted='train')


def test_listed_clips_and_videos_are_skipped_and_a_name_of_neither_is_said(tmp_path):
    raw, names = tree(tmp_path / 'raw'), tmp_path / 'bad.txt'
    names.write_text('F002V1C051L002\n0002-M\n')
    out = packed(raw, skip_list=names)
    assert out.table['name'].tolist() == [CLIPS[1][0], *CLIPS[1][4:]]
    assert skipped(out) == dict.fromkeys(['F002V1C051L002', '0002-M'], f'listed in {names}')
    names.write_text('F002V1C051L009\n')
    with pytest.raises(DataError, match=r"bad\.txt: 'F002V1C051L009' is neither a clip nor a video"):
        packed(raw, skip_list=names)
    with pytest.raises(DataError, match=r'none\.txt, the list of what to skip, cannot be read'):
        packed(raw, skip_list=tmp_path / 'none.txt')


def test_nothing_is_left_of_a_conversion_without_one_usable_action(tmp_path):
    raw = tree(tmp_path / 'raw', labels='8,41,50,1\n')
    with pytest.raises(DataError, match='none of 3 files is usable'):
        convert(raw, tmp_path / 'packed', jobs=1)
    assert not (tmp_path / 'packed').exists()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', '0 lists of videos'),
        ('Training videos:\n0002-L\n', '1 lists of videos'),
        ('0002-L\nTest:\n0002-M', 'line 1: names of videos such as 0002-L, but they have no title'),
        ('Train:\n0002-L, 2-M\nTest:\n0003-R', "line 2: names of videos such as 0002-L, but '2-M' is none"),
        (split_text(['0002-L', '0002-M'], ['0002-L']), '0002-L is to train and to test'),
        (split_text(['A01N01-L'], ['A01N01-M']), '0 lists of videos such as 0002-L'),
    ],
)
def test_a_split_file_that_is_none_is_named(content, message):
    with pytest.raises(DataError, match=rf'cross\.txt.*{message}'):
        read_split('cross.txt', content.encode(), 1)


def test_lists_may_be_wrapped_end_in_commas_and_carry_suffixes():
    content = '\ufeffTraining videos:\r\n0002-L.txt, 0002-M,\r\n0004-R\r\n\r\nTesting videos:\r\n0003-L\t0003-R\r\n'
    expected = {'0002-L': 1, '0002-M': 1, '0003-L': 0, '0003-R': 0, '0004-R': 1}
    assert read_split('cross.txt', content.encode(), 1) == expected


def test_the_set_depends_neither_on_the_order_of_files_nor_on_processes_nor_on_archives(tmp_path):
    raw = tree(tmp_path / 'raw')
    convert(raw, tmp_path / 'a', jobs=1)
    with zipfile.ZipFile(tmp_path / 'raw.zip', 'w') as archive:
        for file in sorted(raw.rglob('*.txt'), reverse=True):
            archive.write(file, file.relative_to(raw))
    convert(tmp_path / 'raw.zip', tmp_path / 'b', jobs=2)
    for file in ('frames.npy', 'samples.npz', 'manifest.json'):
        assert (tmp_path / 'a' / file).read_bytes() == (tmp_path / 'b' / file).read_bytes()


def test_an_interrupted_conversion_goes_on_but_not_with_what_has_changed(tmp_path):
    raw = tree(tmp_path / 'raw')
    (raw / 'Label/0003-R.txt').write_text('8,3,12,2\n51,20,39\n8,12,3,2\n')
    with pytest.raises(DataError, match='from frame 12 to 3'):
        convert(raw, tmp_path / 'packed', strict=True, jobs=1)
    (raw / 'Label/0002-L.txt').write_text('8,4,12,2\n51,20,39,1\n')  # the same clip of other frames
    np.testing.assert_array_equal(packed(raw).clip(0), video(0)[:1, 3:12].astype(np.float32))


def test_the_classes_are_fifty_one():
    classes = bundled('pkummd_actions.txt')
    assert len(set(classes)) == len(classes) == 51
    assert (classes[0], classes[7], classes[32], classes[50]) == ('bow', 'drink water', 'sit down', 'writing')


ROW = ' '.join(['0.5'] * 150)
COLUMNS = {'F002V1C008L001': {'label': 7}}


@st.composite
def mutated(draw):
    """Two good frames, cut, overwritten or spliced in a few places."""
    content = bytearray(f'{ROW}\n{ROW}'.encode())
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(content))), draw(st.sampled_from([0, 1, 2, 30, len(content)]))
        fill = st.binary(max_size=4) | st.sampled_from([b'\n', b'\r', b' ', b'-', b'1e400 ', b'nan', b'#', b'"', b'\0'])
        content[at : at + length] = draw(fill)
    return bytes(content)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.one_of(mutated(), st.binary(max_size=200), st.text('0123456789 .-e\n', max_size=200).map(str.encode)))
def test_whatever_the_bytes_the_parser_answers_or_names_the_clip(content):
    try:
        _, keypoint, _ = parse('raw/0002-L.txt/F002V1C008L001', content, COLUMNS)
    except DataError as error:
        assert 'F002V1C008L001' in str(error)
        return
    assert keypoint.shape[0] in (1, 2) and keypoint.shape[1] == content.count(b'\n') + 1
    assert keypoint.shape[2:] == (25, 3)


@given(st.one_of(st.text(max_size=30), st.from_regex(r'\d{1,10},\d{1,10},\d{1,10},\d', fullmatch=True)))
def test_whatever_a_label_line_holds_it_is_an_action_or_named(line):
    try:
        action = read_action('raw/0002-L.txt', line, 7)
    except DataError as error:
        assert '0002-L.txt, line 7' in str(error)
        return
    assert isinstance(action, Action) and 0 <= action.label < 51 and 0 <= action.start < action.stop


@given(st.binary(max_size=60) | st.text('Tx:\n, 0123-LMR', max_size=80).map(str.encode))
def test_whatever_a_split_file_holds_it_is_two_lists_or_named(content):
    try:
        sides = read_split('cross.txt', content, 1)
    except DataError as error:
        assert 'cross.txt' in str(error)
        return
    assert set(sides.values()) == {0, 1}


@settings(max_examples=30)
@given(data=st.data())
@pytest.mark.slow
def test_whatever_the_label_files_hold_the_conversion_answers(data, tmp_path_factory):
    raw = tree(tmp_path_factory.mktemp('pku') / 'raw')
    for name in VIDEOS[1]:
        (raw / f'Label/{name}.txt').write_bytes(LABELS.encode() + data.draw(st.binary(max_size=40)))
    try:
        out = packed(raw)
    except DataError:
        return
    assert set(CLIPS[1][:2]) <= set(out.table['name']) or '0002-L' in skipped(out)


def test_the_command_line_converts_and_says_what_it_made(tmp_path, tool):
    raw = tree(tmp_path / 'raw')
    (raw / 'Label/0002-M.txt').write_text('8,12,3,2\n')
    command = convert_arguments(tmp_path / 'pkummd1', str(raw))
    assert command[:3] == ['pkummd', '--part', '1']
    status, out, err = tool('convert.py', *command, '--jobs', '1', '--allow-skipped', '0.2')
    assert status == 0, err
    assert 'pkummd1' in out and '2 of 51' in out and 'has no frames' in out
    status, _, err = tool('convert.py', *command, '--strict', '--overwrite', '--jobs', '1')
    assert status != 0 and '0002-M.txt, line 1' in err and 'Traceback' not in err


@pytest.mark.slow
@pytest.mark.parametrize('part', [1, 2])
def test_a_config_trains_on_what_was_converted(tmp_path, part):
    out = packed(tree(tmp_path / 'raw', part))
    options = {
        'dataset.data': str(out.path),
        'work_dir': str(tmp_path / 'run'),
        'batch_size': 4,
        'max_iters': 2,
        'model.queue.size': 16,
        'evaluation.evaluators': None,
        'default_hooks.checkpoint': None,
    }
    runner = SkeAttnRunner.from_cfg(read_config(ROOT / f'configs/skeletonclr/stgcn_pkummd{part}_xsub.py', options))
    runner.train()
    losses, _ = runner.message_hub.get_scalar('train/loss').data
    assert len(losses) == 2 and np.isfinite(losses).all()
