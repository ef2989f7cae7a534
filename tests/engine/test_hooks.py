"""When keys, momentum and randomness advance: once per optimiser step, and a missing hook raises an error."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import PARAM_SCHEDULERS

from skeattn.engine.hooks import MomentumUpdateHook, RandomnessHook
from skeattn.engine.hooks.steps import bare_model
from skeattn.errors import ConfigError, NonFiniteError
from skeattn.models.momentum import cosine_momentum
from tests.conftest import ROOT, shared_path
from tests.engine.runs import fake_runner, logged
from tests.engine.toy import toy_runner, write_set

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp('hooks') / 'set')


class Recorder(Hook):
    """Records the queue that each batch saw and the updates of the key encoder."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.seen, self.staged, self.momenta, self.keys, self.queries = [], [], [], [], []

    def before_train(self, runner) -> None:
        self.model = bare_model(runner)
        update, stage = self.model.update_key_encoder, self.model.queue.stage

        def note_update(momentum, buffers):
            update(momentum, buffers)
            self.momenta.append((runner.iter, momentum))

        def note_stage(keys):
            self.staged.append(keys.clone())
            stage(keys)

        self.model.update_key_encoder, self.model.queue.stage = note_update, note_stage

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.seen.append(self.model.queue.keys.clone())
        self.keys.append(self.weight(self.model.encoder_k))
        self.queries.append(self.weight(self.model.encoder_q))

    @staticmethod
    def weight(encoder) -> torch.Tensor:
        return encoder.backbone.blocks[0].gcn.conv.weight.detach().clone()


def recorded(tmp_path, data, **options) -> Recorder:
    runner = toy_runner(tmp_path, data=data, evaluation=None, default_hooks__checkpoint__save_best=None, **options)
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.train()
    return recorder


def test_momentum_equals_the_released_schedule_with_its_early_counter():
    golden = np.load(shared_path('golden/schedules.npz'))
    total, base = int(golden['key_momentum/max_iter']), float(golden['key_momentum/m'])
    hook = MomentumUpdateHook(base_momentum=base, ahead_epochs=1)
    for it, expected in zip(golden['key_momentum/cur_iter'], golden['key_momentum/SkeAttnMask'], strict=True):
        runner = fake_runner(int(it) - total // 300, total, total // 300)
        assert hook.momentum(runner) == pytest.approx(expected, rel=0, abs=1e-12)


def test_momentum_starts_at_its_base_and_ends_just_below_one():
    hook = MomentumUpdateHook(base_momentum=0.9)
    assert hook.momentum(fake_runner(0, 100, 10)) == 0.9
    assert hook.momentum(fake_runner(50, 100, 10)) == pytest.approx(0.95)
    assert 0.9999 < hook.momentum(fake_runner(99, 100, 10)) < 1
    assert MomentumUpdateHook(0.9, schedule='constant').momentum(fake_runner(50, 100, 10)) == 0.9


def test_momentum_counts_optimiser_steps():
    hook = MomentumUpdateHook(base_momentum=0.9)
    assert hook.momentum(fake_runner(3, 8, 8, micro_batches=4)) == 0.9
    assert hook.momentum(fake_runner(7, 8, 8, micro_batches=4)) == cosine_momentum(1, 2, 0.9)


def test_the_learning_rate_of_the_schedule_config_is_the_released_one():
    golden = np.load(shared_path('golden/schedules.npz'))
    cfg = Config.fromfile(ROOT / 'configs/_base_/schedules/sgd_300e.py')
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=cfg.optim_wrapper.optimizer.lr)
    schedule = PARAM_SCHEDULERS.build(cfg.param_scheduler, default_args={'optimizer': optimiser})
    rates = {}
    for epoch in range(1, cfg.train_cfg.max_epochs + 1):
        rates[epoch] = optimiser.param_groups[0]['lr']
        optimiser.step()
        schedule.step()
    released = next(key for key in golden.files if key.startswith('lr/step'))
    assert [rates[int(epoch)] for epoch in golden['lr/epoch']] == pytest.approx(golden[released].tolist())


