"""Methods without key encoder, without queue or without both, through the Runner: hooks, resuming, accumulation."""

import math
import re
import shutil
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook

from skeattn.checkpoint import read_checkpoint
from skeattn.engine import SkeAttnRunner
from skeattn.engine.hooks.steps import bare_model
from skeattn.engine.resume import paper_vs_release
from skeattn.errors import ConfigError
from skeattn.models.queue import queues_of
from tests.engine.runs import assert_equal_state, logged
from tests.engine.toy import call, write_set
from tests.models.siamese import SUPERFLUOUS, siamese_config

LACKS = {'momentum': 'has no key encoder', 'queue': 'has no queue', 'mining': 'mines no positives'}
LEFT_IN = [(method, hook) for method, hooks in SUPERFLUOUS.items() for hook in (*hooks, 'mining')]
HAS = [(method, hook) for method, hooks in SUPERFLUOUS.items() for hook in ('momentum', 'queue') if hook not in hooks]
every_method = pytest.mark.parametrize('method', SUPERFLUOUS)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp('methods') / 'set')


@pytest.fixture(scope='module')
def finished(tmp_path_factory, data):
    """Folder of a finished run of a method: three epochs of three iterations, trained once."""
    folders = {}

    def run(method):
        if method not in folders:
            folders[method] = tmp_path_factory.mktemp(method)
            runner(folders[method], data, method).train()
        return folders[method]

    return run


def runner(folder, data, method, **options):
    return SkeAttnRunner.from_cfg(siamese_config(folder, method, data=data, **options))


@pytest.mark.slow
@every_method
def test_a_method_trains_and_is_evaluated_without_the_hooks_it_has_no_use_for(finished, method):
    lines = logged(finished(method) / 'run')
    assert len(lines) == 9 and all(math.isfinite(line['loss']) for line in lines)
    assert len({line['loss'] for line in lines}) == 9
    assert (finished(method) / 'run/best_knn_top1_k1.pth').is_file()


@pytest.mark.parametrize(('method', 'hook'), LEFT_IN)
def test_a_hook_without_work_names_itself_and_the_cure_before_the_first_iteration(tmp_path, data, method, hook):
    hooks = dict.fromkeys(name for name in SUPERFLUOUS[method] if name != hook)
    if hook == 'mining':
        hooks['mining'] = dict(type='MiningHook')
    run = runner(tmp_path, data, method, hooks=hooks)
    message = f'default_hooks.{hook}: {method} {LACKS[hook]}; leave the hook out with default_hooks=dict({hook}='
    with pytest.raises(ConfigError, match=re.escape(message)):
        run.train()
    assert run.iter == 0


@pytest.mark.parametrize(('method', 'hook'), HAS)
def test_a_hook_that_has_work_cannot_be_dropped_unnoticed(tmp_path, data, method, hook):
    run = runner(tmp_path, data, method, hooks=dict.fromkeys((*SUPERFLUOUS[method], hook)))
    with pytest.raises(ConfigError, match=rf'keep default_hooks\.{hook}='):
        run.train()
    assert run.iter == 1


@pytest.mark.slow
@every_method
def test_resuming_continues_bit_for_bit(finished, tmp_path, data, method):
    (tmp_path / 'run').mkdir()
    shutil.copy(finished(method) / 'run/epoch_1.pth', tmp_path / 'run')
    runner(tmp_path, data, method, resume=True).train()
    assert logged(tmp_path / 'run') == logged(finished(method) / 'run')[3:]
    assert_equal_state(*(read_checkpoint(folder / 'run/epoch_3.pth') for folder in (tmp_path, finished(method))))


class Recorder(Hook):
    """Records the weights with and without gradients, and the queues' pointers, after every iteration."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.trained, self.following, self.pointers = [], [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        model = bare_model(runner)
        weights = {
            gradient: [p for p in model.parameters() if p.requires_grad == gradient] for gradient in (True, False)
        }
        self.trained.append(torch.cat([p.detach().flatten() for p in weights[True]]))
        self.following.append(torch.cat([p.flatten() for p in weights[False]] or [torch.zeros(0)]))
        self.pointers.append([int(queue.pointer) for queue in queues_of(model)])


@pytest.mark.slow
@every_method
def test_with_gradient_accumulation_all_state_advances_once_per_optimiser_step(tmp_path, data, method):
    """26 clips in batches of 4: 6 iterations, in steps of 4 and, at the end, 2 micro-batches."""
    options = dict(batch_size=4, train_cfg__max_epochs=1, optim_wrapper__accumulative_counts=4, evaluation=None)
    run, notes = runner(tmp_path, data, method, default_hooks__checkpoint__save_best=None, **options), Recorder()
    run.register_hook(notes)
    run.train()
    stepped = [False, False, True, False, True]
    assert [not torch.equal(a, b) for a, b in pairwise(notes.trained)] == stepped
    if 'momentum' not in SUPERFLUOUS[method]:
        assert [not torch.equal(a, b) for a, b in pairwise(notes.following)] == stepped
    if 'queue' not in SUPERFLUOUS[method]:
        assert notes.pointers == [[0]] * 3 + [[16]] * 2 + [[24]]


def test_the_command_prints_choices_only_of_a_method_that_has_a_release(tmp_path, data, capfd):
    siamese_config(tmp_path, 'ToySimSiam', data=data)
    options = ['--cfg-options', 'max_iters=1', 'default_hooks.momentum=None', 'default_hooks.queue=None']
    work_dir = ['--work-dir', str(tmp_path / 'run')]
    call('train', tmp_path / 'toy.py', *work_dir, *options)
    printed = capfd.readouterr().out
    assert 'ToySimSiam: stream joint' in printed and 'paper and release' not in printed


def test_the_command_prints_a_custom_method_s_choices_by_their_old_name_too():
    rows = {'mine': (1, 'own')}
    for declared in ('switches', 'paper_vs_release'):
        assert paper_vs_release(SimpleNamespace(**{declared: lambda: rows})) == rows
    assert paper_vs_release(SimpleNamespace()) == {}
