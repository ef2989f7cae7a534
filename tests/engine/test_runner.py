"""A run writes its files, evaluates without side effects, resumes exactly, and refuses unsuitable checkpoints."""

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch

from skeattn import cli
from skeattn.apis import load_model
from skeattn.checkpoint import read_checkpoint
from skeattn.commands import train
from skeattn.engine import SkeAttnRunner
from skeattn.engine.build import build_splits
from skeattn.engine.contact import usual_timeout
from skeattn.engine.hooks import SafeCheckpointHook
from skeattn.engine.hooks.steps import bare_model
from skeattn.engine.summary import describe
from skeattn.engine.work_dir import default_work_dir
from skeattn.errors import CheckpointError, ConfigError
from skeattn.evaluation import KNNEvaluator, extract_features
from skeattn.models.momentum import cosine_momentum
from tests.engine.runs import assert_equal_state, curves, logged, same
from tests.engine.toy import call, toy_config, toy_runner, write_config, write_set


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp('runner') / 'set')


@pytest.fixture(scope='module')
def finished(tmp_path_factory, data) -> Path:
    """The folder of a run of three epochs."""
    folder = tmp_path_factory.mktemp('finished')
    toy_runner(folder, data=data).train()
    return folder


@pytest.mark.slow
def test_a_run_leaves_checkpoints_pointer_best_config_and_curves(finished):
    run = finished / 'run'
    names = {path.name for path in run.iterdir() if path.is_file()}
    assert names == {
        'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'best_knn_top1_k1.pth', 'best.json', 'last_checkpoint',
        'last_evaluation', 'toy.py'
    }  # fmt: skip
    assert (run / 'last_checkpoint').read_text() == 'epoch_3.pth'
    assert len(logged(run)) == 9


def test_every_checkpoint_loads_with_nothing_allow_listed_and_holds_its_facts(finished):
    for path in (finished / 'run').glob('*.pth'):
        meta = torch.load(path, weights_only=True)['meta']
        assert (meta['stream'], meta['layout'], meta['seed'], meta['batch_size']) == ('joint', 'ntu25', 0, 8)
        assert (meta['backbone'], meta['num_frames']) == ('STGCN', 16)
        assert meta['dataset'] == {'classes': ['class0', 'class1', 'class2'], 'layout': 'ntu25'}
        assert set(meta['versions']) == {'skeattn', 'mmengine', 'torch'} and "stream = 'joint'" in meta['cfg']
    assert read_checkpoint(finished / 'run/epoch_2.pth')['meta']['epoch'] == 2
    assert read_checkpoint(finished / 'run/epoch_2.pth')['meta']['iter'] == 6


def test_the_best_checkpoint_belongs_to_the_best_evaluation(finished):
    scores = {line['step']: line['knn/top1_k1'] for line in curves(finished / 'run') if 'knn/top1_k1' in line}
    best = json.loads((finished / 'run/best.json').read_text())['knn/top1_k1']
    assert set(scores) == {2, 3}, 'evaluated every second epoch and after the last'
    assert best['score'] == max(scores.values()) and scores[best['epoch']] == best['score']
    assert read_checkpoint(finished / 'run' / best['file'])['meta']['epoch'] == best['epoch']


@pytest.mark.slow
def test_only_the_newest_checkpoints_are_kept(tmp_path, data):
    toy_runner(tmp_path, data=data, default_hooks__checkpoint__max_keep=1).train()
    assert [path.name for path in (tmp_path / 'run').glob('epoch_*.pth')] == ['epoch_3.pth']


UNEVALUATED = {'evaluation': None, 'default_hooks__checkpoint__save_best': None}


def train_with_epochs_of(minutes, runner, written):
    """Train with a clock by which every epoch of three steps takes that long, and note the checkpoints."""
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook))
    hook.clock = lambda: 1e6 + 60 * minutes * runner.iter / 3
    save = runner.save_checkpoint
    runner.save_checkpoint = lambda folder, name, **options: (written.append(name), save(folder, name, **options))
    runner.train()


