"""The warm-up and the cosine decay of masked modelling."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.optim import OptimWrapper

from skeattn.engine.places import PARAM_SCHEDULERS
from skeattn.engine.schedules import cut_schedules
from tests.engine.resuming import QUIET
from tests.engine.toy import toy_runner, write_set

LR = 0.4


def rates(epochs, length, factors=(1.0,), by_epoch=False, **settings):
    """The rates of every step, one list per parameter group, as the Runner would have them."""
    groups = [{'params': [torch.nn.Parameter(torch.zeros(1))], 'lr': LR * factor} for factor in factors]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=LR))
    cfg = dict(type='WarmupCosineLR', epochs=epochs, end=epochs, convert_to_iter_based=not by_epoch, **settings)
    schedule = PARAM_SCHEDULERS.build(cfg, default_args=dict(optimizer=wrapper, epoch_length=length))
    listed = []
    for _ in range(epochs * (1 if by_epoch else length)):
        listed.append([group['lr'] for group in wrapper.optimizer.param_groups])
        wrapper.step()
        schedule.step()
    return torch.tensor(listed, dtype=torch.float64).T


@given(st.integers(2, 9), st.integers(1, 5), st.floats(0, 4), st.floats(0, LR))
def test_rates_rise_then_fall_and_stay_between_their_ends(epochs, length, warmup, eta_min):
    listed = rates(epochs, length, warmup=warmup, eta_min=eta_min)[0]
    e = torch.arange(epochs * length, dtype=torch.float64) / length
    rising = e < warmup
    assert torch.allclose(listed[rising], LR * e[rising] / max(warmup, 1e-9), rtol=1e-12, atol=0)
    falling = listed[~rising]
    assert (falling.diff() <= 1e-12).all() and (falling >= eta_min - 1e-12).all() and (falling <= LR + 1e-12).all()


def test_a_group_with_its_own_rate_scales_the_whole_curve():
    listed = rates(5, 3, (1.0, 0.25, 0.0), warmup=1, eta_min=0.1)
    assert torch.allclose(listed[1], listed[0] / 4, rtol=1e-12) and (listed[2] == 0).all()
    assert listed[0, 0] == 0 and listed[0].max() == pytest.approx(LR) and listed[0, -1] > 0.1


def test_by_epoch_the_rate_is_that_of_the_first_iteration():
    assert rates(6, 4, by_epoch=True, warmup=2).tolist() == [rates(6, 4, warmup=2)[0, ::4].tolist()]


def test_a_training_shorter_than_the_warm_up_ends_within_it():
    assert rates(2, 2, warmup=4)[0].tolist() == pytest.approx([0, LR / 8, LR / 4, 3 * LR / 8])


def decays(epochs, length, last, values=(0.04,)):
    groups = [{'params': [torch.nn.Parameter(torch.zeros(1))], 'weight_decay': value} for value in values]
    wrapper = OptimWrapper(torch.optim.AdamW(groups, lr=LR, weight_decay=0.04))
    cfg = dict(type='CosineWeightDecay', epochs=epochs, last=last, end=epochs, convert_to_iter_based=True)
    schedule = PARAM_SCHEDULERS.build(cfg, default_args=dict(optimizer=wrapper, epoch_length=length))
    listed = []
    for _ in range(epochs * length):
        listed.append([group['weight_decay'] for group in wrapper.optimizer.param_groups])
        wrapper.step()
        schedule.step()
    return torch.tensor(listed, dtype=torch.float64).T


def test_weight_decay_rises_along_half_a_cosine_and_spares_what_has_none():
    listed = decays(4, 5, 0.2, (0.04, 0.0, 0.02))
    done = torch.arange(20, dtype=torch.float64) / 20
    expected = 0.2 + (0.04 - 0.2) * (1 + torch.cos(torch.pi * done)) / 2
    assert torch.allclose(listed[0], expected, rtol=1e-12)
    assert (listed[1] == 0).all() and torch.allclose(listed[2], expected / 2, rtol=1e-12)


def test_a_held_group_begins_after_its_epochs():
    groups = [{'params': [torch.nn.Parameter(torch.zeros(1))], **held} for held in ({}, {'held': 1.5})]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=LR))
    cfg = dict(type='WarmupCosineLR', epochs=4, warmup=1, end=4, convert_to_iter_based=True)
    schedule = PARAM_SCHEDULERS.build(cfg, default_args=dict(optimizer=wrapper, epoch_length=4))
    for step in range(16):
        free, held = (group['lr'] for group in wrapper.optimizer.param_groups)
        assert held == (0 if step < 6 else free) and (free > 0) == (step > 0)
        wrapper.step()
        schedule.step()


def test_a_training_that_iterations_cut_has_schedules_of_its_length():
    mmengines = dict(type='CosineAnnealingLR', T_max=40)
    ours = dict(type='WarmupCosineLR', epochs=40, warmup=2, convert_to_iter_based=True)
    partial = dict(type='MultiStepLR', milestones=[10])
    assert cut_schedules([mmengines, ours, partial], 40, 12 / 5) == [
        {**mmengines, 'T_max': 3},
        {**ours, 'epochs': 12 / 5},
        partial,
    ]
    assert cut_schedules(mmengines, 40, 40.0) == mmengines and cut_schedules(None, 40, 2.0) is None
    assert cut_schedules({**ours, 'epochs': 30}, 40, 12 / 5) == {**ours, 'epochs': 30}


@pytest.mark.slow
def test_learning_rate_and_momentum_end_together_where_iterations_end(tmp_path):
    options = dict(train_cfg__max_epochs=30, max_iters=5, param_scheduler=dict(type='WarmupCosineLR', _delete_=True))
    runner = toy_runner(tmp_path, data=write_set(tmp_path / 'set'), **QUIET, **options)
    base = runner.cfg.optim_wrapper.optimizer.lr
    runner.train()
    (lr,) = {group['lr'] for group in runner.optim_wrapper.optimizer.param_groups}
    assert runner.iter == 5 and lr == pytest.approx(base * (1 + math.cos(math.pi * 5 / 5)) / 2, abs=1e-12)
