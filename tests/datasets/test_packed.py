"""The packed format: what goes in comes out, damage is noticed, and nothing is ever half-written."""

import contextlib
import copy
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeattn.datasets import PackedSet, PackedWriter, split
from skeattn.datasets.packed import CHECKSUM, COLUMNS, COPIES, FRAMES, MANIFEST, SAMPLES, class_name
from skeattn.errors import ConfigError, DataError, SkeAttnError
from skeattn.files import sha256
from skeattn.renaming import note_renamed
from tests.datasets.raw import SPLITS, clip, write_set


def writer(out, **changes):
    return PackedWriter(out, **{'dataset': 'toy', 'layout': 'kinect20', 'classes': ['a'], 'splits': {}, **changes})


def test_clips_and_columns_survive_the_round_trip(tmp_path):
    packed = PackedSet.open(write_set(tmp_path / 'toy'))
    packed.verify()
    assert len(packed) == 6
    for i in range(6):
        np.testing.assert_array_equal(packed.clip(i), clip(i, 1 + i % 2, 4 + i))
    assert packed.table['name'].tolist() == ['c0', 'c1', 'c2', 'c3', 'c4', 'c5']
    assert packed.table['label'].tolist() == [0, 1, 2, 0, 1, 2]
    assert packed.table['subject'].tolist() == [1, 2, 3, 4, 1, 2]
    assert packed.table['camera'].tolist() == [-1] * 6
    assert packed.table['offset'].tolist() == [0, 4, 14, 20, 34, 42]
    assert set(packed.table) == set(COLUMNS)
    assert packed.layout.name == 'kinect20'
    assert packed.classes == ['a', 'b', 'c']
    assert packed.manifest['protocols'] == packed.splits == SPLITS
    assert packed.manifest['counts'] == {'clips': 6, 'rows': 60, 'channels': 3}


def test_a_two_dimensional_skeleton_can_be_packed(tmp_path):
    with writer(tmp_path / 'flat') as out:
        out.add('c', clip()[..., :2], label=0)
    assert PackedSet.open(tmp_path / 'flat').clip(0).shape == (1, 4, 20, 2)


def test_the_files_are_plain_numpy_without_pickle_and_the_same_every_time(tmp_path):
    first, second = write_set(tmp_path / 'one'), write_set(tmp_path / 'two')
    assert np.load(first / FRAMES, allow_pickle=False).shape == (60, 20, 3)
    for file in (CHECKSUM, COPIES, FRAMES, SAMPLES, MANIFEST):
        assert (first / file).read_bytes() == (second / file).read_bytes()
    assert sorted(os.listdir(first)) == sorted([CHECKSUM, COPIES, FRAMES, SAMPLES, MANIFEST])


def test_frames_stay_on_disk_and_cannot_be_changed(tmp_path):
    packed = PackedSet.open(write_set(tmp_path / 'toy'))
    assert isinstance(packed.frames, np.memmap)
    with pytest.raises(ValueError, match='read-only'):
        packed.clip(0)[:] = 0


def test_skipped_clips_are_listed_with_their_reason(tmp_path):
    with writer(tmp_path / 'toy') as out:
        out.add('kept', clip(), label=0)
        out.skip('lost', 'no body')
    assert PackedSet.open(tmp_path / 'toy').manifest['skipped'] == [{'name': 'lost', 'reason': 'no body'}]


