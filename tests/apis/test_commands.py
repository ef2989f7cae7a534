"""The commands embed, predict and retrieve print and write what the Python interface returns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skeattn.apis import Bank
from skeattn.commands import main
from tests.apis.conftest import SELF_SUPERVISED, SUPERVISED
from tests.conftest import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def skeattn(reader: Path, tmp_path: Path, clips, monkeypatch, capsys):
    """Run a command in a folder with a file of a clip: ``skeattn('embed', ...) -> (status, stdout, stderr)``."""
    for name in ('work_dirs', 'data'):
        (tmp_path / name).symlink_to(reader / name)
    np.save(tmp_path / 'wild.npy', clips[1])
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['skeattn', *map(str, arguments), '--device', 'cpu'])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def test_embed_writes_a_bank_or_an_array(skeattn, encoder, packed, clips) -> None:
    status, out, _ = skeattn('embed', SELF_SUPERVISED, 'data/demo', 'wild.npy', '--readout', 'joints', '--out', 'a.npz')
    assert (status, out.splitlines()[-1]) == (0, 'wrote a.npz: 37 clips, 200 features of backbone@joints')
    bank = Bank.load('a.npz')
    np.testing.assert_allclose(bank.features.x[:36], encoder.embed(packed, readout='joints'), atol=1e-5)
    assert bank.features.names[-1] == 'wild' and bank.classes == tuple(packed.classes)
    status, _, _ = skeattn('embed', SELF_SUPERVISED, 'wild.npy', '--out', 'a.npy')
    np.testing.assert_array_equal(np.load('a.npy'), encoder.embed(clips[1]))


def test_retrieve_finds_the_same_in_clips_and_in_a_bank(skeattn, encoder, packed, clips) -> None:
    skeattn('embed', SELF_SUPERVISED, 'data/demo', '--out', 'a.npz')
    ask = ('retrieve', SELF_SUPERVISED, 'wild.npy', '-k', 3, '--bank')
    lines = [skeattn(*ask, bank)[1].splitlines() for bank in ('a.npz', 'data/demo')]
    assert lines[0] == lines[1]
    (expected,) = encoder.retrieve(clips[1], packed, k=3)
    shown = [f'  {one.similarity:.4f}  {one.name}  {one.label}' for one in expected]
    assert lines[0] == ['wild', *shown]


def test_predict_classifies_or_learns_from_examples(skeattn, encoder, recognizer, packed, clips) -> None:
    _, out, _ = skeattn('predict', SUPERVISED, 'wild.npy', '--top', 2)
    expected = recognizer.classify(clips[1])
    best = ', '.join(f'{name} {100 * p:.1f} %' for name, p in expected.top(2)[0])
    assert out.splitlines()[-1] == f'wild: {expected.names[0]}; {best}'
    status, out, err = skeattn('predict', SELF_SUPERVISED, 'wild.npy', '--examples', 'data/demo', '--save', 'a.npz')
    assert status == 0 and 'wrote a.npz: 3 classes, ' in err
    again = skeattn('predict', SELF_SUPERVISED, 'wild.npy', '--few-shot', 'a.npz')[1]
    assert again.splitlines()[-1] == out.splitlines()[-1]
    found = encoder.fit_few_shot(packed).predict(clips[1])
    assert out.splitlines()[-1].startswith(f'wild: {found.names[0]}; ')


def test_stdout_of_a_process_holds_the_result_alone(reader, tmp_path, clips) -> None:
    np.save(tmp_path / 'a.npy', clips[1])
    command = [sys.executable, '-m', 'skeattn', 'retrieve', str(reader / SELF_SUPERVISED), 'a.npy', '--bank', 'a.npy']
    done = subprocess.run(
        [*command, '--json', '--device', 'cpu'],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    (row,) = json.loads(done.stdout)  # k is 5, or the size of a smaller bank
    assert row['clip'] == 'a' and [one['name'] for one in row['nearest']] == ['a'] and 'tensors loaded' in done.stderr


def test_json(skeattn) -> None:
    _, out, _ = skeattn('predict', SUPERVISED, 'wild.npy', '--json')
    (row,) = json.loads(out)
    assert row['clip'] == 'wild' and list(row['top']) == [row['name']]
    _, out, _ = skeattn('retrieve', SELF_SUPERVISED, 'wild.npy', '--bank', 'data/demo', '-k', 2, '--json')
    (row,) = json.loads(out)
    assert [set(one) for one in row['nearest']] == [{'name', 'label', 'similarity', 'place'}] * 2


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('embed', SELF_SUPERVISED, 'absent.npy', '--out', 'a.npz'), 'absent.npy does not exist'),
        (('embed', 'absent', 'wild.npy', '--out', 'a.npz'), 'absent: no such checkpoint or work_dir'),
        (('embed', SELF_SUPERVISED, 'wild.npy', '--out', 'a.txt'), '--out a.txt should end with .npz or .npy'),
        (('embed', SELF_SUPERVISED, 'wild.npy', '--out', 'wild.npy'), 'wild.npy exists already'),
        (('embed', 'absent', 'wild.npy', '--out', 'wild.npy/a.npz'), 'wild.npy/a.npz cannot be written (wild.npy'),
        (('predict', 'absent', 'wild.npy', '--examples', 'data/demo', '--save', 'wild.npy/a'), 'wild.npy/a cannot be'),
        (('embed', SELF_SUPERVISED, 'wild.npy', '--layout', 'coco17', '--out', 'a.npz'), 'wild.npy: '),
        (('predict', SELF_SUPERVISED, 'wild.npy'), 'has no classifier'),
        (('predict', SUPERVISED, 'wild.npy', '--top', 0), '--top 0 must be 1 or more'),
        (('predict', SUPERVISED, 'wild.npy', '--save', 'a.npz'), '--save belongs to a classifier that is fitted'),
        (('predict', SELF_SUPERVISED, 'wild.npy', '--few-shot', 'a.npz'), 'a.npz does not exist'),
        (
            ('predict', SELF_SUPERVISED, 'wild.npy', '--examples', 'data/demo', '--save', 'wild.npy'),
            'wild.npy exists already',
        ),
        (('retrieve', SELF_SUPERVISED, 'wild.npy', '--bank', 'data/demo', '-k', 99), 'choose 1 <= k <= 36'),
        (
            ('retrieve', SELF_SUPERVISED, 'wild.npy', '--bank', 'a.npz', '--readout', 'joints'),
            '--readout is for a bank',
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(skeattn, arguments, message) -> None:
    status, _, err = skeattn(*arguments)
    assert status == 2 and message in err and 'Traceback' not in err
    assert sum(line.startswith('error: ') for line in err.splitlines()) == 1
