"""Graphs, backbones and MHSAM give the released numbers from the released weights."""

import pytest
import torch

from skeattn.graph import adjacency
from skeattn.models import BIGRU, DSTA, MHSAM, MLP, STGCN
from skeattn.models.encoder import FeatureMap
from tests.fidelity.golden import Golden, assert_close, to_model

PREFIX = 'encoder_q.backbone.'


@pytest.mark.parametrize(
    ('strategy', 'releases'), [('agcn', ('skeattnclr', 'skelemixclr')), ('spatial', ('aimclr', 'crossclr', 'hiclr'))]
)
def test_graphs_are_the_released_ones(strategy, releases):
    golden = Golden('graph_ntu25_spatial')
    for release in releases:
        assert_close(torch.as_tensor(adjacency('ntu25', strategy)), golden[f'A_{release}'], release)


def stgcn(meta):
    return STGCN('ntu25', base_channels=meta['hc'], out_channels=meta['hd'], dropout=0.0)


def bigru(meta, **changes):
    size = dict(hidden_channels=meta['en_hidden_size'], num_layers=meta['en_num_layers'], num_persons=meta['M'])
    return BIGRU('ntu25', **size, **changes)


def dsta(meta):
    _, widths, inner, strides = zip(*meta['config'], strict=True)
    return DSTA('ntu25', widths, inner, strides, num_heads=meta['num_subset'])


# The pooling of the release: the last frame for BIGRU.
POOLS = {stgcn: 'mean', bigru: 'last', dsta: 'mean'}


@pytest.fixture(params=POOLS, ids=lambda build: build.__name__)
def encoder(request):
    """A golden case, our backbone with its weights, and the pooling."""
    build = request.param
    golden = Golden(f'{build.__name__}_forward')
    model = build(golden.meta)
    state = golden.converted('state', prefix=PREFIX)
    model.load_state_dict({name.removeprefix(PREFIX): value for name, value in state.items()})
    return golden, model, POOLS[build]


def released_map(values):
    """``(N, M', C, T', V')`` -> ``(N * M, C, T', V)``, or ``(N, T, C)`` of BIGRU."""
    return values[:, 0, :, :, 0].transpose(1, 2) if values.shape[4] == 1 else values.flatten(0, 1)


@pytest.mark.parametrize('mode', ['eval', 'train'])
@pytest.mark.parametrize('output', ['map', 'pooled'])
def test_forward_and_input_gradient(encoder, mode, output):
    golden, model, pooling = encoder
    model.train(mode == 'train')
    x = golden['x'].requires_grad_()
    values = model(to_model(x))
    pooled = FeatureMap(values, torch.full(values.shape[:2], 1 / values.shape[1]), pooling).pool()
    assert_close(released_map(values), golden[f'{mode}/feature_map'], 'feature map')
    assert_close(pooled, golden[f'{mode}/pooled'], 'pooled')
    (values if output == 'map' else pooled).square().sum().backward()
    assert_close(x.grad, golden[f'{mode}/grad_x_of_{output}_sumsq'], 'input gradient')


def test_parameter_gradients_and_bn_statistics(encoder):
    golden, model, _ = encoder
    model(to_model(golden['x'])).square().sum().backward()
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    gradients = golden.converted('train/grad_of_map_sumsq', prefix=PREFIX)
    for name, gradient in gradients.items():
        assert_close(parameters[name.removeprefix(PREFIX)].grad, gradient, name)
    assert len(gradients) == len(parameters)
    for name, value in golden.converted('train/buffers_after', prefix=PREFIX).items():
        assert_close(buffers[name.removeprefix(PREFIX)].double(), value.double(), name)


@pytest.fixture
def neck():
    golden = Golden('mhsam_forward')
    meta = golden.meta
    state = golden.converted('state', prefix='encoder_q.neck.')

    def build(lam):
        mhsam = MHSAM(meta['C'], num_heads=meta['heads'], lam=lam)
        mhsam.load_state_dict({k.removeprefix('mhsam.'): v for k, v in state.items() if k.startswith('mhsam.')})
        mlp = MLP(meta['C'], meta['hid_channels'], meta['feature_dim'], norm_cfg=dict(type='BN1d'))
        prefix = 'encoder_q.projector.'
        mlp.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        return mhsam, mlp

    return golden, build


def as_map(golden_map, meta):
    """``(N*M, C, T', V)`` -> FeatureMap with every person counted."""
    values = golden_map.unflatten(0, (meta['N'], meta['M']))
    return FeatureMap(values, torch.full(values.shape[:2], 1 / meta['M']))


@pytest.mark.parametrize(('lam', 'mode'), [(2, 'eval'), (2, 'train'), (5, 'train')])
def test_mask_pooled_and_projected_features(neck, lam, mode):
    golden, build = neck
    mhsam, mlp = build(lam)
    mhsam.train(mode == 'train'), mlp.train(mode == 'train')
    features = as_map(golden['feature_map'], golden.meta)
    mask = mhsam(features.values)
    case = f'lambda{lam}/{mode}'
    assert_close(mask.flatten(0, 1).flatten(2).transpose(1, 2), golden[f'{case}/mask'], 'mask')
    for branch, m in (('', None), ('_salient', mask), ('_nonsalient', 1 - mask)):
        pooled = features.pool(m)
        assert_close(pooled, golden[f'{case}/pooled{branch or "_all"}'], f'pooled{branch}')
        assert_close(mlp(pooled), golden[f'{case}/z{branch}'], f'z{branch}')


@pytest.mark.parametrize('mode', ['eval', 'train'])
def test_the_key_side_uses_the_query_mask(neck, mode):
    golden, build = neck
    mhsam, mlp = build(2)
    mlp.train(mode == 'train')
    query = as_map(golden['feature_map'], golden.meta)
    key = as_map(golden['feature_map'].flip(0), golden.meta)
    mask = mhsam(query.values)
    for branch, m in (('', None), ('_salient', mask), ('_nonsalient', 1 - mask)):
        pooled = key.pool(m)
        assert_close(pooled, golden[f'lambda2/{mode}/keymode_pooled{branch or "_all"}'], f'pooled{branch}')
        assert_close(mlp(pooled), golden[f'lambda2/{mode}/keymode_z{branch}'], f'z{branch}')


@pytest.mark.parametrize('mode', ['eval', 'train'])
def test_gradient_through_the_mask(neck, mode):
    golden, build = neck
    mhsam, mlp = build(2)
    mlp.train(mode == 'train')
    feature_map = golden['feature_map'].requires_grad_()
    features = as_map(feature_map, golden.meta)
    mask = mhsam(features.values)
    terms = [mlp(features.pool(m)).square().sum() for m in (None, mask, 1 - mask)]
    (terms[0] + 2 * terms[1] + 3 * terms[2]).backward()
    assert_close(feature_map.grad, golden[f'lambda2/{mode}/grad_feature_map'], 'map gradient')
    parameters = {f'mhsam.{k}': v for k, v in mhsam.named_parameters()}
    parameters |= {f'encoder_q.projector.{k}': v for k, v in mlp.named_parameters()}
    gradients = golden.converted(f'lambda2/{mode}/grad', prefix='encoder_q.neck.')
    for name, gradient in gradients.items():
        assert_close(parameters[name].grad, gradient, name)
    assert set(gradients) == set(parameters)
