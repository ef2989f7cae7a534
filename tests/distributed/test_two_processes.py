"""Two CPU processes train as one does with the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from tests.distributed.worker import STEPS, main
from tests.engine.toy import write_set


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> tuple[Path, Path]:
    """Folders of the one-process and the two-process run."""
    folder = tmp_path_factory.mktemp('two')
    data = write_set(folder / 'set')
    main(folder / 'one', data)
    (folder / 'two').mkdir()
    launch = [
        sys.executable,
        '-m',
        'torch.distributed.run',
        '--standalone',
        '--local-addr=127.0.0.1',
        '--nproc-per-node=2',
    ]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    worker = [str(ROOT / 'tests/distributed/worker.py'), str(folder / 'two'), str(data)]
    done = subprocess.run([*launch, *worker], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder / 'one', folder / 'two'


def states(runs: tuple[Path, Path], mode: str) -> list[dict[str, torch.Tensor]]:
    return [torch.load(run / mode / 'epoch_2.pth', weights_only=True)['state_dict'] for run in runs]


def notes(runs: tuple[Path, Path], mode: str) -> list[dict]:
    return [json.loads((run / f'{mode}.json').read_text()) for run in runs]


def test_with_frozen_bn_queue_pointer_key_encoder_and_weights_are_equal(runs):
    """Partners of the mix are drawn across the two processes."""
    one, two = states(runs, 'frozen')
    assert one['queue.pointer'] == two['queue.pointer'] == 5 * 8 % 40
    assert one.keys() == two.keys() and any(name.startswith('encoder_k') for name in one)
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
        )
    assert [found['world'] for found in notes(runs, 'frozen')] == [1, 2]


@pytest.mark.parametrize('method', ['skelemixclr', 'crossclr', 'hiclr'])
def test_the_other_methods_train_as_one_process_does(runs, method):
    """Partners' keys and styles come from both processes."""
    one, two = states(runs, method)
    assert one.keys() == two.keys() and any('queue.keys' in name for name in one)
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
        )


@pytest.mark.parametrize('method', ['simsiam', 'byol'])
def test_methods_without_a_queue_train_as_one_process_does(runs, method):
    one, two = states(runs, method)
    assert one.keys() == two.keys() and not any('queue' in name for name in one)
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
        )


@pytest.mark.parametrize('method', ['neighbours', 'barlowtwins'])
def test_methods_whose_loss_is_not_a_mean_over_clips_train_on_the_same_clips(runs, method):
    """Each process compares its own clips: the weights differ, the order and the state of the queue do not."""
    one, two = notes(runs, method)
    assert one['order'] == two['order'] and two['means']
    a, b = states(runs, method)
    assert all(value.isfinite().all() for value in b.values())
    if method == 'neighbours':
        assert a['bank.pointer'] == b['bank.pointer'] == 5 * 8 % 40
        assert not torch.equal(b['bank.keys'][:, 0], b['bank.keys'][:, 4])


def test_all_processes_are_given_the_metrics_of_the_first(runs):
    first, second = notes(runs, 'frozen')[1]['metrics']
    assert first == second and 'knn/top1_k1' in first


def test_with_bn_per_process_order_and_pointer_are_equal_and_statistics_are_averaged(runs):
    one, two = notes(runs, 'free')
    assert one['order'] == two['order'] and len(one['order']) == STEPS
    assert two['means'], 'the processes ended with different BN statistics'
    a, b = states(runs, 'free')
    assert a['queue.pointer'] == b['queue.pointer']
    # Each process normalises its own clips: equal numbers would mean that this test looks at something else.
    assert (a['queue.keys'] - b['queue.keys']).abs().max() > 1e-4