def test_with_gradient_accumulation_keys_and_momentum_advance_once_per_optimiser_step(tmp_path, data):
    """26 clips in batches of 4: 6 iterations, in steps of 4 and, at the end, 2 micro-batches."""
    notes = recorded(
        tmp_path, data, batch_size=4, train_cfg__max_epochs=1, optim_wrapper__accumulative_counts=4
    )  # fmt: skip
    base = 0.996
    assert notes.momenta == [(3, cosine_momentum(0, 2, base)), (5, cosine_momentum(1, 2, base))]
    assert all(torch.equal(seen, notes.seen[0]) for seen in notes.seen[:4]), 'micro-batches saw different negatives'
    assert torch.equal(notes.seen[4], notes.seen[5]) and not torch.equal(notes.seen[3], notes.seen[4])
    queue = notes.model.queue
    assert torch.equal(queue.keys[:, :24], torch.cat(notes.staged).T), 'keys are not in micro-batch order'
    assert queue.pointer == 24 and not queue.pending


HALF = {'default_hooks__momentum__schedule': 'constant', 'default_hooks__momentum__base_momentum': 0.5}


def test_after_step_follows_the_weights_just_learnt(tmp_path, data):
    notes = recorded(tmp_path, data, train_cfg__max_epochs=1, **HALF)
    query, key = notes.weight(notes.model.encoder_q), notes.weight(notes.model.encoder_k)
    assert torch.equal(notes.keys[0], notes.queries[0])
    torch.testing.assert_close(notes.keys[1], 0.5 * notes.keys[0] + 0.5 * notes.queries[1], rtol=0, atol=1e-7)
    torch.testing.assert_close(key, 0.5 * notes.keys[2] + 0.5 * query, rtol=0, atol=1e-7)


def test_before_step_follows_the_weights_of_the_step_before(tmp_path, data):
    """The recorder runs after the update: what it sees before an iteration is what that iteration's keys come from."""
    notes = recorded(tmp_path, data, train_cfg__max_epochs=1, default_hooks__momentum__timing='before_step', **HALF)
    query, key = notes.weight(notes.model.encoder_q), notes.weight(notes.model.encoder_k)
    torch.testing.assert_close(notes.keys[2], 0.5 * notes.keys[1] + 0.5 * notes.queries[2], rtol=0, atol=1e-7)
    assert torch.equal(key, notes.keys[2]) and not torch.equal(query, notes.queries[2])


@pytest.mark.parametrize(('hook', 'named'), [('momentum', 'MomentumUpdateHook'), ('queue', 'QueueUpdateHook')])
def test_a_dropped_hook_stops_training_at_the_next_step(tmp_path, data, hook, named):
    runner = toy_runner(tmp_path, data=data, **{f'default_hooks__{hook}': None})
    with pytest.raises(ConfigError, match=named):
        runner.train()
    assert runner.iter == 1


def test_dropping_the_randomness_hook_stops_training_at_once(tmp_path, data):
    with pytest.raises(ConfigError, match='RandomnessHook'):
        toy_runner(tmp_path, data=data, default_hooks__randomness=None).train()


