"""Steps of our algorithms, hooks and optimiser wrapper equal steps of the released training loops."""

import pytest
import torch

from skeattn.engine.hooks import MiningHook, MomentumUpdateHook
from skeattn.models import AimCLR, AttentionDrop, CrosSCLR, HiCLR, SkeAttnCLR, SkeleMixCLR, SkeletonCLR
from skeattn.models.momentum import cosine_momentum
from tests.fidelity.golden import Golden, assert_close
from tests.fidelity.steps import ReplayPreprocessor, assert_step, train_steps

MLP = dict(type='MLP', norm_cfg=dict(type='BN1d'))
STREAMS = {'j': 'joint', 'm': 'motion', 'b': 'bone'}


def stgcn(meta, graph='agcn'):
    width = dict(base_channels=meta['hc'], out_channels=meta['hd'])
    return dict(type='STGCN', layout='ntu25', graph=graph, dropout=0.0, **width)


def bigru(meta):
    return dict(type='BIGRU', layout='ntu25', hidden_channels=meta['h'], num_layers=meta['layers'])


def dsta(meta):
    _, widths, inner, strides = zip(*meta['config'], strict=True)
    return dict(type='DSTA', layout='ntu25', widths=widths, inner_widths=inner, strides=strides)


CASES = {'skeattnclr_step': stgcn, 'skeattnclr_step_gru': bigru, 'skeattnclr_step_dsta': dsta}


def contrast(golden, backbone):
    meta = golden.meta
    return dict(
        backbone=backbone,
        queue=dict(size=meta['K']),
        loss=dict(type='InfoNCE', temperature=meta['temp']),
    )


def ready(model, golden, method, preprocessor=None):
    """The model in its golden state, with golden clips as input."""
    model.load_state_dict(golden.converted('state0', method))
    model.data_preprocessor = preprocessor or ReplayPreprocessor(golden)
    return model.train()


def skeattnclr(golden, stream='joint', backbone=stgcn, **changes):
    meta = golden.meta
    recurrent = backbone is bigru
    projector, predictor = (meta['h'], 2 * meta['fd']) if recurrent else (meta['hd'], meta['hd'])
    model = SkeAttnCLR(
        projector=dict(MLP, hidden_channels=projector, out_channels=meta['fd']),
        predictor=dict(MLP, hidden_channels=predictor, out_channels=meta['fd']),
        mhsam=dict(type='MHSAM', num_heads=meta['heads']),
        mu=meta['mu'],
        pool='last' if recurrent else 'mean',
        **contrast(golden, backbone(meta)),
        **{'heads': 'released', 'project_mix': True, **changes},
    )
    return ready(model, golden, 'skeattnclr', ReplayPreprocessor(golden, stream))


def moco(cls, golden, method, **changes):
    """A method of the CrosSCLR family: spatial graph, projector without normalisation."""
    projector = dict(type='MLP', hidden_channels=golden.meta['hd'], out_channels=golden.meta['fd'], bias=True)
    return ready(cls(projector=projector, **contrast(golden, stgcn(golden.meta, 'spatial')), **changes), golden, method)


def moco_hook(golden):
    return MomentumUpdateHook(golden.meta['m'], schedule='constant', timing='before_step', buffers=False)


@pytest.mark.parametrize(('case', 'backbone'), CASES.items())
def test_skeattnclr_two_steps(case, backbone):
    golden = Golden(case)
    meta, model = golden.meta, skeattnclr(golden, backbone=backbone)
    hook = MomentumUpdateHook(base_momentum=meta['m'], ahead_epochs=1)
    terms = {'loss': 'loss_total', 'L_global': 'loss_info', 'L_s': 'loss_s', 'L_ns': 'loss_ns'}
    L = meta['loader_length']
    for step, logs, runner in train_steps(model, golden, [hook], 2, L, L * meta['num_epoch']):
        assert_step(golden, model, 'skeattnclr', step, logs, terms, runner)
        assert_close(torch.tensor(hook.momentum(runner)), golden[f'step{step}/momentum'], 'momentum')


def test_skeletonclr_two_steps():
    golden = Golden('skeletonclr_step')
    model = moco(SkeletonCLR, golden, 'skeletonclr')
    for step, logs, runner in train_steps(model, golden, [moco_hook(golden)]):
        assert_step(golden, model, 'skeletonclr', step, logs, {'loss': 'loss_total'}, runner)


def test_aimclr_before_mining_and_while_mining():
    golden = Golden('aimclr_step')
    meta = golden.meta
    drop = dict(threshold=meta['keep_prob'], e_lambda=meta['e_lambda'])
    model = moco(AimCLR, golden, 'aimclr', top_k=meta['topk'], attention_drop=drop)
    terms = {'loss': 'loss_total', 'L_info': 'loss_info'}
    terms |= {'L_d_extreme': 'loss_ddm_extreme', 'L_d_drop': 'loss_ddm_extreme_drop'}
    hooks = [moco_hook(golden), MiningHook(begin=meta['mining_epoch'])]
    for step, logs, runner in train_steps(model, golden, hooks, steps=3, max_iters=3):
        assert model.mining == (step > 1)
        assert_step(golden, model, 'aimclr', step, logs, terms, runner)


