"""Prepared clips on disk: equal to those prepared anew, and never those of another split, pipeline or code."""

import ast
import errno
import fcntl
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import skeattn
from skeattn.datasets import PackedSet, SkeletonDataset, cache, integrity, skeleton_dataset, split
from skeattn.datasets.materialise import materialise
from skeattn.datasets.packed import FRAMES
from skeattn.datasets.transforms import Pipeline
from skeattn.engine.config import read_config
from skeattn.errors import ConfigError, DataError
from tests.conftest import ROOT
from tests.datasets.raw import write_set

pytestmark = pytest.mark.slow

PACKAGE = Path(skeattn.__file__).resolve().parent
PLAIN = {'resample': {'type': 'Resample', 'num_frames': 4}, 'pack': {'type': 'PackClip', 'num_persons': 2}}


@pytest.fixture
def data(tmp_path):
    return write_set(tmp_path / 'toy')


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    """Small splits are cached as large ones are, whoever edits the toolbox while the tests run."""
    monkeypatch.setattr(skeleton_dataset, 'CLIPS_WORTH_CACHING', 0)
    monkeypatch.setattr(cache, '_STARTED', float('inf'))
    monkeypatch.delenv('SKEATTN_CACHE', raising=False)
    monkeypatch.setattr(integrity, '_seen', {})


@pytest.fixture
def builds(monkeypatch):
    """How often clips were prepared."""
    made = []

    def counted(*arguments):
        made.append(1)
        return materialise(*arguments)

    monkeypatch.setattr(skeleton_dataset, 'materialise', counted)
    return made


def clips(data, side='train', pipeline=PLAIN, **options):
    return SkeletonDataset(data, 'xsub', side, pipeline, **options).clips.numpy()


def entry(folder):
    (path,) = folder.glob('*.npy')
    return path


def test_the_second_start_maps_what_the_first_prepared(data, builds):
    plain = clips(data, cache=False)
    assert not (data / '.cache').exists() and len(builds) == 1
    first, second = clips(data), clips(data)
    assert len(builds) == 2
    for mapped in (first, second):
        np.testing.assert_array_equal(mapped, plain)
        assert mapped.dtype == np.float32 and mapped.tobytes() == plain.tobytes()
    dataset = SkeletonDataset(data, 'xsub', 'train', PLAIN)
    np.testing.assert_array_equal(np.load(entry(data / '.cache')), plain)
    dataset.clips.zero_()  # copy-on-write: the file stays as it is
    np.testing.assert_array_equal(clips(data), plain)


def test_small_sets_are_not_cached(data, monkeypatch, builds):
    monkeypatch.setattr(skeleton_dataset, 'CLIPS_WORTH_CACHING', 4)
    clips(data)
    assert not (data / '.cache').exists()


def test_every_split_pipeline_and_set_has_an_entry_of_its_own(data, tmp_path, builds):
    other = write_set(tmp_path / 'other', clips=5)
    longer = {**PLAIN, 'resample': {'type': 'Resample', 'num_frames': 5}}
    centred = {'centre': {'type': 'Centre'}, **PLAIN}
    swapped = {'resample': PLAIN['resample'], 'centre': {'type': 'Centre'}, 'pack': PLAIN['pack']}
    shared = str(tmp_path / 'shared')
    for arguments in [(data,), (data, 'test'), (data, 'train', longer), (data, 'train', centred), (other,)]:
        for _ in range(2):
            np.testing.assert_array_equal(clips(*arguments, cache=shared), clips(*arguments, cache=False))
    assert len(builds) == 15
    clips(data, 'train', swapped, cache=shared)
    assert len(builds) == 16
    clips(data, 'train', {**PLAIN, 'gone': None}, cache=shared)  # a step that is removed changes nothing
    assert len(builds) == 16
    assert len(list(Path(shared).iterdir())) == 2  # a folder per set
    write_set(data, clips=5, overwrite=True)
    np.testing.assert_array_equal(clips(data, cache=shared), clips(data, cache=False))
    assert len(builds) == 18


def test_the_environment_names_a_folder_for_all_sets(data, tmp_path, monkeypatch, builds):
    monkeypatch.setenv('SKEATTN_CACHE', str(tmp_path / 'scratch'))
    clips(data), clips(data)
    (folder,) = (tmp_path / 'scratch').iterdir()
    assert folder.name.startswith('toy-') and entry(folder).exists()
    assert not (data / '.cache').exists() and len(builds) == 1


@given(keep=st.floats(0, 0.999))
def test_a_truncated_entry_is_built_again(tmp_path_factory, keep):
    data = tmp_path_factory.getbasetemp() / 'truncated-cache'
    if not data.exists():
        write_set(data)
    plain = clips(data).copy()
    path = entry(data / '.cache')
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    np.testing.assert_array_equal(clips(data), plain)
    assert path.read_bytes() == whole


