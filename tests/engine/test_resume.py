"""At resume the config's settings count, and every difference is shown and recorded."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.checkpoint import read_checkpoint, write_checkpoint
from skeattn.engine import SkeAttnRunner
from skeattn.engine.hooks.steps import EPOCH_LOSSES
from skeattn.engine.resume import Difference, compare, differences
from skeattn.errors import CheckpointError, ConfigError
from tests.engine.resuming import QUIET, ready, resumed
from tests.engine.runs import assert_equal_state, logged
from tests.engine.toy import call, toy_config, toy_runner, write_config, write_set

pytestmark = pytest.mark.slow

COSINE = "param_scheduler = dict(_delete_=True, type='CosineAnnealingLR')\n"
WARMUP = "param_scheduler = dict(_delete_=True, type='WarmupCosineLR', warmup=1.5, eta_min=1e-4{})\n"
STEPS = 'param_scheduler = dict(milestones=[2, 4])\n'
ACCUMULATED = {**QUIET, 'optim_wrapper__accumulative_counts': 2}


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp('resume') / 'set')


@pytest.fixture(scope='module')
def finished(tmp_path_factory, data) -> Path:
    """The folder of a run of three epochs of three iterations."""
    folder = tmp_path_factory.mktemp('finished')
    toy_runner(folder, data=data, **QUIET).train()
    return folder


def log_of(runner: SkeAttnRunner) -> str:
    return next(Path(runner.log_dir).glob('*.log')).read_text()


def rates(run: Path) -> list[float]:
    return [line['lr'] for line in logged(run)]


def test_a_checkpoint_carries_config_data_choices_and_versions_as_plain_values(finished, data):
    meta = torch.load(finished / 'run/epoch_1.pth', weights_only=True)['meta']
    config = meta['config']
    assert config['batch_size'] == 8 and config['model']['data_preprocessor']['stream'] == 'joint'
    assert config['optim_wrapper']['optimizer']['lr'] == 0.01 and config['dataset']['data'] == str(data)
    assert len(meta['manifest_sha256']) == 64 and meta['iterations_per_epoch'] == 3
    assert meta['paper_vs_release']['key_init'][0] == 'copy' and meta['resumed'] == []


CHANGES = {
    'batch_size': ({'batch_size': 4}, 'batch_size=8, the config says 4'),
    'optim_wrapper.optimizer.lr': (
        {'optim_wrapper__optimizer__lr': 0.02},
        r'optim_wrapper\.optimizer\.lr=0\.01, the config says 0\.02',
    ),
    'param_scheduler.milestones': (
        {'param_scheduler__milestones': [2]},
        r'param_scheduler\.milestones=\[250\], the config says \[2\]',
    ),
    'param_scheduler': (
        {'param_scheduler': [{'type': 'LinearLR', 'end': 2}, {'type': 'MultiStepLR', 'milestones': [9]}]},
        'param_scheduler=',
    ),
    'optim_wrapper.optimizer': ({'optim_wrapper__optimizer__type': 'RMSprop'}, r"type='SGD', the config says 'RMSprop"),
    'dataset.pipeline.resample.num_frames': ({'dataset__pipeline__resample__num_frames': 20}, 'num_frames=16'),
    'dataset.pipeline.centre': ({'dataset__pipeline__centre': None}, r'dataset\.pipeline\.centre=.*says not set'),
    'model.loss.temperature': ({'model__loss__temperature': 0.3}, r'model\.loss\.temperature=.*, the config says 0\.3'),
    'model.data_preprocessor.views.query.shear.amplitude': (
        {'model__data_preprocessor__views__query__shear__amplitude': 0.1},
        r'views\.query\.shear\.amplitude=.*, the config says 0\.1',
    ),
    'seed': ({'seed': 5}, 'seed=0, the config says 5'),
    'stream': ({'stream': 'bone'}, "stream='joint', the config says 'bone'"),
    'optim_wrapper.type': (
        {'amp': True},
        r"type='OptimWrapper', the config says .*restore these settings \(amp=False\)",
    ),
    'optim_wrapper.accumulative_counts': ({'optim_wrapper__accumulative_counts': 2}, 'says 2'),
    'default_hooks.momentum.base_momentum': ({'default_hooks__momentum__base_momentum': 0.9}, 'says 0.9'),
}


@pytest.mark.parametrize('key', CHANGES)
def test_a_change_of_the_run_is_refused_in_one_line_that_lists_it_and_the_cure(finished, tmp_path, data, key):
    """Kind F4: two sources of truth at resume."""
    options, text = CHANGES[key]
    runner = ready(tmp_path, finished, data, **options)
    with pytest.raises(ConfigError, match=text) as refused:
        runner.train()
    message = str(refused.value)
    assert 'epoch_3.pth was trained with' in message and '\n' not in message
    assert key in message.partition('--resume-with-changes ')[2]


def test_a_different_order_of_steps_is_a_difference(finished, tmp_path, data):
    cfg = toy_config(tmp_path, data=data, resume=True, load_from=str(finished / 'run/epoch_3.pth'), **QUIET)
    steps = cfg.dataset.pipeline
    cfg.dataset.pipeline = {name: steps[name] for name in ('resample', 'centre', 'pack')}
    with pytest.raises(ConfigError, match=r'centre -> resample -> pack.*resample -> centre -> pack'):
        SkeAttnRunner.from_cfg(cfg).train()


def test_another_learning_rate_is_used_once_it_was_accepted_and_recorded(finished, tmp_path, data):
    key = 'optim_wrapper.optimizer.lr'
    runner = resumed(tmp_path, finished, data, 1, (key,), optim_wrapper__optimizer__lr=0.002)
    assert rates(tmp_path / 'run') == [0.002] * 6
    assert f'trained with {key}=0.01, the config says 0.002' in log_of(runner)
    meta = read_checkpoint(tmp_path / 'run/epoch_3.pth')['meta']
    assert meta['config']['optim_wrapper']['optimizer']['lr'] == 0.002
    recorded = {'key': key, 'then': 0.01, 'now': 0.002, 'changes_the_run': True}
    (resume,) = meta['resumed']
    assert (resume['checkpoint'], resume['epoch'], resume['iter']) == ('epoch_1.pth', 1, 3)
    assert [difference for difference in resume['differences'] if difference['changes_the_run']] == [recorded]
    assert {difference['key'] for difference in resume['differences']} == {key, 'work_dir'}


def test_every_setting_of_the_optimiser_takes_effect_and_its_momentum_stays(finished, tmp_path, data):
    changed = {'optim_wrapper__optimizer__weight_decay': 0.5, 'optim_wrapper__optimizer__momentum': 0.1}
    runner = ready(tmp_path, finished, data, 3, ('optim_wrapper',), **changed)
    runner.train()
    group = runner.optim_wrapper.param_groups[0]
    assert (group['weight_decay'], group['momentum'], group['lr']) == (0.5, 0.1, 0.01)
    kept, stored = runner.optim_wrapper.state_dict(), read_checkpoint(finished / 'run/epoch_3.pth')['optimizer']
    assert torch.equal(kept['state'][0]['momentum_buffer'], stored['state'][0]['momentum_buffer'])


def test_another_optimiser_starts_without_state_once_it_was_accepted(finished, tmp_path, data):
    lines = "optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.001))\n"
    runner = resumed(tmp_path, finished, data, 2, ('optim_wrapper.optimizer',), lines=lines)
    assert rates(tmp_path / 'run') == [0.001] * 3 and 'starts without the state' in log_of(runner)
    assert 'exp_avg' in read_checkpoint(tmp_path / 'run/epoch_3.pth')['optimizer']['state'][0]


@pytest.mark.parametrize(('batch_size', 'length'), [(4, 6), (13, 2), (26, 1)])
def test_another_batch_size_keeps_the_place_in_the_training(finished, tmp_path, data, batch_size, length):
    """A larger batch once trained no iteration at all; a smaller one ended with iterations missing."""
    runner = resumed(tmp_path, finished, data, 1, ('batch_size',), batch_size=batch_size, model__queue__size=40)
    assert (runner.epoch, runner.iter) == (3, 3 * length) and runner.max_iters == 3 * length
    assert len(logged(tmp_path / 'run')) == 2 * length
    assert read_checkpoint(tmp_path / 'run/epoch_3.pth')['meta']['iter'] == 3 * length


@pytest.mark.parametrize(('batch_size', 'length', 'begun'), [(8, 3, 4), (4, 6, 8), (13, 2, 3), (26, 1, 1)])
def test_another_batch_size_keeps_the_place_within_an_epoch(tmp_path, data, batch_size, length, begun):
    """The epoch once began anew. One batch of three is done: so are two of six, but of one none can be."""
    (tmp_path / 'a').mkdir()
    hooks = dict(checkpoint__iterations=4, param_scheduler__type='LossScheduleHook')
    watched = {f'default_hooks__{key}': value for key, value in hooks.items()}
    toy_runner(tmp_path / 'a', data=data, **QUIET, **watched, max_iters=4).train()
    kept = read_checkpoint(tmp_path / 'a/run/epoch_1_iter_4.pth')
    assert len(kept['unfinished']['losses'][0]) == 1 and EPOCH_LOSSES not in kept['message_hub']['runtime_info']
    changed = dict(batch_size=batch_size, max_iters=3 * length, model__queue__size=40, **watched)
    runner = resumed(tmp_path / 'b', tmp_path / 'a', data, '1_iter_4', ('batch_size',), **changed)
    assert runner.iter == 3 * length and len(logged(tmp_path / 'b/run')) == 3 * length - begun


HARMLESS = {
    'default_hooks.checkpoint.max_keep': {'default_hooks__checkpoint__max_keep': 1},
    'default_hooks.logger.interval': {'default_hooks__logger__interval': 2},
    'evaluation': {'evaluation': {'interval': 5, 'evaluators': {'knn': {'type': 'KNNEvaluator', 'k': (1,)}}}},
    'log_level': {'log_level': 'DEBUG'},
    'train_cfg.max_epochs': {'train_cfg__max_epochs': 4},
    'train_dataloader.num_workers': {'train_dataloader__num_workers': 0, 'train_dataloader__pin_memory': False},
}


@pytest.mark.parametrize('key', HARMLESS)
def test_what_does_not_change_the_run_is_accepted_with_a_line(finished, tmp_path, data, key):
    runner = resumed(tmp_path, finished, data, **HARMLESS[key])
    if key != 'train_dataloader.num_workers':
        assert f'trained with {key}=' in log_of(runner)
    else:
        assert 'trained with train_dataloader.pin_memory=' in log_of(runner)


@pytest.mark.parametrize(
    'lines',
    [
        pytest.param(COSINE, id='cosine'),
        pytest.param(WARMUP.format(''), id='warmup'),
        pytest.param(STEPS, id='multistep', marks=pytest.mark.slow),
    ],
)
def test_an_extended_run_has_the_rates_of_a_run_of_that_length(tmp_path, data, lines):
    """Kind F3: two sources of truth at resume."""
    for name, epochs in (('short', 3), ('long', 6)):
        (tmp_path / name).mkdir()
        toy_runner(tmp_path / name, data=data, lines=lines, train_cfg__max_epochs=epochs, **QUIET).train()
    resumed(tmp_path / 'on', tmp_path / 'short', data, lines=lines, train_cfg__max_epochs=6)
    on, whole = (logged(tmp_path / name / 'run') for name in ('on', 'long'))
    assert rates(tmp_path / 'on/run') == rates(tmp_path / 'long/run')[9:]
    assert len(set(rates(tmp_path / 'on/run'))) > 1
    assert [line['momentum'] for line in on] == [line['momentum'] for line in whole][9:]


def test_schedules_by_iteration_and_several_of_them_follow_the_new_length(tmp_path, data):
    lines = (
        'param_scheduler = [dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=5), '
        'dict(type="CosineAnnealingLR", T_max={epochs}, by_epoch=True, convert_to_iter_based=True)]\n'
    )
    for name, epochs in (('short', 2), ('long', 4)):
        (tmp_path / name).mkdir()
        text = lines.format(epochs=epochs)
        toy_runner(tmp_path / name, data=data, lines=text, train_cfg__max_epochs=epochs, **QUIET).train()
    accept, text = ('param_scheduler',), lines.format(epochs=4)
    resumed(tmp_path / 'on', tmp_path / 'short', data, 2, accept, lines=text, train_cfg__max_epochs=4)
    assert rates(tmp_path / 'on/run') == rates(tmp_path / 'long/run')[6:]


@pytest.mark.parametrize('by_epoch', ['', ', by_epoch=True'])
def test_a_warm_up_and_cosine_decay_resumes_bit_for_bit(tmp_path, data, by_epoch):
    toy_runner(tmp_path, data=data, lines=WARMUP.format(by_epoch), **QUIET).train()
    resumed(tmp_path / 'on', tmp_path, data, 2, lines=WARMUP.format(by_epoch))
    on, whole = (read_checkpoint(folder / 'run/epoch_3.pth') for folder in (tmp_path / 'on', tmp_path))
    assert_equal_state(on, whole)
    assert rates(tmp_path / 'on/run') == rates(tmp_path / 'run')[6:]
    assert len(set(rates(tmp_path / 'run'))) == (3 if by_epoch else 9)


def test_one_of_several_schedules_follows_a_new_length_without_being_listed():
    schedules = [{'type': 'WarmupCosineLR', 'epochs': 3}, {'type': 'LinearLR'}]
    then = {'config': {'train_cfg': {'max_epochs': 3}, 'param_scheduler': schedules}}
    now = copy.deepcopy(then)
    now['config']['train_cfg']['max_epochs'] = now['config']['param_scheduler'][0]['epochs'] = 5
    assert [difference.key for difference in compare(then, now)] == ['train_cfg.max_epochs']


def test_a_run_cut_short_continues_in_the_middle_of_its_epoch(finished, tmp_path, data):
    (tmp_path / 'cut').mkdir()
    toy_runner(tmp_path / 'cut', data=data, max_iters=4, default_hooks__momentum__schedule='constant', **QUIET).train()
    whole = tmp_path / 'whole'
    whole.mkdir()
    toy_runner(whole, data=data, default_hooks__momentum__schedule='constant', **QUIET).train()
    on = {'default_hooks__momentum__schedule': 'constant'}
    resumed(tmp_path / 'on', tmp_path / 'cut', data, 2, **on)
    assert logged(tmp_path / 'on/run') == logged(whole / 'run')[4:]
    assert_equal_state(*(read_checkpoint(folder / 'run/epoch_3.pth') for folder in (tmp_path / 'on', whole)))


def test_the_same_clips_in_another_folder_are_the_same_data(finished, tmp_path, data):
    shutil.copytree(data, tmp_path / 'moved')
    resumed(tmp_path, finished, tmp_path / 'moved', 2)
    assert_equal_state(*(read_checkpoint(folder / 'run/epoch_3.pth') for folder in (finished, tmp_path)))


def test_other_clips_under_the_same_path_are_refused(finished, tmp_path, data):
    meta = read_checkpoint(finished / 'run/epoch_3.pth')
    meta['meta']['manifest_sha256'] = '0' * 64
    (tmp_path / 'old/run').mkdir(parents=True)
    write_checkpoint(tmp_path / 'old/run/epoch_3.pth', meta)
    with pytest.raises(ConfigError, match=r'manifest_sha256=.0000'):
        resumed(tmp_path, tmp_path / 'old', data)


def test_a_checkpoint_of_an_earlier_version_is_compared_by_its_text(finished, tmp_path, data):
    checkpoint = read_checkpoint(finished / 'run/epoch_1.pth')
    for key in ('config', 'manifest_sha256', 'paper_vs_release', 'iterations_per_epoch', 'resumed'):
        del checkpoint['meta'][key]
    del checkpoint['pending']
    (tmp_path / 'old/run').mkdir(parents=True)
    write_checkpoint(tmp_path / 'old/run/epoch_1.pth', checkpoint)
    with pytest.raises(ConfigError, match='batch_size=8, the config says 4'):
        resumed(tmp_path / 'no', tmp_path / 'old', data, 1, batch_size=4)
    resumed(tmp_path / 'yes', tmp_path / 'old', data, 1)
    assert_equal_state(*(read_checkpoint(folder / 'run/epoch_3.pth') for folder in (tmp_path / 'yes', finished)))


def facts(**changes) -> dict:
    config = {
        'batch_size': 8,
        'model': {'type': 'A'},
        'dataset': {'pipeline': {'a': {'type': 'X'}, 'b': {'type': 'Y'}}},
    }
    return {
        'config': config, 'manifest_sha256': 'aa', 'paper_vs_release': {'pool': ['mean', 'paper']}, 'world_size': 1,
        'versions': {'torch': '2.4'}, **changes,
    }  # fmt: skip


def test_processes_and_versions_are_reported_and_choices_that_a_new_version_makes_are_refused():
    now = facts(world_size=2, versions={'torch': '2.5'}, paper_vs_release={'pool': ['last', 'release']})
    listed = compare(facts(), now)
    assert [(d.key, d.harmless) for d in listed] == [
        ('paper_vs_release.pool', False),
        ('world_size', True),
        ('versions.torch', True),
    ]
    assert compare(facts(), facts()) == []


def test_a_choice_that_an_earlier_version_did_not_have_is_no_difference():
    now = facts(paper_vs_release={'pool': ['mean', 'paper'], 'negatives': ['queue', 'paper']})
    assert compare(facts(), now) == []
    assert [d.key for d in compare(now, facts())] == ['paper_vs_release.negatives']


def test_matched_negatives_resume_bit_for_bit(tmp_path, data):
    (tmp_path / 'whole').mkdir()
    toy_runner(tmp_path / 'whole', data=data, model__negatives='matched', **QUIET).train()
    resumed(tmp_path / 'on', tmp_path / 'whole', data, 1, model__negatives='matched')
    assert logged(tmp_path / 'on/run') == logged(tmp_path / 'whole/run')[3:]
    assert_equal_state(*(read_checkpoint(tmp_path / name / 'run/epoch_3.pth') for name in ('whole', 'on')))


def test_crops_of_native_clips_resume_bit_for_bit(tmp_path, data):
    crop = {'_delete_': True, 'type': 'CropResize', 'min_frames': 8}
    options = {'model__data_preprocessor__views__query__crop': crop}
    (tmp_path / 'whole').mkdir()
    toy_runner(tmp_path / 'whole', data=data, **options, **QUIET).train()
    resumed(tmp_path / 'on', tmp_path / 'whole', data, 1, **options)
    assert logged(tmp_path / 'on/run') == logged(tmp_path / 'whole/run')[3:]
    assert_equal_state(*(read_checkpoint(tmp_path / name / 'run/epoch_3.pth') for name in ('whole', 'on')))


SETTINGS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from('abcd'), inner, max_size=3),
    max_leaves=8,
)


@given(SETTINGS, SETTINGS)
def test_equal_settings_differ_in_nothing_and_a_difference_is_seen_from_both_sides(one, other):
    assert not list(differences(one, copy.deepcopy(one)))
    forth, back = list(differences(one, other)), list(differences(other, one))
    assert {(d.key, json.dumps(d.then), json.dumps(d.now)) for d in forth} == {
        (d.key, json.dumps(d.now), json.dumps(d.then)) for d in back
    }


def test_the_command_refuses_and_accepts_changes(finished, tmp_path, data):
    config, run = write_config(tmp_path, data=data), tmp_path / 'run'
    run.mkdir()
    shutil.copy(finished / 'run/epoch_2.pth', run)
    common = ['train', config, '--work-dir', run]
    options = ['evaluation=None', 'default_hooks.checkpoint.save_best=None', 'optim_wrapper.optimizer.lr=0.005']
    with pytest.raises(ConfigError, match=r'--resume-with-changes optim_wrapper\.optimizer\.lr$'):
        call(*common, '--resume', '--cfg-options', *options)
    accepted = ['--resume-with-changes', 'optim_wrapper.optimizer.lr', '--cfg-options', *options]
    call(*common, *accepted)
    assert rates(run) == [0.005] * 3


def test_weights_to_start_from_are_logged_with_their_origin(finished, tmp_path, data):
    runner = toy_runner(tmp_path, data=data, load_from=str(finished / 'run/epoch_3.pth'), **QUIET)
    runner.load_or_resume()
    assert 'epoch_3.pth: method SkeAttnCLR, stream joint, layout ntu25, num_frames 16, epoch 3; ' in log_of(runner)


def test_weights_to_start_from_may_be_those_of_a_work_dir(finished, tmp_path, data):
    runner = toy_runner(tmp_path, data=data, load_from=str(finished / 'run'), **QUIET)
    runner.load_or_resume()
    assert 'run/epoch_3.pth: method SkeAttnCLR' in log_of(runner)
    runner = toy_runner(tmp_path, data=data, load_from=str(tmp_path / 'nowhere'), **QUIET)
    with pytest.raises(CheckpointError, match=r'load_from=.*nowhere does not exist; train the run'):
        runner.load_or_resume()


def test_a_resumed_run_without_checkpoint_starts_from_these_weights_and_one_with_a_checkpoint_does_not(
    finished, tmp_path, data
):
    config, run = write_config(tmp_path, data=data), tmp_path / 'run'
    options = ['evaluation=None', 'default_hooks.checkpoint.save_best=None', f'load_from={finished / "run"}']
    command = ['train', config, '--work-dir', run, '--resume', '--cfg-options', *options]
    for epochs in (1, 2):
        call(*command, f'train_cfg.max_epochs={epochs}')
    first, second = (path.read_text() for path in sorted(run.rglob('*.log')))
    assert 'epoch_3.pth: method SkeAttnCLR' in first and 'resumed from' not in first
    assert f'resumed from {run / "epoch_1.pth"}' in second and 'epoch_3.pth: method' not in second


def test_weights_of_another_stream_are_refused(finished, tmp_path, data):
    runner = toy_runner(tmp_path, data=data, stream='bone', load_from=str(finished / 'run/epoch_3.pth'), **QUIET)
    with pytest.raises(CheckpointError, match="was trained with stream='joint', the config says 'bone'"):
        runner.load_or_resume()


def test_an_incomplete_optimiser_step_survives_resuming(tmp_path, data):
    """Kind G2: state between optimiser steps. Three batches an epoch, steps of two: gradients and keys were lost."""
    (tmp_path / 'whole').mkdir()
    toy_runner(tmp_path / 'whole', data=data, **ACCUMULATED).train()
    runner = resumed(tmp_path / 'on', tmp_path / 'whole', data, 1, **ACCUMULATED)
    ends = [read_checkpoint(tmp_path / name / 'run/epoch_3.pth') for name in ('whole', 'on')]
    assert [int(end['state_dict']['queue.pointer']) for end in ends] == [32, 32]
    assert_equal_state(*ends)
    assert logged(tmp_path / 'on/run') == logged(tmp_path / 'whole/run')[3:]
    assert 'GradientCumulativeOptimizerHook' not in log_of(runner) and 'lost' not in log_of(runner)


def test_an_extended_run_reports_that_its_last_step_was_cut(tmp_path, data):
    (tmp_path / 'whole').mkdir()
    toy_runner(tmp_path / 'whole', data=data, train_cfg__max_epochs=1, **ACCUMULATED).train()
    runner = resumed(tmp_path / 'on', tmp_path / 'whole', data, 1, train_cfg__max_epochs=2, **ACCUMULATED)
    assert 'took 1 of 2 batches' in log_of(runner) and 'GradientCumulativeOptimizerHook' not in log_of(runner)


def test_a_difference_reads_as_one_line():
    assert str(Difference('model.mu', None, 0.5)) == 'model.mu=not set, the config says 0.5'