@pytest.mark.parametrize(
    ('keypoint', 'label', 'message'),
    [
        (np.full((1, 2, 20, 3), np.nan), 0, r'bad: no person is present, every value is zero or missing'),
        (np.zeros((1, 2, 20, 3)), 0, r'bad: no person is present, every value is zero or missing'),
        (np.full((1, 2, 20, 3), 1e300), 0, r'bad: NaN or infinite coordinate at person 0, frame 0, joint hip_centre'),
        (clip() * [1, 1e30, 1], 0, r'bad: absurd coordinate [\d.]+e\+\d+ at person 0, frame 0, joint hip_centre'),
        (np.zeros((1, 2, 25, 3)), 0, r'bad: shape \(1, 2, 25, 3\) is not \(persons, frames, 20 joints, channels\)'),
        (np.zeros((2, 20, 3)), 0, r'bad: shape \(2, 20, 3\)'),
        (np.zeros((1, 0, 20, 3)), 0, r'bad: no frames'),
        (np.zeros((0, 2, 20, 3)), 0, r'bad: no frames'),
        (np.zeros((1, 2, 20, 2)), 0, r'bad: 2 values a joint, the set has 3: x, y, z'),
        (clip(), 1, r'bad: label 1 is outside 0\.\.0'),
        (clip(), -2, r'bad: label -2 is outside'),
    ],
)
def test_an_unusable_clip_is_refused_by_name_and_nothing_is_written(tmp_path, keypoint, label, message):
    with pytest.raises(DataError, match=message), writer(tmp_path / 'toy') as out:
        out.add('good', clip(), label=0)
        out.add('bad', keypoint, label=label)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_clip_leaves_the_others_intact(tmp_path):
    with writer(tmp_path / 'toy') as out:
        out.add('one', clip(1), label=0)
        with pytest.raises(DataError, match='one: a clip of this name was added before'):
            out.add('one', clip(2), label=0)
        out.add('two', clip(3), label=0)
    packed = PackedSet.open(tmp_path / 'toy')
    np.testing.assert_array_equal(packed.clip(0), clip(1))
    np.testing.assert_array_equal(packed.clip(1), clip(3))


def test_an_empty_set_is_refused(tmp_path):
    with pytest.raises(DataError, match='no clip was added'), writer(tmp_path / 'toy'):
        pass
    assert list(tmp_path.iterdir()) == []


def test_unknown_layout_and_split_column_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="unknown skeleton layout 'kinect19'"):
        writer(tmp_path / 'toy', layout='kinect19')
    with pytest.raises(ConfigError, match="split 'x': field='sex' is none of label, subject"):
        writer(tmp_path / 'toy', splits={'x': {'field': 'sex', 'train': [1]}})
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_middle_leaves_the_old_set_untouched(tmp_path):
    before = (write_set(tmp_path / 'toy') / MANIFEST).read_bytes()
    with pytest.raises(RuntimeError, match='stop'), writer(tmp_path / 'toy', overwrite=True) as out:
        out.add('new', clip(), label=0)
        raise RuntimeError('stop')
    assert (tmp_path / 'toy' / MANIFEST).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ['toy']


@pytest.mark.parametrize(('label', 'name'), [(0, 'a'), (1, 'b'), (2, 'label 2'), (-1, 'unlabelled'), (-2, 'label -2')])
def test_a_label_without_class_is_not_the_last_class(label, name):
    assert class_name(['a', 'b'], label) == name


def test_a_killed_conversion_leaves_nothing_under_the_final_name(tmp_path):
    def convert():
        with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', ['a'], {}) as out:
            out.add('c', clip(), label=0)
            os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context('fork').Process(target=convert)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with pytest.raises(DataError, match='no packed set'):
        PackedSet.open(tmp_path / 'toy')
    write_set(tmp_path / 'toy')
    PackedSet.open(tmp_path / 'toy').verify()


def test_an_existing_set_is_replaced_only_on_request(tmp_path):
    write_set(tmp_path / 'toy', clips=6)
    with pytest.raises(DataError, match='exists already; choose another folder or pass --overwrite'):
        write_set(tmp_path / 'toy', clips=2)
    assert len(PackedSet.open(tmp_path / 'toy')) == 6
    write_set(tmp_path / 'toy', clips=2, overwrite=True)
    assert len(PackedSet.open(tmp_path / 'toy')) == 2
    assert [p.name for p in tmp_path.iterdir()] == ['toy']


def test_overwrite_never_removes_a_folder_that_is_no_packed_set(tmp_path):
    (tmp_path / 'thesis').mkdir()
    (tmp_path / 'thesis' / 'chapter.tex').write_text('years of work')
    with pytest.raises(DataError, match='is not a packed set, so it is not replaced'):
        write_set(tmp_path / 'thesis', overwrite=True)
    assert (tmp_path / 'thesis' / 'chapter.tex').read_text() == 'years of work'


def test_overwrite_never_removes_what_else_is_in_the_folder(tmp_path):
    write_set(tmp_path / 'toy', clips=6)
    (tmp_path / 'toy' / 'notes.txt').write_text('years of work')
    with pytest.raises(DataError, match=r'also holds notes\.txt, which would be lost'):
        write_set(tmp_path / 'toy', clips=2, overwrite=True)
    assert len(PackedSet.open(tmp_path / 'toy')) == 6 and (tmp_path / 'toy/notes.txt').read_text() == 'years of work'