@given(position=st.floats(0, 0.999), bit=st.integers(0, 7), hidden=st.booleans())
def test_a_flipped_bit_is_noticed_even_with_the_old_time_stamp(tmp_path_factory, position, bit, hidden):
    data = tmp_path_factory.getbasetemp() / 'flipped-cache'
    if not data.exists():
        write_set(data)
    plain = clips(data).copy()
    path = entry(data / '.cache')
    stat, whole = path.stat(), bytearray(path.read_bytes())
    whole[int(position * len(whole))] ^= 1 << bit
    path.write_bytes(whole)
    if hidden:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    np.testing.assert_array_equal(clips(data), plain)


@pytest.mark.parametrize('note', ['', '{', '[]', '{"sha256": 3}', None])
def test_an_entry_without_a_usable_note_is_built_again(data, builds, note):
    plain = clips(data)
    path = entry(data / '.cache').with_suffix('.json')
    path.unlink() if note is None else path.write_text(note)
    np.testing.assert_array_equal(clips(data), plain)
    assert len(builds) == 2
    clips(data)
    assert len(builds) == 2


def test_an_entry_moved_elsewhere_is_read_once_and_kept(data, tmp_path, builds, monkeypatch):
    clips(data)
    path = entry(data / '.cache')
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)  # another inode, another time
    clips(data)
    assert len(builds) == 1
    monkeypatch.setattr(integrity, '_seen', {})
    monkeypatch.setattr(integrity, 'sha256', lambda path: pytest.fail(f'{path} is read again') if '.npy' in path.name
                        and path.parent.name == '.cache' else _sha256(path))  # fmt: skip
    clips(data)


_sha256 = integrity.sha256

SCRIPT = """
import os, signal, sys, time
import numpy as np
from skeattn.datasets import SkeletonDataset, cache, skeleton_dataset
from skeattn.datasets.materialise import materialise
skeleton_dataset.CLIPS_WORTH_CACHING = 0
{lines}
data = SkeletonDataset({data!r}, 'xsub', 'train', {pipeline!r})
print(float(data.clips.double().sum()), flush=True)
"""


def script(data, lines='', pipeline=PLAIN, **options):
    """A process of its own that builds a split and prints the sum of its clips."""
    code = SCRIPT.format(data=str(data), pipeline=pipeline, lines=textwrap.dedent(lines))
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), str(data.parent)]), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True, env=environment, **options)


def test_a_kill_in_the_middle_leaves_no_broken_entry(data, builds):
    lines = """
    cache._STARTED = float('inf')
    os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)  # all is written, nothing renamed
    """
    killed = script(data, lines)
    assert killed.wait() == -signal.SIGKILL
    killed.stdout.close()
    (left,) = (data / '.cache').glob('.*.tmp')
    np.testing.assert_array_equal(clips(data), clips(data, cache=False))
    assert not left.exists() and entry(data / '.cache').exists()
    assert not [*(data / '.cache').glob('.*')]


