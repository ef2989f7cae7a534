"""Batches that are not finite are left out without a trace, up to a budget; the cause of a NaN is named."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook

from skeattn.checkpoint import read_checkpoint
from skeattn.engine.hooks.non_finite import SKIPPED
from skeattn.engine.hooks.steps import bare_model
from skeattn.errors import ConfigError, NonFiniteError
from tests.engine.runs import assert_equal_state, logged, same
from tests.engine.toy import toy_runner, write_set

pytestmark = pytest.mark.slow

QUIET: dict[str, Any] = {'evaluation': None, 'default_hooks__checkpoint__save_best': None}
SKIP = {**QUIET, 'default_hooks__non_finite__skip': 3}
"""One batch in each of the three epochs."""


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp('skipping') / 'set')


class States(Hook):
    """Keep everything that an iteration changes, before and after each.

    Attributes:
        before, after: iteration -> weights with queue and statistics, optimiser.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.after: dict[int, Any] = {}

    def _state(self, runner: Any) -> dict[str, Any]:
        return copy.deepcopy(
            {'weights': dict(bare_model(runner).state_dict()), 'optimizer': runner.optim_wrapper.state_dict()['state']}
        )

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.before[runner.iter] = self._state(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.after[runner.iter] = self._state(runner)


def broken_runner(folder: Path, data: Path, clip: int = 11, **options: Any):
    """A training on a set in which one clip is infinite."""
    runner = toy_runner(folder, data=data, **{**SKIP, **options})
    runner.train_dataloader.dataset.clips[clip, 0, 3] = float('inf')
    return runner


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'default_hooks__momentum__timing': 'before_step'},
        {'optim_wrapper__optimizer': dict(_delete_=True, type='AdamW', lr=0.001)},
    ],
    ids=['after_step', 'before_step', 'adamw'],
)
def test_a_skipped_iteration_changes_nothing(tmp_path, data, options) -> None:
    """Weights, key encoder, queue, BatchNorm statistics, momentum of the optimiser."""
    runner, states = broken_runner(tmp_path, data, **options), States()
    runner.register_hook(states)
    runner.train()
    skipped = runner.message_hub.get_info(SKIPPED)
    assert len(skipped) == 3 and [step // 3 for step in skipped] == [0, 1, 2]
    early = options.get('default_hooks__momentum__timing') == 'before_step'
    for step in range(9):
        earlier = states.after[step - 1] if early and step else states.before[step]
        assert same(states.after[step], earlier) == (step in skipped), step
    assert all(value.isfinite().all() for value in states.after[8]['weights'].values())
    assert [line['iter'] for line in logged(tmp_path / 'run') if 'loss' in line][-1] == 9
    assert all(torch.isfinite(torch.tensor(line['loss'])) for line in logged(tmp_path / 'run'))


@pytest.mark.slow
def test_skipping_is_deterministic_and_its_count_survives_resuming(tmp_path, data) -> None:
    for name in ('one', 'other'):
        (tmp_path / name).mkdir()
        broken_runner(tmp_path / name, data).train()
    (tmp_path / 'on/run').mkdir(parents=True)
    (tmp_path / 'on/run/epoch_1.pth').write_bytes((tmp_path / 'one/run/epoch_1.pth').read_bytes())
    runner = broken_runner(tmp_path / 'on', data, resume=True)
    runner.train()
    one, other, on = (read_checkpoint(tmp_path / name / 'run/epoch_3.pth') for name in ('one', 'other', 'on'))
    assert_equal_state(one, other)
    assert_equal_state(on, one)
    assert on['message_hub']['runtime_info'][SKIPPED] == one['message_hub']['runtime_info'][SKIPPED]
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    assert 'the batch is left out, 2 of at most 3' in log and 'the batch is left out, 1 of' not in log


def test_one_batch_more_than_the_budget_ends_the_training_with_its_cause(tmp_path, data) -> None:
    runner = broken_runner(tmp_path, data, default_hooks__non_finite__skip=2)
    clip = runner.train_dataloader.dataset.names[11]
    match = rf'epoch 3.*2 batches were left out before, and default_hooks\.non_finite\.skip=2 .*coordinates: {clip}\.'
    with pytest.raises(NonFiniteError, match=match):
        runner.train()


def test_the_switch_changes_no_bit_where_nothing_is_skipped(tmp_path, data) -> None:
    for name, skip in (('off', 0), ('on', 3)):
        (tmp_path / name).mkdir()
        toy_runner(tmp_path / name, data=data, **QUIET, default_hooks__non_finite__skip=skip).train()
    assert_equal_state(*(read_checkpoint(tmp_path / name / 'run/epoch_3.pth') for name in ('off', 'on')))


def test_a_step_that_breaks_the_weights_is_undone(tmp_path, data) -> None:
    """The loss is finite; a gradient is not."""
    runner = toy_runner(tmp_path, data=data, **SKIP)
    weight = bare_model(runner).mhsam.proj.weight
    calls = []
    weight.register_hook(lambda grad: calls.append(1) or (grad * float('inf') if len(calls) == 4 else grad))
    runner.train()
    assert runner.message_hub.get_info(SKIPPED) == [3] and weight.isfinite().all()


@pytest.mark.parametrize('skip', [-1, 1.5, True])
def test_a_budget_is_a_number_of_batches(tmp_path, data, skip) -> None:
    with pytest.raises(ConfigError, match='skip'):
        toy_runner(tmp_path, data=data, **{**SKIP, 'default_hooks__non_finite__skip': skip})


def test_skipping_refuses_gradient_accumulation(tmp_path, data) -> None:
    with pytest.raises(ConfigError, match=r'skip=3 with optim_wrapper\.accumulative_counts=2'):
        toy_runner(tmp_path, data=data, **SKIP, optim_wrapper__accumulative_counts=2).train()


def test_weights_that_are_not_finite_from_the_beginning_are_not_the_clips_fault(tmp_path, data) -> None:
    runner = toy_runner(tmp_path, data=data, **QUIET)
    initialise = bare_model(runner).init_weights

    def broken() -> None:
        initialise()
        bare_model(runner).mhsam.proj.bias.data[0] = float('nan')

    bare_model(runner).init_weights = broken
    match = r'1 weights are NaN or infinite before iteration 0, first mhsam\.proj\.bias: .*not from the clips'
    with pytest.raises(NonFiniteError, match=match):
        runner.train()


def test_a_learning_rate_that_is_no_number_is_the_cause(tmp_path, data) -> None:
    runner = toy_runner(tmp_path, data=data, **QUIET, optim_wrapper__optimizer__lr=1e-2)

    class Rate(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
            if runner.iter == 3:
                runner.optim_wrapper.param_groups[0]['lr'] = float('nan')

    runner.register_hook(Rate())
    with pytest.raises(NonFiniteError) as caught:
        runner.train()
    message = str(caught.value)
    assert 'the learning rate is nan' in message and 'param_scheduler' in message and 'clips' not in message


def test_weights_that_diverge_are_named_and_the_clips_are_not_blamed(tmp_path, data) -> None:
    runner = toy_runner(tmp_path, data=data, **QUIET, optim_wrapper__optimizer__lr=1e30)
    with pytest.raises(NonFiniteError, match='whose coordinates are finite: the weights have diverged') as caught:
        runner.train()
    assert 'skeattn verify' not in str(caught.value)