def test_attention_drop():
    golden = Golden('augment_attention_drop')
    x = golden['feature_map'].requires_grad_()
    drop = AttentionDrop(golden.meta['keep_prob'], golden.meta['e_lambda'])
    attention = drop.attention(x)
    assert_close(attention.mean(dim=(1, 2)), golden['att_s'], 'joint map')
    assert_close(attention.transpose(2, 3).flatten(1, 2), golden['att_t'], 'element map')
    out = drop(x)
    assert_close(out, golden['out'], 'dropped features')
    assert 0 < (golden['out'] == 0).double().mean() < 1
    out.square().sum().backward()
    assert_close(x.grad, golden['grad_of_out_sumsq'], 'gradient')


@pytest.mark.slow
def test_hiclr_before_mining_and_while_mining():
    golden = Golden('hiclr_step')
    meta = golden.meta
    model = moco(HiCLR, golden, 'hiclr', top_k=meta['topk'])
    terms = {'loss': 'loss_total', 'L_info': 'loss_info', 'L_h1': 'loss_ddm_1', 'L_h2': 'loss_ddm_2'}
    hooks = [moco_hook(golden), MiningHook(begin=meta['mining_epoch'])]
    for step, logs, runner in train_steps(model, golden, hooks, steps=3, max_iters=3):
        assert model.mining == (step > 1)
        assert_step(golden, model, 'hiclr', step, logs, terms, runner)


def test_skelemixclr_with_two_mixes():
    golden = Golden('skelemixclr_step')
    meta = golden.meta
    projector = dict(MLP, hidden_channels=meta['hd'], out_channels=meta['fd'], bias=True)
    model = SkeleMixCLR(projector=projector, region_weight=meta['loss_weight'], **contrast(golden, stgcn(golden.meta)))
    ready(model, golden, 'skelemixclr', ReplayPreprocessor(golden, mixes=meta['repeat']))
    terms = {'loss': 'loss_total', 'L_global': 'loss_instance', 'L_region': 'loss_region'}
    for step, logs, runner in train_steps(model, golden, [moco_hook(golden)]):
        assert_step(golden, model, 'skelemixclr', step, logs, terms, runner)


@pytest.mark.parametrize('case', ['crossclr_step', 'crossclr_2stream_step'])
def test_crossclr_before_mining_and_while_mining(case):
    golden = Golden(case)
    meta = golden.meta
    streams = [STREAMS[short] for short in meta['streams']]
    model = CrosSCLR(
        dict(type='SkeletonPreprocessor', layout='ntu25', stream=streams),
        top_k=meta['topk'],
        context=meta['context'],
        shared_heads=True,
        stale_keys=True,
        projector=dict(type='MLP', hidden_channels=meta['hd'], out_channels=meta['fd'], bias=True),
        **contrast(golden, stgcn(golden.meta, 'spatial')),
    )
    ready(model, golden, 'crossclr', ReplayPreprocessor(golden, streams))
    hooks = [moco_hook(golden), MiningHook(begin=meta['cross_epoch'])]
    for step, logs, runner in train_steps(model, golden, hooks):
        assert model.mining == (step > 1)
        terms = {'loss': 'loss_total'}
        if model.mining:
            names = {'joint': 'loss_stream', 'motion': 'loss_motion_stream', 'bone': 'loss_bone_stream'}
            terms |= {f'L_{stream}': names[stream] for stream in streams}
        assert_step(golden, model, 'crossclr', step, logs, terms, runner)


@pytest.mark.parametrize('stream', ['motion', 'bone'])
@pytest.mark.parametrize(('case', 'backbone'), CASES.items())
def test_losses_of_the_other_streams(stream, case, backbone):
    golden = Golden(case)
    model = skeattnclr(golden, stream, backbone)
    losses = model(**model.data_preprocessor({'inputs': golden['step1/xq']}, training=True), mode='loss')
    for ours, theirs in (('L_global', 'loss_info'), ('L_s', 'loss_s'), ('L_ns', 'loss_ns')):
        assert_close(losses[ours], golden[f'view_{stream}/{theirs}'], f'{stream} {ours}')


def test_momentum_schedule():
    golden = Golden('schedules')
    expected = golden['key_momentum/SkeAttnMask']
    total, base = int(golden['key_momentum/max_iter']), float(golden['key_momentum/m'])
    ours = [cosine_momentum(int(it), total, base) for it in golden['key_momentum/cur_iter']]
    assert_close(torch.tensor(ours), expected, 'momentum')


@pytest.mark.slow
def test_switched_off_the_mixed_global_embedding_leaves_losses_alone():
    golden = Golden('skeattnclr_step')
    losses = []
    for project_mix in (True, False):
        model = skeattnclr(golden, project_mix=project_mix)
        losses.append(model(**model.data_preprocessor({'inputs': golden['step1/xq']}, training=True), mode='loss'))
        statistics = model.predictors['z'].layers[1].num_batches_tracked
        before = golden.converted('state0')['predictors.z.layers.1.num_batches_tracked']
        assert statistics - before == (2 if project_mix else 1)
    for name, value in losses[0].items():
        assert_close(losses[1][name], value, name, tolerance=1e-12)
