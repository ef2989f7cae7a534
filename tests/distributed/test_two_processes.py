"""Two CPU processes train as one does with the same global batch."""

import json
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.distributed.launching import two_processes
from tests.distributed.minutes_worker import main as train_by_minutes
from tests.distributed.signal_worker import main as train_until_signal
from tests.distributed.worker import STEPS, main
from tests.engine.runs import logged
from tests.engine.toy import write_set

pytestmark = pytest.mark.slow

Runs = Callable[[str], tuple[Path, Path]]


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    """Case -> folders of the one-process and the two-process run."""
    folder = tmp_path_factory.mktemp('two')
    data = write_set(folder / 'set')
    write_set(folder / 'other', 'kinect20', clips=10, test_clips=2)

    @cache
    def train(case: str) -> tuple[Path, Path]:
        main(folder / 'one', data, case)
        two_processes(main, folder / 'two', data, case)
        return folder / 'one', folder / 'two'

    return train


def states(runs: Runs, case: str) -> list[dict[str, torch.Tensor]]:
    return [torch.load(run / case / 'epoch_2.pth', weights_only=True)['state_dict'] for run in runs(case)]


def notes(runs: Runs, case: str) -> list[dict]:
    return [json.loads((run / f'{case}.json').read_text()) for run in runs(case)]


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


def test_logged_losses_are_means_over_both_processes(runs):
    """Each process has half of the batch, and the mean of the halves is that of the batch."""
    one, two = (logged(run / 'frozen') for run in runs('frozen'))
    assert [line.keys() for line in one] == [line.keys() for line in two] and len(one) == STEPS
    for name in ('loss', 'L_global', 'L_s', 'L_ns', 'lr'):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], abs=2e-5), name


def test_gradients_in_the_memory_of_their_exchange_change_no_bit(runs):
    (_, ours), (_, copied) = states(runs, 'frozen'), states(runs, 'copied')
    assert ours.keys() == copied.keys() and all(torch.equal(value, copied[name]) for name, value in ours.items())


def test_compiled_losses_of_two_processes_are_those_of_one(runs):
    for one, two in (states(runs, 'compiled'), (states(runs, 'frozen')[0], states(runs, 'compiled')[1])):
        assert one.keys() == two.keys()
        for name in one:
            torch.testing.assert_close(
                two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
            )


def test_crops_of_native_clips_train_as_one_process_does(runs):
    one, two = states(runs, 'cropped')
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
        )


@pytest.mark.parametrize('method', ['skelemixclr', 'crossclr', 'hiclr'])
def test_the_other_methods_train_as_one_process_does(runs, method):
    """Partners' keys and styles come from both processes."""
    one, two = states(runs, method)
    assert one.keys() == two.keys() and any('queue.keys' in name for name in one)
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
        )


def test_predictions_of_all_processes_are_compared_and_receive_gradients(runs):
    one, two = states(runs, 'stars')
    assert one['queue.pointer'] == two['queue.pointer'] == 5 * 8 % 12
    assert torch.equal(one['queue.ids'], two['queue.ids']) and (one['queue.ids'] >= 0).all()
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
        )


def test_matched_negatives_of_two_processes_are_those_of_one(runs):
    one, two = states(runs, 'matched')
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
        )


def test_matched_negatives_per_process_are_fewer(runs):
    together, (one, two) = states(runs, 'matched'), states(runs, 'apart')
    assert all(torch.equal(value, together[0][name]) for name, value in one.items())
    assert max((two[name] - value).abs().max() for name, value in one.items() if value.is_floating_point()) > 1e-4


@pytest.mark.parametrize('method', ['simsiam', 'pstl', pytest.param('byol', marks=pytest.mark.slow)])
def test_methods_without_a_queue_train_as_one_process_does(runs, method):
    one, two = states(runs, method)
    assert one.keys() == two.keys() and not any('queue' in name for name in one)
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
        )


@pytest.mark.parametrize('case', ['mamp', 'layouts', pytest.param('mamp_latent', marks=pytest.mark.slow)])
def test_masked_models_train_as_one_process_does(runs, case):
    """The mask of a clip depends on its place in the global batch alone."""
    one, two = states(runs, case)
    assert one.keys() == two.keys() and any('teacher' in name for name in one) == (case == 'mamp_latent')
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
        )


def test_self_distillation_trains_as_one_process_does(runs):
    """Masks are drawn, assignments made and neighbours found for the global batch."""
    one, two = states(runs, 'slim')
    assert one.keys() == two.keys() and any(name.startswith('teacher_heads') for name in one)
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f'{name}: {text}'
        )


@pytest.mark.parametrize('method', ['neighbours', pytest.param('barlowtwins', marks=pytest.mark.slow)])
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


def test_the_first_process_decides_when_a_checkpoint_is_due(tmp_path):
    """The clocks of the processes differ; a process that writes alone would wait for the others for ever."""
    two_processes(train_by_minutes, tmp_path, write_set(tmp_path / 'set'))
    assert [(tmp_path / f'{rank}.txt').read_text() for rank in (0, 1)] == ['epoch_3.pth epoch_4.pth'] * 2


def test_a_signal_to_one_of_two_processes_ends_both_with_one_checkpoint(tmp_path):
    """They agree at the end of the epoch; the resumed run trains on from there."""
    two_processes(train_until_signal, tmp_path, write_set(tmp_path / 'set'))
    assert [(tmp_path / f'{rank}.txt').read_text() for rank in (0, 1)] == [str(int(signal.SIGTERM))] * 2
    first, second = sorted((tmp_path / 'run').glob('2*/*.log'))
    assert 'epoch_2.pth' in first.read_text() and 'epoch_3.pth' not in first.read_text()
    assert 'epoch_2.pth: epoch 2, iteration 6' in second.read_text()
    assert (tmp_path / 'run/last_checkpoint').read_text() == 'epoch_3.pth'
