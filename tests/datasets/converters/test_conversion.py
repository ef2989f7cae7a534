"""The loop that converters share: processes, interruption, a full disk, two at once, archives."""

import errno
import functools
import json
import multiprocessing
import os
import pickle
import signal
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from skeattn.datasets import PackedSet, PackedWriter
from skeattn.datasets.converters import chunks, ntu
from skeattn.datasets.converters.loop import add_all
from skeattn.datasets.converters.ntu import convert
from skeattn.datasets.converters.source import Source
from skeattn.errors import ConfigError, DataError
from tests.datasets.raw import clip, skeleton_text

FILES = 10


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """Ten clips, one of them damaged, in chunks of two."""
    monkeypatch.setattr(chunks, 'CHUNK', 2)
    folder = tmp_path / 'raw'
    write(folder, range(1, FILES + 1))
    (folder / f'{name(4)}.skeleton').write_bytes(b'7\n')
    return folder


def name(action):
    return f'S001C001P001R001A{action:03d}'


def write(folder, actions):
    folder.mkdir(exist_ok=True)
    for action in actions:
        content = skeleton_text(clip(action, persons=1 + action % 3, frames=3 + action % 5, joints=25))
        (folder / f'{name(action)}.skeleton').write_bytes(content)


def zipped(archive, files):
    with zipfile.ZipFile(archive, 'w') as out:
        for file in files:
            out.write(file, f'nturgb+d_skeletons/{Path(file).name}')
    return archive


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def expected(raw, tmp_path):
    convert(raw, tmp_path / 'expected', jobs=1)
    return contents(tmp_path / 'expected')


@pytest.mark.parametrize('jobs', [2, 3, 16])
def test_processes_give_the_same_bytes(raw, tmp_path, expected, jobs):
    convert(raw, tmp_path / 'packed', jobs=jobs)
    assert contents(tmp_path / 'packed') == expected
    assert sorted(os.listdir(tmp_path)) == ['expected', 'packed', 'raw']
    manifest = json.loads(expected['manifest.json'])
    assert manifest['counts']['clips'] == FILES - 1
    assert [skip['name'] for skip in manifest['skipped']] == [name(4)]


@pytest.mark.slow
def test_processes_that_are_not_forked_give_the_same_bytes(raw, tmp_path, monkeypatch, expected):
    """As on macOS, here from an archive, which cannot be handed from process to process."""
    monkeypatch.setattr(chunks, '_START', 'spawn')
    convert(zipped(tmp_path / 'raw.zip', sorted(raw.iterdir())), tmp_path / 'packed', jobs=2)
    assert contents(tmp_path / 'packed')['frames.npy'] == expected['frames.npy']


def stop_after(monkeypatch, done, error):
    """Have the parser fail in this process once so many files are parsed; what it was called for."""
    parsed = []
    parse = ntu.parse

    @functools.wraps(parse)
    def counted(path, content, **options):
        if error is not None and len(parsed) == done:
            raise error
        parsed.append(path)
        return parse(path, content, **options)

    monkeypatch.setattr(ntu, 'parse', counted)
    return parsed