def test_channels_are_named_and_told_by_their_number_where_nobody_says(tmp_path):
    write_set(tmp_path / 'solid')
    with writer(tmp_path / 'flat', channels=['x', 'y', 'score']) as out:
        out.add('c', clip(), label=0)
    assert PackedSet.open(tmp_path / 'solid').channels == ('x', 'y', 'z')
    assert PackedSet.open(tmp_path / 'flat').channels == ('x', 'y', 'score')
    with pytest.raises(DataError, match='c: 4 values a joint; name them'), writer(tmp_path / 'four') as out:
        out.add('c', np.ones((1, 2, 20, 4)), label=0)
    with pytest.raises(ConfigError, match=r"channels=\['score', 'x', 'y'\]: name x, y or x, y, z first"):
        writer(tmp_path / 'wrong', channels=['score', 'x', 'y'])


def change(manifest: Path, text: str) -> None:
    """Write another manifest, without its checksum, as in a set of an earlier version."""
    manifest.write_text(text)
    manifest.with_name(CHECKSUM).unlink(missing_ok=True)


def test_a_set_written_before_it_could_name_channels_still_opens(tmp_path):
    path = write_set(tmp_path / 'toy') / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest['channels'], manifest['columns']
    change(path, json.dumps(manifest))
    packed = PackedSet.open(tmp_path / 'toy')
    assert packed.channels == ('x', 'y', 'z') and set(packed.table) == set(COLUMNS)


def test_a_set_can_have_columns_and_splits_of_its_own(tmp_path):
    splits = {'mine': {'field': 'fold', 'train': [1, 2], 'test': [0]}}
    with writer(tmp_path / 'toy', columns=['fold', 'height'], splits=splits) as out:
        out.add('one', clip(1), label=0, fold=2, height=1080)
        out.add('two', clip(2), label=0, fold=0)
        with pytest.raises(TypeError, match='no column weight'):
            out.add('three', clip(3), label=0, weight=3)
    packed = PackedSet.open(tmp_path / 'toy')
    packed.verify()
    np.testing.assert_array_equal(packed.clip(1), clip(2))
    assert packed.table['fold'].tolist() == [2, 0] and packed.table['height'].tolist() == [1080, -1]
    assert packed.manifest['protocols'] == packed.splits == splits


def test_the_splits_arrive_under_their_old_name(tmp_path):
    note_renamed.cache_clear()
    with pytest.warns(FutureWarning, match="PackedWriter: argument 'protocols' is now called 'splits'"):
        old = PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', ['a'], protocols=SPLITS)
    assert old.splits == SPLITS


def test_a_split_whose_sides_share_a_value_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='over label both trains and tests where it is 2'):
        writer(tmp_path / 'toy', splits={'mine': {'field': 'label', 'train': [1, 2], 'test': [2, 3]}})


@pytest.mark.parametrize('file', [FRAMES, SAMPLES])
def test_a_flipped_byte_is_noticed_even_after_a_clean_check(tmp_path, file):
    path = write_set(tmp_path / 'toy') / file
    PackedSet.open(tmp_path / 'toy').verify()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf'{file} is damaged'):
        PackedSet.open(tmp_path / 'toy').verify()


def test_verify_again_reads_the_bytes_even_where_the_time_stamp_is_unchanged(tmp_path):
    path = write_set(tmp_path / 'toy') / FRAMES
    packed = PackedSet.open(tmp_path / 'toy')
    packed.verify()
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(DataError, match=f'{FRAMES} is damaged'):
        packed.verify(again=True)


@given(file=st.sampled_from([FRAMES, SAMPLES, MANIFEST]), keep=st.floats(0, 0.999))
def test_a_truncated_file_is_a_named_error(tmp_path_factory, file, keep):
    folder = tmp_path_factory.getbasetemp() / 'truncated'
    if not folder.exists():
        write_set(folder)
    whole = (folder / file).read_bytes()
    try:
        (folder / file).write_bytes(whole[: int(keep * len(whole))])
        with pytest.raises(DataError, match=file):
            PackedSet.open(folder).verify()
    finally:
        (folder / file).write_bytes(whole)