@pytest.mark.slow
def test_of_two_processes_at_once_one_builds(data):
    lines = f"""
    from pathlib import Path
    cache._STARTED = float('inf')
    here = Path({str(data.parent)!r})
    (here / f'{{os.getpid()}}.here').touch()
    def counted(*arguments):
        with open(here / 'builds', 'a') as log:
            log.write('built ')
        while len(list(here.glob('*.here'))) < 2:
            time.sleep(0.01)
        return materialise(*arguments)
    skeleton_dataset.materialise = counted
    """
    both = [script(data, lines) for _ in range(2)]
    sums = {process.communicate()[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert sums == {f'{float(clips(data).sum(dtype=np.float64))}\n'}
    assert (data.parent / 'builds').read_text() == 'built '


STEP = """
from mmcv.transforms import BaseTransform
from skeattn.registry import TRANSFORMS
{line}

@TRANSFORMS.register_module()
class Scaled(BaseTransform):
    def transform(self, results):
        results['keypoint'] = results['keypoint'] * {factor}
        return results
"""


@pytest.mark.slow
def test_changed_code_of_a_users_step_and_of_the_files_beside_it_is_noticed(data):
    """Its text is what counts: the arguments stay the same, and the module may import numbers from another."""
    folder = data.parent
    pipeline = {'scaled': {'type': 'Scaled'}, **PLAIN}

    def total(line, factor, helper):
        (folder / 'my_step.py').write_text(STEP.format(line=line, factor=factor))
        (folder / 'my_numbers.py').write_text(f'FACTOR = {helper}\n')
        for name in ('my_step', 'my_numbers'):
            os.utime(folder / f'{name}.py', (time.time() - 60,) * 2)  # saved before the process began
        done = script(data, 'import my_step', pipeline)
        return float(done.communicate()[0])

    def entries():
        return len(list((data / '.cache').glob('*.npy')))

    base = float(clips(data).sum(dtype=np.float64))
    assert total('', 2, 0) == pytest.approx(2 * base)
    before = entries()
    assert total('', 2, 0) == pytest.approx(2 * base)
    assert entries() == before
    assert total('', 3, 0) == pytest.approx(3 * base)
    assert total('from my_numbers import FACTOR', 'FACTOR', 5) == pytest.approx(5 * base)
    assert total('from my_numbers import FACTOR', 'FACTOR', 7) == pytest.approx(7 * base)
    assert entries() == before + 3


def skeattn_imports(file):
    """The files of the package that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f'{file} imports relatively'
            names |= {node.module, *(f'{node.module}.{alias.name}' for alias in node.names)}
    paths = [PACKAGE.parent.joinpath(*name.split('.')) for name in names if name.startswith('skeattn.')]
    return {file for path in paths for file in (path.with_suffix('.py'), path / '__init__.py') if file.is_file()}


def test_all_that_the_steps_import_of_the_package_is_code_that_counts():
    """Add what fails here to ``cache.CODE``: else its changes would go unnoticed, and stale clips would be read."""
    matches = {pattern: {*PACKAGE.glob(pattern)} for pattern in cache.CODE}
    assert all(matches.values()), matches
    counted = set().union(*matches.values())
    waiting, reached = {*PACKAGE.glob('datasets/transforms/**/*.py')}, set()
    while waiting:
        file = waiting.pop()
        reached.add(file)
        waiting |= skeattn_imports(file) - reached
    assert len(reached) > 10 and reached <= counted, reached - counted


@pytest.fixture
def own_step(tmp_path, monkeypatch):
    """A step from a module of a user's, as it is imported."""
    folder = tmp_path / 'mine'
    folder.mkdir()
    text = STEP.format(line='HELPER = len\ndef double(x): return 2 * x', factor=2)
    (folder / 'cache_test_step.py').write_text(text.replace('@TRANSFORMS.register_module()', ''))
    monkeypatch.syspath_prepend(folder)
    module = importlib.import_module('cache_test_step')
    yield module
    del sys.modules['cache_test_step']


def key(data, pipeline):
    packed = PackedSet.open(data)
    return cache.key_of(packed, split(packed, 'xsub')[0], pipeline, Pipeline(pipeline))


def key_with(data, **more):
    """The key where the pipeline holds further steps that its config does not show."""
    pipeline, packed = Pipeline(PLAIN), PackedSet.open(data)
    pipeline.steps.update(more)
    return cache.key_of(packed, split(packed, 'xsub')[0], PLAIN, pipeline)


def test_code_that_cannot_be_read_or_was_changed_since_the_start_is_not_cached(data, own_step, monkeypatch):
    assert key(data, PLAIN) and key_with(data, own=own_step.Scaled())
    Path(own_step.__file__).unlink()
    assert key_with(data, own=own_step.Scaled()) is None
    notebook = type('Notebook', (), {'__module__': '__main__', '__call__': lambda self, results: results})
    monkeypatch.setattr(sys.modules['__main__'], 'Notebook', notebook, raising=False)
    monkeypatch.setattr(sys.modules['__main__'], '__file__', None, raising=False)
    assert key_with(data, own=notebook()) is None
    assert key_with(data, own=lambda results: results) is None
    monkeypatch.setattr(cache, '_STARTED', 0.0)  # every file is younger
    assert key(data, PLAIN) is None


def test_steps_and_functions_within_steps_count(data, own_step):
    held = [Pipeline({}), own_step.double, own_step.Scaled, {'deep': [own_step.Scaled()]}]
    held[0].steps['own'] = own_step.Scaled()
    for value in held:
        step = Pipeline(PLAIN).steps['pack']
        step.held = value
        file = Path(own_step.__file__)
        before = key_with(data, pack=step)
        text = file.read_text()
        file.write_text(text + '# changed\n')
        assert None is not before != key_with(data, pack=step)
        file.write_text(text)
        assert key_with(data, pack=step) == before


def test_every_pipeline_of_the_toolbox_can_be_cached(data):
    configs = [read_config(path) for path in sorted((ROOT / 'configs/_base_/datasets').glob('*.py'))]
    keys = {cfg.filename: key(data, cfg.dataset.pipeline) for cfg in configs}
    assert len(keys) > 5 and None not in keys.values()


def test_arguments_that_no_file_could_hold_are_not_cached(data):
    assert key(data, {**PLAIN, 'resample': {'type': 'Resample', 'num_frames': 4, 'length': 'all'}})
    packed = PackedSet.open(data)
    written = {'resample': {'type': 'Resample', 'num_frames': np.int64(4)}}
    assert cache.key_of(packed, split(packed, 'xsub')[0], written, Pipeline(PLAIN)) is None


def test_where_nothing_can_be_written_the_clips_are_prepared_all_the_same(data, builds):
    (data / '.cache').write_text('in the way')
    plain = clips(data, cache=False)
    np.testing.assert_array_equal(clips(data), plain)
    assert len(builds) == 2


def test_without_locks_and_on_a_full_disk_nothing_is_kept(data, monkeypatch, builds):
    def refuse(*_):
        raise OSError(errno.ENOLCK, 'no locks')

    plain = clips(data, cache=False)
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, 'flock', refuse)
        with pytest.warns(UserWarning, match='not kept.*cannot be locked.*no locks'):
            np.testing.assert_array_equal(clips(data), plain)
    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', refuse)
        with pytest.warns(UserWarning, match='prepared clips are not kept'):
            np.testing.assert_array_equal(clips(data), plain)
    assert not [*(data / '.cache').glob('*.npy'), *(data / '.cache').glob('.*')]
    np.testing.assert_array_equal(clips(data), plain)
    assert entry(data / '.cache').exists()


def test_a_folder_without_right_to_write_still_serves_what_it_holds(data, monkeypatch, builds):
    plain = clips(data)

    def refuse(*_):
        raise OSError(errno.EROFS, 'read-only')

    for name in ('utime', 'replace'):
        monkeypatch.setattr(os, name, refuse)
    np.testing.assert_array_equal(clips(data), plain)
    assert len(builds) == 1


def test_the_entries_used_longest_ago_go_first(data, monkeypatch):
    def of(frames):
        return {**PLAIN, 'resample': {'type': 'Resample', 'num_frames': frames}}

    sizes = {}
    for frames in (4, 5, 6):
        before = set((data / '.cache').glob('*.npy'))
        clips(data, pipeline=of(frames))
        (path,) = set((data / '.cache').glob('*.npy')) - before
        sizes[frames] = path
        os.utime(path.with_suffix('.json'), (frames, frames))
    clips(data, pipeline=of(4))  # used again
    limit = sum(path.stat().st_size for path in sizes.values()) + sizes[4].stat().st_size * 0.5
    monkeypatch.setenv('SKEATTN_CACHE_GB', str(limit / 1e9))
    clips(data, pipeline=of(3))
    assert [sizes[frames].exists() for frames in (4, 5, 6)] == [True, False, True]
    monkeypatch.setenv('SKEATTN_CACHE_GB', '0')
    clips(data, 'test', of(3))
    assert len(list((data / '.cache').glob('*.npy'))) == len(list((data / '.cache').glob('*.json'))) == 1
    monkeypatch.setenv('SKEATTN_CACHE_GB', 'much')
    with pytest.raises(ConfigError, match="SKEATTN_CACHE_GB='much' is not a number"):
        clips(data, pipeline=of(7))


def test_a_set_found_intact_is_not_read_again_until_it_changes(data, monkeypatch):
    monkeypatch.setattr('skeattn.datasets.packed.WORTH_NOTING', 0)
    PackedSet.open(data).verify()
    monkeypatch.setattr(integrity, '_seen', {})  # another process
    with monkeypatch.context() as patch:
        patch.setattr(integrity, 'sha256', lambda path: pytest.fail('read again'))
        PackedSet.open(data).verify()
    path = data / FRAMES
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    monkeypatch.setattr(integrity, '_seen', {})
    with pytest.raises(DataError, match=f'{FRAMES} is damaged'):
        PackedSet.open(data).verify()


def test_a_note_does_not_hide_what_is_asked_to_be_read_again(data, monkeypatch):
    monkeypatch.setattr('skeattn.datasets.packed.WORTH_NOTING', 0)
    packed = PackedSet.open(data)
    packed.verify()
    read = []
    monkeypatch.setattr(integrity, 'sha256', lambda path: read.append(path.name) or _sha256(path))
    packed.verify(again=True)
    assert sorted(read) == ['frames.npy', 'samples.npz']


@pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere one process prepares the clips')
def test_a_daemon_prepares_clips_by_itself():
    from skeattn.datasets.materialise import _cores

    with multiprocessing.get_context('fork').Pool(1) as pool:
        assert pool.apply(_cores, (10**9,)) == 1
