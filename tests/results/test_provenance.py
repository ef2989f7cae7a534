"""Where a result comes from, read back from what training left behind."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

import skeattn
from skeattn.results import provenance as record
from skeattn.results.provenance import commit, epoch_seconds, pretrained_facts, training_facts

META = {'seed': 3, 'epoch': 4, 'iter': 40, 'batch_size': 16}


def write_scalars(work_dir: Path, start: str, *lines: dict | str) -> None:
    log = work_dir / start / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('\n'.join(line if isinstance(line, str) else json.dumps(line) for line in lines))


def step(epoch: int, time: float) -> dict:
    return {'epoch': epoch, 'time': time, 'loss': 1.0, 'step': 10 * epoch}


def test_a_resumed_training_is_timed_from_all_its_logs(tmp_path: Path) -> None:
    """Evaluations and a line that a kill cut short are passed over; an epoch done twice counts once."""
    write_scalars(
        tmp_path, '1', step(1, 9.0), step(2, 0.2), step(2, 0.4), {'knn/top1_k1': 50.0, 'step': 2}, '{"epoch": 3, "ti'
    )
    write_scalars(tmp_path, '2', step(2, 0.6), step(3, 0.5), step(4, 0.7))
    assert epoch_seconds(tmp_path, 10) == pytest.approx({1: 90.0, 2: 4.0, 3: 5.0, 4: 7.0})
    torch.save({'state_dict': {'w': torch.zeros(1)}, 'meta': META}, tmp_path / 'epoch_4.pth')
    facts = {'seed': 3, 'epochs': 4, 'clips_seen': 640, 'seconds_per_epoch': 5.0, 'seconds': 106.0}
    assert training_facts(tmp_path / 'epoch_4.pth') == pytest.approx(facts)


def test_of_a_single_epoch_the_first_is_timed(tmp_path: Path) -> None:
    write_scalars(tmp_path, '1', step(1, 0.5))
    torch.save({'state_dict': {'w': torch.zeros(1)}, 'meta': {**META, 'epoch': 1, 'iter': 6}}, tmp_path / 'epoch_1.pth')
    assert training_facts(tmp_path / 'epoch_1.pth')['seconds_per_epoch'] == 3.0


INTERRUPTED = {
    'epoch_0_iter_4.pth': ((0, 4), {'epochs': 0, 'clips_seen': 64, 'seconds_per_epoch': 20.0, 'seconds': 8.0}),
    'epoch_1.pth': ((1, 10), {'epochs': 1, 'clips_seen': 160, 'seconds_per_epoch': 20.0, 'seconds': 20.0}),
    'epoch_1_iter_15.pth': ((1, 15), {'epochs': 1, 'clips_seen': 240, 'seconds_per_epoch': 10.0, 'seconds': 25.0}),
    'epoch_3.pth': ((3, 24), {'epochs': 3, 'clips_seen': 384, 'seconds_per_epoch': 20.0, 'seconds': 42.0}),
}


@pytest.mark.parametrize('name', INTERRUPTED)
def test_a_checkpoint_within_an_epoch_has_the_time_up_to_it(tmp_path: Path, name: str) -> None:
    """Epochs of ten steps: of 2 s, 1 s and 3 s each; the last one is cut after four steps."""
    write_scalars(tmp_path, '1', step(1, 2.0), step(2, 1.0), step(3, 3.0))
    (epoch, iteration), expected = INTERRUPTED[name]
    meta = {**META, 'epoch': epoch, 'iter': iteration, 'iterations_per_epoch': 10}
    torch.save({'state_dict': {'w': torch.zeros(1)}, 'meta': meta}, tmp_path / name)
    assert training_facts(tmp_path / name) == pytest.approx({'seed': 3, **expected})


@pytest.mark.parametrize('key', ['split', 'protocol'])
def test_the_split_of_a_pre_training_is_read_under_its_old_name_too(tmp_path: Path, key: str) -> None:
    meta = {'stream': 'joint', 'cfg': f"dataset = {{'data': 'data/toy', {key!r}: 'xsub'}}\n"}
    torch.save({'state_dict': {'weight': torch.zeros(1)}, 'meta': meta}, tmp_path / 'epoch_1.pth')
    assert pretrained_facts(tmp_path / 'epoch_1.pth') == {'stream': 'joint', 'data': 'data/toy', 'split': 'xsub'}


def test_a_checkpoint_that_stands_alone_says_what_it_can(tmp_path: Path) -> None:
    torch.save({'state_dict': {'w': torch.zeros(1)}, 'meta': META}, tmp_path / 'a.pth')
    assert training_facts(tmp_path / 'a.pth') == {'seed': 3, 'epochs': 4, 'clips_seen': 640}
    torch.save({'w': torch.zeros(1)}, tmp_path / 'b.pth')
    assert training_facts(tmp_path / 'b.pth') == {}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch):
    """A git checkout with the toolbox in it, and a function to run git there."""
    package = tmp_path / 'checkout' / 'skeattn' / '__init__.py'
    package.parent.mkdir(parents=True)
    package.write_text('')
    monkeypatch.setattr(skeattn, '__file__', str(package))
    for name in ('GIT_AUTHOR_NAME', 'GIT_AUTHOR_EMAIL', 'GIT_COMMITTER_NAME', 'GIT_COMMITTER_EMAIL'):
        monkeypatch.setenv(name, 'toy')

    def git(*arguments: str, folder: Path = package.parent.parent) -> str:
        return subprocess.check_output(['git', '-C', folder, *arguments], text=True, stderr=subprocess.DEVNULL).strip()

    return git


def test_commit_and_whether_files_were_changed_since(checkout, tmp_path: Path) -> None:
    assert commit() == {}
    checkout('init')
    assert commit() == {}  # nothing committed yet
    checkout('add', '.')
    checkout('commit', '-m', 'first')
    assert commit() == {'commit': checkout('rev-parse', 'HEAD'), 'dirty': False}
    Path(skeattn.__file__).write_text('changed = True\n')
    assert commit()['dirty'] is True


def test_no_commit_of_somebody_elses_checkout_and_none_without_git(checkout, tmp_path: Path, monkeypatch) -> None:
    checkout('init', folder=tmp_path)
    checkout('commit', '--allow-empty', '-m', 'theirs', folder=tmp_path)
    assert commit() == {}

    def missing(*_, **__):
        raise FileNotFoundError('git')

    monkeypatch.setattr(record.subprocess, 'run', missing)
    assert commit() == {}