@pytest.mark.parametrize('key', ['version', 'layout', 'classes', 'protocols', 'counts', 'skipped', 'sha256', 'dataset'])
def test_a_manifest_without_a_key_is_a_named_error(tmp_path, key):
    path = write_set(tmp_path / 'toy') / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest[key]
    change(path, json.dumps(manifest))
    with pytest.raises(DataError, match=rf'{MANIFEST} is damaged .*{key}'):
        PackedSet.open(tmp_path / 'toy')


def test_a_manifest_that_was_edited_is_noticed(tmp_path):
    """Another training subject in the split: a valid manifest, but not the one that was written."""
    path = write_set(tmp_path / 'toy') / MANIFEST
    manifest = json.loads(path.read_text())
    next(iter(manifest['protocols'].values()))['train'].append(99)
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=rf'{MANIFEST} is not the one that the conversion wrote.*remove .*{CHECKSUM}'):
        PackedSet.open(tmp_path / 'toy')
    (tmp_path / 'toy' / CHECKSUM).unlink()
    assert 99 in next(iter(PackedSet.open(tmp_path / 'toy').splits.values()))['train']


def test_sha256sum_reads_the_checksum_of_the_manifest(tmp_path):
    folder = write_set(tmp_path / 'toy')
    assert (folder / CHECKSUM).read_text() == f'{sha256(folder / MANIFEST)}  {MANIFEST}\n'


OTHERS = (None, 5, -1, 'x', [], {}, 1.5, True, [None], {'a': 1})


def test_a_manifest_with_any_other_value_anywhere_opens_or_is_a_named_error(tmp_path):
    """Every node replaced by every kind of value, and removed: no traceback."""
    path = write_set(tmp_path / 'toy') / MANIFEST
    manifest, tried = json.loads(path.read_text()), 0
    for place in places(manifest):
        for value in OTHERS:
            change(path, json.dumps(replaced(manifest, place, value)))
            tried += 1
            with contextlib.suppress(SkeAttnError):
                packed = PackedSet.open(tmp_path / 'toy')
                assert packed.clip(0).shape[-1] == 3
                for name in packed.splits:
                    with contextlib.suppress(SkeAttnError):
                        split(packed, name)
    assert tried > 200


def places(value: Any, place: tuple = ()) -> Iterator[tuple]:
    """The paths of all nodes of a JSON document."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*place, key))


def replaced(value: Any, place: tuple, new: Any) -> Any:
    """The document with another value at a path."""
    if not place:
        return new
    changed = copy.copy(value)
    changed[place[0]] = replaced(value[place[0]], place[1:], new)
    return changed


def test_another_format_version_and_swapped_files_are_named_errors(tmp_path):
    write_set(tmp_path / 'small', clips=2)
    path = write_set(tmp_path / 'toy') / MANIFEST
    shutil.copy(tmp_path / 'small' / FRAMES, tmp_path / 'toy' / FRAMES)
    with pytest.raises(DataError, match=r'holds float32 \(14, 20, 3\), not float32 \(60, 20, 3\)'):
        PackedSet.open(tmp_path / 'toy')
    change(path, path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(DataError, match='has format version 2, not 1: convert the source again'):
        PackedSet.open(tmp_path / 'toy')


@pytest.mark.parametrize(
    ('path', 'command'),
    [
        ('data/nwucla', 'skeattn convert nwucla SOURCE --out data/nwucla'),
        ('data/ntu60', 'skeattn convert ntu SOURCE --out data/ntu60'),
        ('data/utdmhad', 'skeattn convert utdmhad SOURCE --out data/utdmhad'),
        ('data/demo', 'skeattn convert synthetic --out data/demo'),
        ('data/pkummd2', 'skeattn convert pkummd --part 2 SOURCE --out data/pkummd2'),
        ('data/mine', 'skeattn convert FORMAT SOURCE --out data/mine'),
        ('my data/mine', "skeattn convert FORMAT SOURCE --out 'my data/mine'"),
    ],
)
def test_a_missing_set_names_the_command_that_makes_it(tmp_path, monkeypatch, path, command):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f'no packed set at {path}; make it with\n  {command}$'):
        PackedSet.open(path)
