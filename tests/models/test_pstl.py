"""PSTL and its loss beyond the release's numbers: laws of Barlow Twins, joints removed from the graph, refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skeattn.errors import ConfigError
from skeattn.models import MLP, PSTL
from skeattn.models.edges import DropAddEdges
from skeattn.models.losses import barlow_twins, cross_correlation
from skeattn.registry import BACKBONES
from skeattn.skeletons import LAYOUTS, get_layout
from tests.models.tiny import NORMAL, batch, losses

GRAPHS = ('STGCN', 'AGCN', 'CTRGCN', 'STGCNPP')
PROJECTOR = dict(type='MLP', hidden_channels=24, out_channels=24, num_layers=3)
NORMS = dict(norm_cfg=dict(type='BN1d'), out_norm_cfg=dict(type='BN1d', affine=False))
VIEWS = dict(
    query=NORMAL,
    temporal=dict(like='query', frames=dict(type='MotionAttentionTemporalMasking', on='stream')),
    spatial=dict(like='query', joints=dict(type='CentralSpatialMasking')),
)


def pstl(layout='ntu25', views=VIEWS, **changes):
    torch.manual_seed(0)
    parts = dict(
        backbone=dict(type='STGCN', layout=layout, base_channels=4, out_channels=16, dropout=0.0),
        projector=dict(PROJECTOR, **NORMS),
        data_preprocessor=dict(type='SkeletonPreprocessor', layout=layout, views=views),
    )
    return PSTL(**{**parts, **changes})


def standardised(n=12, d=5, seed=0):
    z = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (z - z.mean(dim=0)) / z.std(dim=0, correction=0)


def whitened(n=12, d=5):
    """Columns of mean 0 and variance 1 that are not correlated."""
    z = standardised(n, d)
    return torch.linalg.qr(z - z.mean(dim=0)).Q * n**0.5


def slow_barlow_twins(z_a, z_b, weight):
    N, D = z_a.shape
    total = 0.0
    for i in range(D):
        for j in range(D):
            C = sum(z_a[n, i] * z_b[n, j] for n in range(N)) / N
            total += (C - 1) ** 2 if i == j else weight * C**2
    return total


@pytest.mark.parametrize('d', [1, 2, 5])
@pytest.mark.parametrize('weight', [2e-4, 1.0])
def test_barlow_twins_is_the_sum_over_all_pairs_of_features(d, weight):
    a, b = standardised(d=d), standardised(d=d, seed=1)
    torch.testing.assert_close(barlow_twins(a, b, weight), slow_barlow_twins(a, b, weight), rtol=1e-12, atol=1e-12)


def test_it_is_zero_for_whitened_embeddings_that_agree_and_only_for_them():
    z = whitened()
    assert barlow_twins(z, z, 1.0).abs() < 1e-24
    repeated = torch.cat([z[:, :1], z[:, :1]], dim=1)
    assert barlow_twins(repeated, repeated, 0.3).item() == pytest.approx(0.6)  # both halves of C count
    assert barlow_twins(z, -z, 1.0).item() == pytest.approx(4 * 5)
    assert barlow_twins(0 * z, 0 * z, 1.0).item() == pytest.approx(5)  # collapsed


@given(order=st.permutations(range(12)), seed=st.integers(0, 99))
def test_the_order_of_the_clips_is_of_no_importance(order, seed):
    a, b = standardised(seed=seed), standardised(seed=seed + 100)
    torch.testing.assert_close(barlow_twins(a[order], b[order], 0.1), barlow_twins(a, b, 0.1), rtol=1e-12, atol=0)
    torch.testing.assert_close(barlow_twins(b, a, 0.1), barlow_twins(a, b, 0.1), rtol=1e-12, atol=0)
    torch.testing.assert_close(cross_correlation(b, a), cross_correlation(a, b).T, rtol=1e-12, atol=1e-15)


def test_gradients_are_exact():
    a, b = standardised().requires_grad_(), standardised(seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: barlow_twins(a, b, 0.1), (a, b))


def test_autocast_does_not_round_the_correlation():
    a, b = (standardised(seed=seed).float() for seed in (0, 1))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(barlow_twins(a, b, 0.1), barlow_twins(a, b, 0.1))
        inside = barlow_twins(a, b, 0.1)
    assert torch.equal(inside, barlow_twins(a, b, 0.1))
    assert barlow_twins(a.bfloat16(), b.bfloat16(), 0.1).dtype == torch.float32


@pytest.mark.parametrize('world', [2, 3])
def test_several_processes_have_the_loss_and_the_gradient_of_one(monkeypatch, world):
    """Each has the global loss; the average of all gradients is the gradient of one process."""
    a, b = (standardised(seed=seed).requires_grad_() for seed in (0, 1))
    whole, C = barlow_twins(a, b, 0.1), cross_correlation(a, b).detach()
    expected = torch.autograd.grad(whole, (a, b))
    monkeypatch.setattr('skeattn.models.processes.get_world_size', lambda: world)
    monkeypatch.setattr('skeattn.models.processes.all_reduce', lambda data, op: data.copy_(C))
    for rows in torch.arange(12).chunk(world):
        part = [x.detach()[rows].requires_grad_() for x in (a, b)]
        loss = barlow_twins(*part, 0.1)
        torch.testing.assert_close(loss, whole, rtol=1e-12, atol=0)
        for ours, theirs in zip(torch.autograd.grad(loss, part), expected, strict=True):
            torch.testing.assert_close(ours / world, theirs[rows], rtol=1e-10, atol=1e-14)


def backbone(name, layout='ntu25'):
    torch.manual_seed(0)
    return BACKBONES.build(dict(type=name, layout=layout, base_channels=8, out_channels=16, dropout=0.0)).double()


def shaken(model):
    """Learnt graphs and statistics that are not those of the start."""
    generator = torch.Generator().manual_seed(1)
    statistics = [module.running_mean for module in model.modules() if hasattr(module, 'running_mean')]
    with torch.no_grad():
        for tensor in (*model.edge_importance, *statistics):
            tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
    return model


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('name', GRAPHS)
def test_all_joints_are_the_plain_encoder(name, training):
    model, x = shaken(backbone(name)).train(training), torch.randn(2, 2, 3, 12, 25).double()
    torch.testing.assert_close(model(x, joints=torch.arange(25)), model(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('name', ['STGCN', 'STGCNPP', 'CTRGCN'])
def test_joints_left_out_are_neither_seen_nor_normalised_away(name):
    """With fixed statistics the others are as if all edges from the joints left out were cut."""
    model, x = shaken(backbone(name)).eval(), torch.randn(2, 2, 3, 12, 25).double()
    joints = torch.tensor([0, 1, 2, 5, 9, 12, 20, 24])

    def cut(A):
        return A * torch.zeros(25).double().index_fill(0, joints, 1)[:, None]

    torch.testing.assert_close(model(x, joints=joints), model(x, edges=cut)[..., joints], rtol=1e-10, atol=1e-10)
    gone = x.clone()
    gone[..., 3] += 1
    assert torch.equal(model(gone, joints=joints), model(x, joints=joints))


def test_the_input_normalisation_sees_all_joints_and_the_blocks_see_those_left():
    model, x = backbone('STGCN').train(), torch.randn(2, 2, 3, 12, 25).double()
    seen = {}
    model.data_bn.register_forward_hook(lambda module, args, out: seen.update(input=args[0].shape[1]))
    model.blocks[0].tcn[0].register_forward_hook(lambda module, args, out: seen.update(block=args[0].shape[3]))
    F = model(x, joints=torch.tensor([3, 7, 8]))
    assert F.shape == (2, 2, 16, 3, 3) and seen == {'input': 75, 'block': 3}
    F.sum().backward()
    used = torch.zeros(25, 25, dtype=torch.bool)
    used[[3, 7, 8]] = used.T[[3, 7, 8]] = False
    used[torch.tensor([3, 7, 8])[:, None], torch.tensor([3, 7, 8])] = True
    assert (model.edge_importance[0].grad[:, ~used] == 0).all()


def test_edges_can_be_changed_beside():
    model, x = backbone('STGCN').train(), torch.randn(2, 1, 3, 12, 25).double()
    assert model(x, edges=DropAddEdges(0.5, 0.5).train(), joints=torch.arange(9)).shape == (2, 1, 16, 3, 9)


@pytest.mark.slow
@settings(max_examples=8)
@given(layout=st.sampled_from(sorted(LAYOUTS)), seed=st.integers(0, 99), stream=st.sampled_from(['joint', 'motion']))
def test_it_trains_on_every_skeleton(layout, seed, stream):
    preprocessor = dict(type='SkeletonPreprocessor', layout=layout, views=VIEWS, stream=stream)
    model = pstl(layout, data_preprocessor=preprocessor).train()
    V = get_layout(layout).num_joints
    data = dict(inputs=torch.randn(6, 3, 12, V, 2), labels=torch.arange(6))
    values = losses(model, data, iteration=seed)
    values['loss'].backward()
    assert values['loss'] == values['L_temporal'] + values['L_spatial'] and values['loss'].isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_the_views_reach_their_terms():
    """The first term has no joints left out, the second no frames."""
    model = pstl().train()
    model.data_preprocessor.begin_iteration(0, 0)
    inputs = model.data_preprocessor(batch(), training=True)['inputs']
    before = model.loss(inputs)
    for view, term in (('temporal', 'L_temporal'), ('spatial', 'L_spatial')):
        changed = model.loss(type(inputs)({**inputs, view: inputs[view].flip(0)}))
        other = {'L_temporal': 'L_spatial', 'L_spatial': 'L_temporal'}[term]
        assert changed[term] != before[term] and torch.allclose(changed[other], before[other])
    inputs['spatial.joints'] = torch.arange(25).expand(6, -1)
    whole = model.loss(inputs)
    assert whole['L_spatial'] != before['L_spatial']
    del inputs['spatial.joints']
    assert torch.allclose(model.loss(inputs)['L_spatial'], whole['L_spatial'])


def test_absent_persons_are_left_out_on_request():
    model, data = pstl(persons='present').train(), batch()
    data['inputs'][::2, ..., 1] = 0
    assert losses(model, data)['loss'].isfinite()


def test_features_are_those_of_the_encoder():
    model = pstl().eval()
    assert model.features(batch()).shape == (6, 16)
    assert model.features(batch(), 'projector').shape == (6, 24)
    assert model.features(batch(), 'backbone@joints').shape == (6, 25 * 16)


def test_the_choices_are_printed():
    choices = pstl().paper_vs_release()
    assert choices['redundancy_weight'] == (2e-4, 'as released')
    assert choices['projector.out_channels'] == (24, 'custom; the release used 6144')
    assert choices['project_again'] == (False, 'omitted: the losses are the same')
    assert choices['views.spatial.joints.per'] == ('batch', 'one draw per batch; as released')
    assert pstl(project_again=True).paper_vs_release()['project_again'] == (True, 'as released')


def test_a_backbone_without_a_graph_is_refused_and_trains_without_the_mask():
    recurrent = dict(type='BIGRU', layout='ntu25', hidden_channels=8, num_layers=1)
    with pytest.raises(ConfigError, match=r'views\.spatial\.joints: BIGRU.* set .*views\.spatial\.joints=None'):
        pstl(backbone=recurrent)
    model = pstl(backbone=recurrent, views={**VIEWS, 'spatial': dict(like='query')})
    assert losses(model, batch())['loss'].isfinite()


def test_a_projector_is_needed():
    with pytest.raises(ConfigError, match=r'PSTL needs a projector: set model\.projector='):
        pstl(projector=None)


def test_a_perceptron_has_the_layers_that_are_asked_for():
    kinds = [type(layer) for layer in MLP(4, 6, 5, num_layers=3, **NORMS).layers]
    block = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert kinds == [*block, *block, nn.Linear, nn.BatchNorm1d]
    assert [type(layer) for layer in MLP(4).layers] == [nn.Linear, nn.ReLU, nn.Linear]
    widths = [layer.weight.shape for layer in MLP(4, 6, 5, num_layers=4).layers if isinstance(layer, nn.Linear)]
    assert widths == [(6, 4), (6, 6), (6, 6), (5, 6)]
    z = MLP(4, 6, 5, num_layers=3, **NORMS)(torch.randn(64, 4))
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.var(dim=0, correction=0), torch.ones(5), atol=1e-2, rtol=0)
    with pytest.raises(ConfigError, match='num_layers=1 must be at least 2'):
        MLP(4, num_layers=1)
