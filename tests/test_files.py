"""Files are complete or absent, also with several or killed writers; locks end with their holders."""

import contextlib
import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeattn import files
from skeattn.errors import StorageError
from skeattn.files import check_writable, lock, replacing, sha256, try_lock, write_atomic, write_json, write_text

FORK = multiprocessing.get_context('fork')
LENGTH = 1 << 18


@contextlib.contextmanager
def process(work: Callable[..., None], *arguments: Any) -> Iterator[tuple[Any, Connection]]:
    """A running forked process and our end of a pipe to it; the first argument of ``work`` is the other end."""
    ours, childs = FORK.Pipe()
    child = FORK.Process(target=work, args=(childs, *arguments))
    child.start()
    childs.close()
    try:
        yield child, ours
    finally:
        child.kill()
        child.join()
        ours.close()


def write_often(pipe: Connection, path: Path, letter: bytes) -> None:
    for _ in range(30):
        write_atomic(path, lambda file: [file.write(letter * 1024) for _ in range(LENGTH // 1024)])


def hold(pipe: Connection, path: Path, forked: bool = True) -> None:
    """Try to take a lock, send whether it succeeded, and hold it until a message arrives."""
    held = try_lock(path, forked)
    pipe.send(held is not None)
    pipe.recv()


def test_two_writers_of_one_path_leave_one_whole_file_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / 'deep' / 'file'
    with process(write_often, path, b'a') as (one, _), process(write_often, path, b'b') as (other, _):
        while one.is_alive() or other.is_alive():
            if path.exists():
                assert path.read_bytes() in (b'a' * LENGTH, b'b' * LENGTH)
        one.join()
        other.join()
        assert (one.exitcode, other.exitcode) == (0, 0)
    assert os.listdir(path.parent) == ['file'] and path.stat().st_size == LENGTH


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / 'file'
    path.write_text('old')

    def fail(file):
        file.write(b'half')
        raise RuntimeError('disk full')

    with pytest.raises(RuntimeError, match='disk full'):
        write_atomic(path, fail)
    assert path.read_text() == 'old' and os.listdir(tmp_path) == ['file']


@pytest.mark.parametrize('place', ['a file/new', 'a file/folder/new', f'{"long" * 100}/new'])
def test_a_folder_that_cannot_be_is_named_in_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / 'a file').write_text('kept')
    with pytest.raises(StorageError, match=r'new cannot be written \(.*\); choose another folder'):
        check_writable(tmp_path / place)
    with pytest.raises(StorageError, match=r'new cannot be written \(.*\); choose another folder'):
        write_text(tmp_path / place, 'text')
    assert (tmp_path / 'a file').read_text() == 'kept' and os.listdir(tmp_path) == ['a file']


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / 'old').write_text('kept')
    for name in ('old', 'new', 'folder/within/new'):
        check_writable(tmp_path / name)
    assert [path.name for path in tmp_path.rglob('*')] == ['old']
    assert (tmp_path / 'old').read_text() == 'kept'
    (tmp_path / 'folder').mkdir()
    with pytest.raises(IsADirectoryError, match='folder'):
        check_writable(tmp_path / 'folder')


def test_an_error_of_the_writer_itself_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='elsewhere'):
        write_atomic(tmp_path / 'file', lambda file: Path('elsewhere').read_text())


def test_a_file_that_does_not_reach_the_disk_is_no_file(tmp_path: Path, monkeypatch) -> None:
    def fail(descriptor):
        raise OSError(errno.EIO, 'broken disk')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='broken disk'):
        write_text(tmp_path / 'file', 'text')
    assert os.listdir(tmp_path) == []


def test_a_temporary_file_can_have_a_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / 'film.mp4', '.mp4') as scratch:
        assert scratch.parent == tmp_path and scratch.suffix == '.mp4' and scratch.name.startswith('.film.mp4.')
        scratch.write_bytes(b'film')
    assert os.listdir(tmp_path) == ['film.mp4']
    with pytest.raises(StorageError, match='cannot be written'), replacing(tmp_path / 'none.mp4', '.mp4'):
        pass  # nothing was written


def test_files_of_a_killed_writer_are_removed_and_nothing_else(tmp_path: Path) -> None:
    def write_and_die(pipe: Connection) -> None:
        os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
        write_text(tmp_path / 'file', 'text')

    with process(write_and_die) as (killed, _):
        killed.join()
    (left,) = os.listdir(tmp_path)
    assert left.startswith('.file.')
    gone, node = killed.pid, platform.node()
    others = [
        f'.file.{node}-{os.getpid()}-01234567.tmp',  # still running
        f'.file.{node}-2-{gone}-01234567.tmp',  # of another machine, node-2
        f'.file.elsewhere-{gone}-01234567.tmp',
        f'.file.{node}-{gone}-notes.txt',
    ]
    for name in [f'.other.{node}-{gone}-89abcdef.tmp.mp4', *others]:
        (tmp_path / name).touch()
    write_text(tmp_path / 'file', 'text')
    assert sorted(os.listdir(tmp_path)) == sorted(['file', *others])


