"""MAMP's steps, tokens and features equal those of its release."""

import math

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper

from skeattn.models import MAMP
from skeattn.models.tokens import motion_aware_noise, motion_intensity, patchify, take
from tests.fidelity.golden import Golden, assert_close, to_model
from tests.fidelity.steps import RecordingOptimWrapper, ReplayPreprocessor, assert_step, train_steps

CASES = {'mamp_step': 'motion', 'mamp_joint_step': 'random'}
every_case = pytest.mark.parametrize('case', CASES)


def mamp(golden):
    meta = golden.meta
    layers = dict(num_heads=meta['heads'], ratio=float(meta['mlp_ratio']))
    learnt = dict(position='learnt', num_frames=meta['T'], norm_input=False, dropout=0.0)
    size = dict(out_channels=meta['D'], depth=meta['depth'], patch=meta['patch'])
    model = MAMP(
        backbone=dict(type='SkeletonTransformer', layout='ntu25', **size, **layers, **learnt),
        decoder=dict(depth=meta['decoder_depth'], **layers),
        target=meta['target'],
        mask='motion' if 'tau' in meta else 'random',
        mask_ratio=meta['mask_ratio'],
        tau=meta.get('tau', 0.8),
    )
    model.load_state_dict(golden.converted('state0', 'mamp'))
    model.data_preprocessor = ReplayPreprocessor(golden)
    return model.train()


def wrapper(model, meta):
    """As the configs of MAMP have it, with the golden case's numbers."""
    adamw = {name: meta[name] for name in ('betas', 'eps', 'weight_decay')}
    optimizer = dict(type='AdamW', lr=meta['base_lr'], **adamw)
    recorded = dict(type=RecordingOptimWrapper, optimizer=optimizer, paramwise_cfg=dict(flat_decay_mult=0.0))
    return build_optim_wrapper(model, recorded)


def rate(e, meta):
    """The released learning rate at a fractional epoch."""
    base, low, warmup = meta['base_lr'], meta['min_lr'], meta['warmup_epochs']
    if e < warmup:
        return base * e / warmup
    return low + (base - low) * (1 + math.cos(math.pi * (e - warmup) / (meta['epochs'] - warmup))) / 2


class Rates(Hook):
    """The learning rate of each step, from the release's formula."""

    def __init__(self, meta):
        self.meta = meta

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for group in runner.optim_wrapper.param_groups:
            group['lr'] = rate(self.meta['epoch_of_step'][batch_idx], self.meta)


@every_case
def test_two_steps_and_the_evaluation(case):
    golden = Golden(case)
    meta, model = golden.meta, mamp(golden)
    optim_wrapper = wrapper(model, meta)
    for step, logs, runner in train_steps(model, golden, [Rates(meta)], optim_wrapper=optim_wrapper):
        assert_close(torch.tensor(optim_wrapper.get_lr()['lr'][0]), golden[f'step{step}/lr'], 'lr')
        assert_step(golden, model, 'mamp', step, logs, {'loss': 'loss_total'}, runner)
    with torch.no_grad():
        features = model.encoder.eval().map(to_model(golden['step2/x']))
    assert_close(features.values.flatten(3).transpose(2, 3).flatten(0, 1), golden['eval/tokens'], 'tokens')
    assert_close(features.pool(), golden['eval/feature'], 'feature')


@every_case
def test_mask_tokens_prediction_and_target(case):
    golden = Golden(case)
    model, x = mamp(golden), to_model(golden['step1/x']).flatten(0, 1)
    visible = model.visible(x, golden['step1/uniform'])
    assert torch.equal(visible, golden['step1/kept'].long())
    assert (torch.zeros(6, 100).scatter(1, visible, 1) + golden['step1/mask'] == 1).all()
    backbone = model.encoder.backbone
    assert_close(backbone.encode(take(backbone.tokens(x[:, None]), visible)), golden['step1/tokens'], 'tokens')
    assert_close(model.predict(x, visible), golden['step1/prediction'], 'prediction')
    assert_close(model.target_of(x), golden['step1/target'], 'target')


@every_case
def test_a_parameter_of_one_dimension_does_not_decay(case):
    golden = Golden(case)
    model = mamp(golden)
    groups = wrapper(model, golden.meta).optimizer.param_groups
    names = {p: name for name, p in model.named_parameters()}
    decayed = {names[p] for group in groups for p in group['params'] if group['weight_decay']}
    theirs = dict(zip(golden.packed('state0'), golden.converted('state0', 'mamp'), strict=True))
    assert decayed == {theirs[str(name)] for name in golden.arrays['decayed']}
    assert set(names.values()) - decayed == {theirs[str(name)] for name in golden.arrays['not_decayed']}


def test_the_schedule():
    golden = Golden('mamp_step')
    ours = [rate(float(e), golden.meta) for e in golden['schedule/epoch']]
    assert_close(torch.tensor(ours), golden['schedule/lr'], 'lr')


def test_an_absent_person_is_masked_at_random():
    golden = Golden('mamp_step')
    x = to_model(golden['step1/x']).flatten(0, 1)
    absent = ~x.flatten(1).any(dim=1)
    assert 0 < absent.sum() < len(x)
    intensity = motion_intensity(patchify(x, 4), 25)
    noise = motion_aware_noise(intensity, golden['step1/uniform'], 0.8)
    order = golden['step1/uniform'].argsort(dim=1)
    assert torch.equal(noise[absent].argsort(dim=1), order[absent])
    assert not torch.equal(noise[~absent].argsort(dim=1), order[~absent])