@pytest.mark.slow
def test_checkpoints_by_minutes_are_those_of_the_first_epochs_after_so_long_and_of_the_last(tmp_path, data):
    """Every 10 minutes, with epochs of 4 minutes: after 12 and 24. A large interval does not matter."""
    options = {'train_cfg__max_epochs': 7, 'default_hooks__checkpoint__interval': 50, **UNEVALUATED}
    checkpoints = {'default_hooks__checkpoint__minutes': 10, 'default_hooks__checkpoint__max_keep': 2}
    written = []
    train_with_epochs_of(4, toy_runner(tmp_path, data=data, **options, **checkpoints), written)
    assert written == ['epoch_3.pth', 'epoch_6.pth', 'epoch_7.pth']
    assert {path.name for path in (tmp_path / 'run').glob('epoch_*.pth')} == {'epoch_6.pth', 'epoch_7.pth'}
    assert (tmp_path / 'run/last_checkpoint').read_text() == 'epoch_7.pth'


@pytest.mark.slow
def test_a_run_with_checkpoints_by_minutes_resumes_bit_for_bit(finished, tmp_path, data):
    """The minutes count from the start of the resumed run."""
    options = {'data': data, 'default_hooks__checkpoint__minutes': 10, **UNEVALUATED}
    written = []
    train_with_epochs_of(5, toy_runner(tmp_path, **options), written)
    (tmp_path / 'run/epoch_3.pth').unlink()
    train_with_epochs_of(9, toy_runner(tmp_path, resume=True, **options), written)
    assert written == ['epoch_2.pth', 'epoch_3.pth', 'epoch_3.pth']
    assert_equal_state(*(read_checkpoint(f / 'run/epoch_3.pth') for f in (tmp_path, finished)))


@pytest.mark.parametrize('minutes', [0, -1, 'ten'])
def test_minutes_between_checkpoints_are_a_positive_number(tmp_path, data, minutes):
    with pytest.raises(ConfigError, match=r'default_hooks\.checkpoint\.minutes'):
        toy_runner(tmp_path, data=data, default_hooks__checkpoint__minutes=minutes)


@pytest.mark.slow
def test_the_same_run_twice_gives_the_same_bits(finished, tmp_path, data):
    toy_runner(tmp_path, data=data).train()
    assert logged(tmp_path / 'run') == logged(finished / 'run')
    assert_equal_state(*(read_checkpoint(f / 'run/epoch_3.pth') for f in (tmp_path, finished)))


def test_another_seed_gives_another_run(finished, tmp_path, data):
    toy_runner(
        tmp_path, data=data, seed=1, max_iters=1, evaluation=None, default_hooks__checkpoint__save_best=None
    ).train()
    assert logged(tmp_path / 'run')[0]['loss'] != logged(finished / 'run')[0]['loss']


@pytest.mark.slow
def test_evaluation_changes_nothing_in_training(finished, tmp_path, data):
    toy_runner(tmp_path, data=data, evaluation=None, default_hooks__checkpoint__save_best=None).train()
    assert_equal_state(*(read_checkpoint(f / 'run/epoch_3.pth') for f in (tmp_path, finished)))


@pytest.mark.slow
def test_resuming_continues_bit_for_bit(finished, tmp_path, data):
    (tmp_path / 'run').mkdir()
    shutil.copy(finished / 'run/epoch_1.pth', tmp_path / 'run')
    toy_runner(tmp_path, data=data, resume=True).train()
    assert logged(tmp_path / 'run') == logged(finished / 'run')[3:]
    assert_equal_state(*(read_checkpoint(f / 'run/epoch_3.pth') for f in (tmp_path, finished)))


@pytest.mark.slow
def test_resuming_remembers_the_best_evaluation(finished, tmp_path, data):
    """A better score of the past is not overwritten by a worse one after resuming."""
    shutil.copytree(finished / 'run', tmp_path / 'run')
    record = {'knn/top1_k1': {'score': 100.0, 'epoch': 2, 'file': 'best_knn_top1_k1.pth'}}
    (tmp_path / 'run/best.json').write_text(json.dumps(record))
    (tmp_path / 'run/last_checkpoint').write_text('epoch_2.pth')
    toy_runner(tmp_path, data=data, resume=True).train()
    assert json.loads((tmp_path / 'run/best.json').read_text()) == record


