"""Schedules that wait for a plateau follow the training loss, and resume exactly; accuracy curves also resume."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, ReduceOnPlateauLR

from skeattn.checkpoint import read_checkpoint
from skeattn.engine import SkeAttnRunner
from skeattn.engine.hooks import AccuracyHook, LossScheduleHook
from skeattn.engine.hooks.steps import curves
from skeattn.errors import ConfigError
from tests.engine.runs import assert_equal_state, logged
from tests.engine.toy import toy_config, write_set

pytestmark = pytest.mark.slow

# The first epochs of a falling loss, then noise.
LOSSES = [
    [2.0, 1.0],
    [1.0, 1.2],
    [0.9, 1.0],
    [1.0, 0.9],
    [0.95, 0.95],
    [0.97, 0.99],
    [0.99, 1.0],
    [0.5, 0.6],
    [0.6, 0.6],
]
TOY = """
num_classes = 3
model = dict(
    _delete_=True,
    type='Recognizer',
    data_preprocessor=dict(type='SkeletonPreprocessor', views=dict(query=dict())),
    backbone=dict(type='STGCN', base_channels=2, out_channels=8, dropout=0.2),
    head=dict(type='LinearHead'),
)
default_hooks.update(
    momentum=None,
    queue=None,
    param_scheduler=dict(type='LossScheduleHook'),
    accuracy=dict(type='AccuracyHook', interval=2, dataset=dict(dataset, part='test')),
)
default_hooks['checkpoint'].update(save_best=None, max_keep=9)
evaluation = dict(interval=1, source='logits', evaluators=dict(knn=None, linear=None, topk=dict(type='TopK')))
train_cfg = dict(max_epochs=5)
optim_wrapper = dict(optimizer=dict(lr=1e-6))
param_scheduler = dict(_delete_=True, type='ReduceOnPlateauLR', factor=0.1, patience=1, threshold=0.05)
"""


def schedule(patience):
    """A hook, and a substitute for the Runner with a schedule."""
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05)
    wrapper = OptimWrapper(sgd)
    plateau = ReduceOnPlateauLR(wrapper, factor=0.1, patience=patience)
    hub = MessageHub(f'plateau {patience} {id(sgd)}')
    return LossScheduleHook(), SimpleNamespace(optim_wrapper=wrapper, param_schedulers=[plateau], message_hub=hub)


@pytest.mark.parametrize('patience', [0, 1, 2])
def test_the_rate_falls_as_torch_lowers_it_on_epoch_means(patience):
    hook, runner = schedule(patience)
    reference = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(reference, factor=0.1, patience=patience)
    rates = []
    for epoch in LOSSES:
        hook.before_train_epoch(runner)
        for i, loss in enumerate(epoch):
            hook.after_train_iter(runner, i, outputs={'loss': torch.tensor(loss, dtype=torch.float64)})
        rates.append(reference.param_groups[0]['lr'])
        hook.after_train_epoch(runner)
        plateau.step(sum(epoch) / 2)
        assert runner.optim_wrapper.param_groups[0]['lr'] == pytest.approx(reference.param_groups[0]['lr'], rel=1e-12)
    assert curves(runner)['lr'] == pytest.approx(rates, rel=1e-12) and len(set(rates)) > 1
    assert curves(runner)['loss'] == [pytest.approx(sum(epoch) / 2) for epoch in LOSSES]


def test_metrics_of_an_evaluation_change_no_rate():
    hook, runner = schedule(patience=0)
    for _ in range(3):
        hook.after_val_epoch(runner, {'topk/top1': 1.0})
    assert runner.optim_wrapper.param_groups[0]['lr'] == 0.05 and runner.param_schedulers[0].num_bad_epochs == 0


def test_a_senseless_interval_is_refused():
    with pytest.raises(ConfigError, match='interval=0 must be at least 1'):
        AccuracyHook({}, interval=0)


def test_a_resumed_run_lowers_its_rate_when_the_whole_one_did(tmp_path):
    """At a rate of 1e-6 the loss does not fall by 5 %, and the second epoch without progress is the limit."""
    data = write_set(tmp_path / 'set')
    SkeAttnRunner.from_cfg(toy_config(tmp_path, data=data, lines=TOY)).train()
    whole = tmp_path / 'run'
    kept = read_checkpoint(whole / 'epoch_5.pth')['message_hub']['runtime_info']['curves']
    assert kept['lr'] == pytest.approx([1e-6, 1e-6, 1e-6, 1e-7, 1e-7])
    assert kept['epoch'] == [2, 4, 5] and len(kept['top1']) == 3
    lines = logged(whole)
    for epoch in range(1, 6):
        of_epoch = [line['loss'] for line in lines if line['epoch'] == epoch]
        assert kept['loss'][epoch - 1] == pytest.approx(sum(of_epoch) / len(of_epoch), rel=0.2)
    for start in (2, 3):
        folder = tmp_path / f'from{start}'
        (folder / 'run').mkdir(parents=True)
        shutil.copy(whole / f'epoch_{start}.pth', folder / 'run')
        SkeAttnRunner.from_cfg(toy_config(folder, data=data, lines=TOY, resume=True)).train()
        resumed = read_checkpoint(folder / 'run/epoch_5.pth')
        assert_equal_state(resumed, read_checkpoint(whole / 'epoch_5.pth'))
        assert resumed['message_hub']['runtime_info']['curves'] == kept