def test_a_file_that_cannot_be_removed_does_not_hinder_a_writer(tmp_path: Path) -> None:
    with process(lambda pipe: None) as (gone, _):
        gone.join()
    left = f'.file.{platform.node()}-{gone.pid}-01234567.tmp'
    (tmp_path / left / 'inside').mkdir(parents=True)  # a folder: it cannot be unlinked, like a file of another user
    write_text(tmp_path / 'file', 'text')
    assert sorted(os.listdir(tmp_path)) == sorted([left, 'file'])


@given(text=st.text())
def test_text_is_written_as_utf_8_to_the_letter(text: str, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / 'text'
    try:
        content = text.encode()
    except UnicodeEncodeError:
        return
    write_text(path, text)
    assert path.read_bytes() == content


def test_json_is_readable_and_ends_with_its_line(tmp_path: Path) -> None:
    write_json(tmp_path / 'record.json', {'a': [1.5, None], 'b': 'µ'})
    text = (tmp_path / 'record.json').read_text()
    assert json.loads(text) == {'a': [1.5, None], 'b': 'µ'} and text.splitlines()[0] == '{' and text.endswith('}\n')


@pytest.mark.parametrize('size', [0, 1, 9, 10, 11, 35])
def test_sha256_is_that_of_the_content_for_any_blocks(tmp_path: Path, monkeypatch, size: int) -> None:
    monkeypatch.setattr(files, 'BLOCK', 10)
    content = bytes(range(size))
    (tmp_path / 'file').write_bytes(content)
    assert sha256(tmp_path / 'file') == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize('forked', [True, False])
def test_a_lock_is_held_by_one_and_free_when_its_holder_was_killed(tmp_path: Path, forked: bool) -> None:
    path = tmp_path / 'deep' / 'lock'
    with process(hold, path, forked) as (_, pipe):
        assert pipe.recv() is True
        assert try_lock(path, forked) is None
        with process(hold, path, forked) as (_, other):
            assert other.recv() is False
    held = try_lock(path, forked)
    assert held is not None
    held.close()
    held.close()  # a second time is no error


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    def read_locked(pipe: Connection) -> None:
        pipe.send('waiting')
        with lock(tmp_path / 'lock'):
            pipe.send((tmp_path / 'result').read_text())

    with process(hold, tmp_path / 'lock') as (_, holder):
        assert holder.recv() is True
        with process(read_locked) as (_, reader):
            assert reader.recv() == 'waiting'
            (tmp_path / 'result').write_text('finished')
            holder.send('end')
            assert reader.recv() == 'finished'


def test_a_child_that_inherits_a_lock_holds_it(tmp_path: Path) -> None:
    """While a child outlives its parent, no other process may use the folder."""
    command, path = [sys.executable, '-c', 'input()'], tmp_path / 'lock'
    with lock(path) as held:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[held.fileno()])
        other = subprocess.Popen(command, stdin=subprocess.PIPE, close_fds=False)  # does not inherit it
    assert try_lock(path) is None
    child.communicate(b'\n')
    with lock(path):
        assert other.poll() is None
    other.communicate(b'\n')


@pytest.mark.parametrize('forked', [True, False])
def test_a_forked_process_holds_a_lock_only_if_requested(tmp_path: Path, forked: bool) -> None:
    def leave_a_child(pipe: Connection) -> None:
        held = try_lock(tmp_path / 'lock', forked)
        pipe.send(held is not None)
        child = os.fork()
        if child:
            pipe.send(child)
            os._exit(0)
        signal.pause()

    with process(leave_a_child) as (parent, pipe):
        assert pipe.recv() is True
        child = pipe.recv()
        parent.join()
        try:
            assert (try_lock(tmp_path / 'lock', forked) is None) == forked
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_folder_can_be_locked(tmp_path: Path) -> None:
    with lock(tmp_path):
        assert try_lock(tmp_path) is None
    with try_lock(tmp_path):
        assert os.listdir(tmp_path) == []


def test_the_lock_of_a_file_that_its_holder_removed_is_that_of_the_new_one(tmp_path: Path, monkeypatch) -> None:
    path, flock = tmp_path / 'deep' / 'lock', fcntl.flock

    def removed_meanwhile(descriptor, operation):
        flock(descriptor, operation)
        monkeypatch.setattr(fcntl, 'flock', flock)
        path.unlink()
        path.parent.rmdir()

    monkeypatch.setattr(fcntl, 'flock', removed_meanwhile)
    with lock(path) as held:
        assert os.path.samestat(os.fstat(held.fileno()), path.stat())
        assert try_lock(path) is None


def test_a_file_system_without_locks_is_no_holder(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_):
        raise OSError(errno.ENOLCK, 'no locks')

    monkeypatch.setattr(fcntl, 'flock', refuse)
    before = os.listdir('/proc/self/fd') if sys.platform == 'linux' else []
    for take in (lock, try_lock):
        with pytest.raises(OSError, match='no locks'):
            take(tmp_path / 'lock')
    assert sys.platform != 'linux' or os.listdir('/proc/self/fd') == before