@pytest.mark.slow
def test_resuming_with_nothing_there_starts_at_the_beginning(tmp_path, data):
    runner = toy_runner(tmp_path, data=data, resume=True, max_iters=1)
    runner.train()
    assert runner.iter == 1


@pytest.mark.slow
def test_resuming_passes_over_a_truncated_checkpoint_and_warns(finished, tmp_path, data):
    shutil.copytree(finished / 'run', tmp_path / 'run')
    newest = tmp_path / 'run/epoch_3.pth'
    newest.write_bytes(newest.read_bytes()[:1000])
    runner = toy_runner(tmp_path, data=data, resume=True)
    runner.train()
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    assert 'epoch_3.pth is damaged' in log and 'epoch_2.pth: epoch 2, iteration 6' in log
    assert_equal_state(*(read_checkpoint(f / 'run/epoch_3.pth') for f in (tmp_path, finished)))


def test_resuming_with_a_network_that_the_weights_do_not_fit_is_refused(finished, tmp_path, data):
    cfg = toy_config(tmp_path, data=data, resume=True, load_from=str(finished / 'run/epoch_1.pth'))
    cfg.model.queue.size = 48
    with pytest.raises(CheckpointError, match=r'queue\.keys \(128, 40\), not \(128, 48\)'):
        SkeAttnRunner.from_cfg(cfg, resume_with_changes=['model.queue']).train()


def test_resuming_from_weights_alone_is_refused(finished, tmp_path, data):
    best = str(finished / 'run/best_knn_top1_k1.pth')
    with pytest.raises(CheckpointError, match=r'lacks optimizer, .*cannot resume'):
        toy_runner(tmp_path, data=data, resume=True, load_from=best).train()


def test_weights_to_start_from_are_loaded_and_counted(finished, tmp_path, data):
    source = finished / 'run/epoch_3.pth'
    runner = toy_runner(tmp_path, data=data, load_from=str(source))
    runner.load_or_resume()
    assert same(bare_model(runner).state_dict(), read_checkpoint(source)['state_dict'])
    tensors = len(runner.model.state_dict())
    assert f'{tensors} of {tensors} tensors loaded' in next(Path(runner.log_dir).glob('*.log')).read_text()


@pytest.mark.slow
def test_a_run_can_stop_after_some_iterations_and_its_schedule_ends_there(tmp_path, data):
    runner = toy_runner(tmp_path, data=data, max_iters=2)
    runner.train()
    state = read_checkpoint(tmp_path / 'run/epoch_1.pth')
    assert runner.iter == runner.max_iters == state['meta']['iter'] == 2
    momentum = [line['momentum'] for line in logged(tmp_path / 'run')]
    assert momentum == [cosine_momentum(0, 2, 0.996), cosine_momentum(1, 2, 0.996)]


def test_evaluating_leaves_the_model_as_it_was(finished, data):
    runner = toy_runner(finished, data=data)
    runner.model.train()
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    metrics = runner.val()
    assert set(metrics) >= {'knn/top1_k1', 'knn/top1_k5'} and all(0 <= value <= 100 for value in metrics.values())
    assert runner.model.training and same(runner.model.state_dict(), before)
    assert runner.test() == metrics


def test_the_readout_of_the_config_holds_in_training(tmp_path, data):
    runner = toy_runner(tmp_path, data=data, evaluation__readout='joints')
    bank, test = (extract_features(runner.model, part, readout='joints') for part in build_splits(runner.cfg))
    assert bank.x.shape[1] == 25 * runner.model.encoder.backbone.out_channels
    assert runner.test()['knn/top1_k5'] == KNNEvaluator((5,))(bank, test)['top1_k5']