def test_an_interrupted_conversion_goes_on_where_it_was(raw, tmp_path, monkeypatch, expected, capsys):
    with monkeypatch.context() as patch:
        stop_after(patch, 5, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            convert(raw, tmp_path / 'packed', jobs=1)
    assert sorted(os.listdir(tmp_path)) == ['.packed.chunks', 'expected', 'raw']
    parsed = stop_after(monkeypatch, 0, None)
    convert(raw, tmp_path / 'packed', jobs=1)
    assert len(parsed) == FILES - 4  # two whole chunks were kept
    assert '4 of 10 files were converted before, going on' in capsys.readouterr().err
    assert contents(tmp_path / 'packed') == expected
    assert sorted(os.listdir(tmp_path)) == ['expected', 'packed', 'raw']


def test_what_was_kept_is_used_only_for_the_same_files_and_options(raw, tmp_path, monkeypatch):
    def converted_after_a_stop(change, **options):
        with monkeypatch.context() as patch:
            stop_after(patch, 4, KeyboardInterrupt())
            with pytest.raises(KeyboardInterrupt):
                convert(raw, tmp_path / 'packed', jobs=1)
        change()
        with monkeypatch.context() as patch:
            parsed = stop_after(patch, 0, None)
            convert(raw, tmp_path / 'packed', jobs=1, overwrite=True, **options)
        convert(raw, tmp_path / 'fresh', jobs=1, overwrite=True, **options)
        assert contents(tmp_path / 'packed') == contents(tmp_path / 'fresh')
        (tmp_path / 'packed' / 'manifest.json').unlink()
        for file in (tmp_path / 'packed').iterdir():
            file.unlink()
        (tmp_path / 'packed').rmdir()
        return len(parsed)

    assert converted_after_a_stop(lambda: None) == FILES - 4
    assert converted_after_a_stop(lambda: None, bodies='motion') == FILES
    other = skeleton_text(clip(99, frames=9, joints=25))
    assert converted_after_a_stop(lambda: (raw / f'{name(1)}.skeleton').write_bytes(other)) == FILES - 2


def test_a_damaged_chunk_is_made_again(raw, tmp_path, monkeypatch, expected):
    with monkeypatch.context() as patch:
        stop_after(patch, 6, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            convert(raw, tmp_path / 'packed', jobs=1)
    kept = sorted((tmp_path / '.packed.chunks').glob('*.npz'))
    assert len(kept) == 3
    kept[0].write_bytes(b'')
    content = bytearray(kept[1].read_bytes())
    content[len(content) // 3] ^= 0xFF
    kept[1].write_bytes(content)
    convert(raw, tmp_path / 'packed', jobs=1)
    assert contents(tmp_path / 'packed') == expected


class Conversion:
    """A conversion in a process of its own that has finished two chunks; the other clips wait for :meth:`go_on`."""

    def __init__(self, raw, out, kept=2):
        self.gate = out.parent.parent / f'{out.parent.name}.gate'
        parse, folder = ntu.parse, out.parent / f'.{out.name}.chunks'
        end, stderr = os.pipe()

        @functools.wraps(parse)
        def gated(path, content, **options):
            wait_until(lambda: Path(path).stem <= name(4) or self.gate.exists())
            return parse(path, content, **options)

        def run():
            os.dup2(stderr, 2)
            os.close(end)
            os.close(stderr)
            sys.stderr = os.fdopen(2, 'w')
            ntu.parse = gated
            convert(raw, out, jobs=2)

        self.process = multiprocessing.get_context('fork').Process(target=run)
        self.process.start()
        os.close(stderr)
        self.stderr = os.fdopen(end)
        wait_until(lambda: len(list(folder.glob('*.npz'))) >= kept)

    def go_on(self):
        self.gate.touch()
        return self.end()

    def end(self):
        """Its status and what it wrote on stderr, once it and its workers have let go of that."""
        with self.stderr:
            said = self.stderr.read()
        self.process.join()
        return self.process.exitcode, said


def wait_until(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, 'nothing happened within 60 s'
        time.sleep(0.01)


def test_after_sigkill_nothing_finished_is_lost(raw, tmp_path, monkeypatch, expected):
    write(raw, range(11, 21))
    convert(raw, tmp_path / 'whole', jobs=1)
    out = tmp_path / 'packed'
    conversion = Conversion(raw, out)
    conversion.process.kill()
    conversion.go_on()
    left = sorted(file for file in os.listdir(tmp_path) if file.startswith('.'))
    assert left == [f'.packed.{conversion.process.pid}.partial', '.packed.chunks']
    parsed = stop_after(monkeypatch, 0, None)
    convert(raw, out, jobs=1)
    assert len(parsed) <= 20 - 4
    assert contents(out) == contents(tmp_path / 'whole')
    assert not [file for file in os.listdir(tmp_path) if file.startswith('.')]


def test_a_second_conversion_to_the_same_folder_is_refused_and_harms_nothing(raw, tmp_path, expected):
    out = tmp_path / 'packed'
    conversion = Conversion(raw, out)
    with pytest.raises(DataError, match=r'another conversion to .*packed is running'):
        convert(raw, out, jobs=1)
    assert conversion.go_on()[0] == 0
    assert contents(out) == expected


def test_an_interrupt_ends_the_workers(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, 'wait', lambda *_, **__: signal.raise_signal(signal.SIGINT))
    assert 'KeyboardInterrupt' in Conversion(raw, tmp_path / 'packed', kept=0).end()[1]
    assert not (tmp_path / 'packed').exists()


@pytest.mark.parametrize('where', ['frames', 'chunk', 'table'])
def test_a_full_disk_is_named_and_leaves_no_set(raw, tmp_path, monkeypatch, where):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        if where == 'chunk':
            patch.setattr(chunks, '_write', full)
        elif where == 'table':
            patch.setattr(np, 'savez_compressed', full)
        else:
            patch.setattr(PackedWriter, 'add', full)
        with pytest.raises(DataError, match=r'packed: the disk is full, no set is written there; free some space'):
            convert(raw, tmp_path / 'packed', jobs=2)
    assert not [file for file in os.listdir(tmp_path) if file.endswith('.partial') or file == 'packed']
    convert(raw, tmp_path / 'packed', jobs=1)
    assert len(PackedSet.open(tmp_path / 'packed')) == FILES - 1
    assert sorted(os.listdir(tmp_path)) == ['packed', 'raw']


def test_a_target_that_cannot_be_made_is_named(raw, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='cannot be written'):
        convert(raw, tmp_path / 'file' / 'packed')


def test_strict_stops_at_the_first_in_order_whatever_the_processes(raw, tmp_path):
    (raw / f'{name(9)}.skeleton').write_bytes(b'')
    for jobs in (1, 3):
        with pytest.raises(DataError, match=f'{name(4)}.*truncated.*; without --strict'):
            convert(raw, tmp_path / 'packed', strict=True, jobs=jobs)
        assert not (tmp_path / 'packed').exists()


def test_a_source_without_one_usable_clip_is_an_error(raw, tmp_path):
    for file in raw.iterdir():
        file.write_bytes(b'')
    with pytest.raises(DataError, match=r'raw: none of 10 files is usable; the first: .*A001.skeleton is empty'):
        convert(raw, tmp_path / 'packed')
    assert not (tmp_path / 'packed').exists()


def test_a_defect_of_a_parser_is_no_users_error(raw, tmp_path, monkeypatch):
    stop_after(monkeypatch, 3, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        convert(raw, tmp_path / 'packed', jobs=2)


@pytest.mark.parametrize('jobs', [0, -1])
def test_jobs_are_counted_from_one(raw, tmp_path, jobs):
    with pytest.raises(ConfigError, match=f'jobs={jobs} must be 1 or more'):
        convert(raw, tmp_path / 'packed', jobs=jobs)


@pytest.mark.slow
def test_two_zips_or_a_folder_of_zips_give_the_folders_frames(raw, tmp_path, expected):
    files = sorted(raw.iterdir())
    archives = tmp_path / 'zips'
    archives.mkdir()
    first = zipped(archives / 's001_to_s017.zip', files[::2])
    second = zipped(archives / 's018_to_s032.zip', files[1::2])
    for out, source in (('a', [first, second]), ('b', archives), ('c', [second, first])):
        convert(source, tmp_path / out, jobs=3)
        made = contents(tmp_path / out)
        assert {file: made[file] for file in ('frames.npy', 'samples.npz')} == {
            file: expected[file] for file in ('frames.npy', 'samples.npz')
        }


def test_a_name_in_two_zips_is_taken_once_and_told(raw, tmp_path):
    files = sorted(raw.iterdir())
    first, second = (zipped(tmp_path / f'{n}.zip', part) for n, part in (('a', files[:6]), ('b', files[5:])))
    convert([first, second], tmp_path / 'packed')
    packed = PackedSet.open(tmp_path / 'packed')
    assert len(packed) == FILES - 1
    twice = packed.manifest['skipped'][-1]
    assert twice['name'] == f'{second}/nturgb+d_skeletons/{name(6)}.skeleton'
    assert twice['reason'].endswith('a clip of this name was added before')
    with pytest.raises(DataError, match='added before'):
        convert([zipped(tmp_path / 'c.zip', files[4:6]), second], tmp_path / 'x', strict=True)


def test_unreadable_members_are_left_out_by_name(raw, tmp_path):
    """A checksum that does not fit, and a member that asks for a password."""
    (raw / f'{name(4)}.skeleton').unlink()
    archive = zipped(tmp_path / 'raw.zip', sorted(raw.iterdir()))
    with zipfile.ZipFile(archive) as readable:
        offsets = {Path(info.filename).stem: info.header_offset for info in readable.infolist()}
        directory = readable.start_dir
    content = bytearray(archive.read_bytes())
    content[offsets[name(2)] + 200] ^= 0xFF
    entry = content.index(name(3).encode(), directory) - len('nturgb+d_skeletons/') - 46
    for flags in (entry + 8, offsets[name(3)] + 6):  # of the directory and of the member itself
        content[flags] |= 1
    archive.write_bytes(content)
    convert(archive, tmp_path / 'packed')
    packed = PackedSet.open(tmp_path / 'packed')
    reasons = {skip['name']: skip['reason'] for skip in packed.manifest['skipped']}
    assert set(reasons) == {name(2), name(3)}
    assert 'Bad CRC-32' in reasons[name(2)] and 'encrypted' in reasons[name(3)]
    assert len(packed) == FILES - 3


def test_names_that_are_no_text_are_told_as_they_can_be(raw, tmp_path):
    try:
        (raw / os.fsdecode(b'S001\xff.skeleton')).write_bytes(b'')
    except OSError:
        pytest.skip('this file system keeps names as text')
    convert(raw, tmp_path / 'packed')
    skipped = PackedSet.open(tmp_path / 'packed').manifest['skipped']
    assert 'S001\\udcff' in [skip['name'] for skip in skipped]


def test_a_file_that_vanishes_meanwhile_is_left_out(raw, tmp_path):
    source = Source(raw, '.skeleton')
    (raw / f'{name(1)}.skeleton').unlink()
    from skeattn.datasets.converters.ntu import parse

    with PackedWriter(tmp_path / 'packed', 'ntu60', 'ntu25', ['a'] * 60, {}) as writer:
        add_all(writer, source, parse, jobs=1)
    assert 'cannot be read' in PackedSet.open(tmp_path / 'packed').manifest['skipped'][0]['reason']


def test_a_source_can_be_handed_to_another_process(raw, tmp_path):
    source = Source(zipped(tmp_path / 'raw.zip', sorted(raw.iterdir())), '.skeleton')
    copy = pickle.loads(pickle.dumps(source))
    assert list(copy) == list(source) and copy.read(next(iter(copy))) == (raw / f'{name(1)}.skeleton').read_bytes()