@pytest.mark.parametrize('options', [{'schedule': 'square'}, {'timing': 'later'}, {'base_momentum': 1.5}])
def test_momentum_hook_refuses_options_it_does_not_know(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        MomentumUpdateHook(**options)


def test_randomness_is_a_function_of_seed_and_iteration():
    def draw(seed: int, iteration: int) -> list:
        model = SimpleNamespace(data_preprocessor=SimpleNamespace(begin_iteration=lambda *where: calls.append(where)))
        calls: list = []
        torch.rand(7)
        RandomnessHook().before_train_iter(SimpleNamespace(model=model, seed=seed, iter=iteration), 0)
        assert calls == [(seed, iteration)]
        return torch.rand(3).tolist()

    assert draw(0, 5) == draw(0, 5)
    assert draw(0, 5) != draw(0, 6) and draw(0, 5) != draw(1, 5)


class Poison(Hook):
    """Makes a weight NaN before or after some iteration."""

    def __init__(self, before: int = -1, after: int = -1) -> None:
        self.before, self.after = before, after

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter == self.before:
            bare_model(runner).mhsam.proj.bias.data[0] = float('nan')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter == self.after:
            bare_model(runner).mhsam.proj.bias.data[0] = float('nan')


def test_a_loss_that_is_not_finite_stops_training_and_names_what_is_known(tmp_path, data):
    runner = toy_runner(tmp_path, data=data)
    runner.register_hook(Poison(before=4))
    with pytest.raises(NonFiniteError, match=r'iteration 4 \(epoch 2\).*L_s=nan.*clip\d+.*epoch_1\.pth, untouched'):
        runner.train()
    assert sorted(path.name for path in (tmp_path / 'run').glob('*.pth')) == ['epoch_1.pth']


@pytest.mark.parametrize('interval', [2, 50])
def test_the_first_iteration_that_is_not_finite_is_named_when_the_log_is_due(tmp_path, data, interval):
    """An epoch has three iterations: the second or the last one reads what the first one left."""
    runner = toy_runner(tmp_path, data=data, default_hooks__logger__interval=interval)
    runner.register_hook(Poison(before=3))
    with pytest.raises(NonFiniteError, match=r'iteration 3 \(epoch 2\).*L_s=nan.*clip\d+.*epoch_1\.pth, untouched'):
        runner.train()
    assert runner.iter == {2: 4, 50: 5}[interval]
    assert sorted(path.name for path in (tmp_path / 'run').glob('*.pth')) == ['epoch_1.pth']


class Writer(Hook):
    """Writes a checkpoint after every iteration."""

    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        runner.save_checkpoint(runner.work_dir, 'mine.pth')


def test_an_unread_loss_is_checked_before_a_checkpoint_is_written(tmp_path, data):
    """Also one that another hook writes in the middle of an epoch, and with weights that are finite."""
    runner = toy_runner(tmp_path, data=data, default_hooks__logger__interval=50)
    step = runner.model.train_step
    runner.model.train_step = lambda *args, **options: {**step(*args, **options), 'extra': torch.tensor(float('inf'))}
    runner.register_hook(Writer())
    with pytest.raises(NonFiniteError, match=r'iteration 0 \(epoch 1\): extra=inf'):
        runner.train()
    assert not (tmp_path / 'run/mine.pth').exists()


def test_the_log_interval_changes_no_logged_value(tmp_path, data):
    lines, options = {}, {'evaluation': None, 'default_hooks__checkpoint__save_best': None}
    for interval in (1, 3):
        folder = tmp_path / str(interval)
        folder.mkdir()
        toy_runner(folder, data=data, default_hooks__logger__interval=interval, **options).train()
        lines[interval] = {line['iter']: line for line in logged(folder / 'run')}
    assert sorted(lines[3]) == [3, 6, 9]
    assert all(line == lines[1][iteration] for iteration, line in lines[3].items())


def test_weights_that_are_not_finite_never_reach_a_checkpoint(tmp_path, data):
    """The last step of an epoch breaks the weights after the check of its loss."""
    runner = toy_runner(tmp_path, data=data)
    runner.register_hook(Poison(after=5))
    with pytest.raises(NonFiniteError, match=r'mhsam\.proj\.bias; epoch_2\.pth was not written'):
        runner.train()
    assert (tmp_path / 'run/last_checkpoint').read_text() == 'epoch_1.pth'


def test_a_clip_that_is_not_finite_is_named(tmp_path, data):
    runner = toy_runner(tmp_path, data=data)
    dataset = runner.train_dataloader.dataset
    dataset.clips[11, 0, 3] = float('inf')
    with pytest.raises(NonFiniteError, match=rf'NaN or infinite coordinates: {dataset.names[11]}\.'):
        runner.train()