@pytest.mark.parametrize('key', ['activation_checkpointing', 'efficient_conv_bn_eval'])
def test_a_module_that_the_model_lacks_is_refused_before_training(tmp_path, data, key):
    runner = toy_runner(tmp_path, data=data, **{key: ['encoder_q.backbone', 'encoder_q.bakbone']})
    with pytest.raises(ConfigError, match=rf"{key}: .* 'encoder_q\.bakbone'; did you mean 'encoder_q\.backbone'"):
        runner.train()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(param_scheduler=dict(_delete_=True, type='OneCycleLR', eta_max=0.1)), 'OneCycleLR keeps values'),
        (
            dict(param_scheduler=dict(_delete_=True, type='ReduceOnPlateauLR', monitor='loss')),
            r"ReduceOnPlateauLR\.monitor='loss', but evaluation\.evaluators has only knn; .*LossScheduleHook",
        ),
        (dict(custom_hooks=[dict(type='CheckpointHook', interval=1)]), r'its place is default_hooks\.checkpoint'),
        (dict(optim_wrapper__clip_grad=dict(norm_type=2)), 'clip_grad: type="norm" needs max_norm'),
        (dict(optim_wrapper__type='AmpOptimWrapper', amp=None), 'optim_wrapper: .*only available'),
        (dict(train_dataloader__prefetch_factor=2), 'train_dataloader: prefetch_factor'),
    ],
)
def test_settings_that_would_cost_an_epoch_are_refused_before_it(tmp_path, data, options, message):
    runner = toy_runner(tmp_path, data=data, **options)
    with pytest.raises(ConfigError, match=message):
        runner.train()
    assert isinstance(runner._train_loop, dict) or runner.iter == 0


def test_an_evaluation_that_would_never_begin_is_named(tmp_path, data, capfd):
    toy_runner(tmp_path, data=data, train_cfg__val_begin=9, max_iters=1).train()
    assert 'train_cfg.val_begin=9 is beyond the last epoch, 1: no evaluation' in capfd.readouterr().out


def test_a_best_metric_that_no_evaluator_delivers_is_refused_before_training(tmp_path, data):
    runner = toy_runner(tmp_path, data=data, default_hooks__checkpoint__save_best='linear/top1')
    with pytest.raises(ConfigError, match=r"save_best='linear/top1'.* has only knn"):
        runner.train()
    assert runner.iter == 0


def test_a_best_metric_of_another_number_of_neighbours_is_refused_before_training(tmp_path, data):
    options = dict(evaluation__evaluators__knn__k=(3,), default_hooks__checkpoint__save_best='knn/top1_k20')
    runner = toy_runner(tmp_path, data=data, **options)
    with pytest.raises(ConfigError, match=r"save_best='knn/top1_k20'.* has the metrics top1_k3, heldout_top1_k3"):
        runner.train()
    assert runner.iter == 0


@pytest.mark.slow
def test_without_tensorboard_curves_go_to_a_local_file(tmp_path, data, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == 'tensorboard' else find(name))
    cfg = toy_config(tmp_path, data=data, max_iters=1)
    cfg.visualizer.vis_backends = [{'type': 'TensorboardVisBackend'}]
    SkeAttnRunner.from_cfg(cfg).train()
    assert len(logged(tmp_path / 'run')) == 1


@pytest.mark.slow
def test_mixed_precision_runs_and_stays_near_full_precision(finished, tmp_path, data):
    toy_runner(tmp_path, data=data, amp=True, max_iters=1).train()
    full, mixed = (logged(folder / 'run')[0]['loss'] for folder in (finished, tmp_path))
    assert mixed == pytest.approx(full, rel=0.02) and mixed != full


def test_the_command_prints_the_switches_and_trains(tmp_path, data, capfd):
    config = write_config(tmp_path, data=data)
    options = ['--seed', '3', '--cfg-options', 'max_iters=1', 'stream=motion', 'model.heads=released']
    call('train', config, '--work-dir', tmp_path / 'run', *options)
    printed = capfd.readouterr().out
    assert 'stream motion, layout ntu25, batch size 8, seed 3' in printed
    assert 'as released: projector and three query-only predictors' in printed and f'{tmp_path}/run' in printed
    overrides = '--cfg-options max_iters=1 stream=motion model.heads=released'
    assert printed.splitlines()[-1].endswith(f'evaluate: skeattn test {config} {tmp_path}/run {overrides}')
    meta = read_checkpoint(tmp_path / 'run/epoch_1.pth')['meta']
    assert (meta['stream'], meta['seed']) == ('motion', 3)


@pytest.mark.parametrize(('amp', 'words'), [(True, 'forward pass in bfloat16'), (False, 'single precision')])
def test_the_precision_that_is_printed_is_that_of_the_training(tmp_path, data, amp, words):
    wrapper = 'OptimWrapper' if amp else 'AutocastOptimWrapper'  # amp decides, not the type
    text = describe(toy_runner(tmp_path, data=data, amp=amp, optim_wrapper__type=wrapper))
    assert re.search(rf'amp +{amp} +{words}', text)


def test_the_command_ends_in_one_line_where_the_user_can_help(tmp_path, data, monkeypatch, capfd):
    config = write_config(tmp_path, data=data)
    options = ['--cfg-options', f'dataset.data={tmp_path}/nothing']
    monkeypatch.setattr(sys, 'argv', ['train.py', str(config), '--work-dir', str(tmp_path / 'run'), *options])
    with pytest.raises(SystemExit) as ended:
        cli.start(train.parser, train.main)
    printed = capfd.readouterr().err
    assert ended.value.code == 2 and printed.startswith('error: ')
    assert 'nothing' in printed and 'Traceback' not in printed


@pytest.mark.parametrize(
    ('config', 'folder'),
    [
        ('configs/aimclr/stgcn_demo.py', 'work_dirs/aimclr/stgcn_demo'),
        ('/somewhere/configs/hiclr/stgcn_demo.py', 'work_dirs/hiclr/stgcn_demo'),
        ('my_ablation.py', 'work_dirs/my_ablation'),
    ],
)
def test_configs_of_equal_name_do_not_share_a_work_dir(config, folder):
    assert default_work_dir(config) == Path(folder)


@pytest.mark.slow
def test_a_head_that_streams_share_is_learnt_once_under_any_optimiser(tmp_path, data):
    paramwise = dict(custom_keys=dict(backbone=dict(lr_mult=0.5)))
    runner = toy_runner(
        tmp_path,
        model='crossclr',
        data=data,
        model__shared_heads=True,
        optim_wrapper__paramwise_cfg=paramwise,
        max_iters=2,
        evaluation__evaluators=None,
        default_hooks__checkpoint__save_best=None,
    )
    runner.train()
    groups = [p for group in runner.optim_wrapper.param_groups for p in group['params']]
    assert len(groups) == len(set(map(id, groups)))


@pytest.mark.slow
def test_a_finished_run_reports_that_nothing_is_left(tmp_path, finished, data, caplog):
    folder = tmp_path / 'again'
    shutil.copytree(finished, folder)
    runner = toy_runner(folder, data=data, resume=True)
    runner.train()
    logs = ''.join(path.read_text() for path in folder.rglob('*.log'))
    assert 'nothing left to train: epoch 3 of 3 is done' in logs


def test_a_checkpoint_of_a_different_method_is_not_evaluated(tmp_path, finished, data):
    newest = next(finished.rglob('epoch_3.pth'))
    with pytest.raises(CheckpointError, match='was trained by SkeAttnCLR, the config says SkeletonCLR'):
        load_model(toy_config(tmp_path, model='skeletonclr', data=data), newest)


def test_processes_wait_half_an_hour_or_as_the_config_says() -> None:
    assert [usual_timeout(cfg) for cfg in (None, {}, {'timeout': None}, {'timeout': 60})] == [1800, 1800, 1800, 60]
    for wrong in ('soon', 0, -1, float('inf'), float('nan'), True):
        with pytest.raises(ConfigError, match=r'env_cfg\.dist_cfg\.timeout=.* is a number of seconds above 0'):
            usual_timeout({'timeout': wrong})
