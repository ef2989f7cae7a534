"""CTR-GCN, 2s-AGCN, ST-GCN++ and the plain Transformer: contract and key equations."""

import copy
import math

import pytest
import torch
from torch import nn

from skeattn.errors import ConfigError
from skeattn.models.backbones import AGCN, CTRGCN, STGCNPP, SkeletonTransformer, stgcn
from skeattn.models.backbones.agcn import AdaptiveGraphConv
from skeattn.models.backbones.contract import check_backbone
from skeattn.models.backbones.ctrgcn import ChannelwiseGraphConv
from skeattn.models.backbones.stgcn import GraphConv
from skeattn.models.backbones.temporal import MultiBranch
from skeattn.models.backbones.transformer import sinusoid
from skeattn.models.edges import DropAddEdges
from skeattn.registry import BACKBONES

GRAPHS = ('CTRGCN', 'AGCN', 'STGCNPP')
ALL = (*GRAPHS, 'SkeletonTransformer')
every_backbone = pytest.mark.parametrize('name', ALL)


def build(name, layout='ntu25', seed=0, **kwargs):
    """A small backbone in double precision."""
    torch.manual_seed(seed)
    small = dict(depth=2, num_heads=2, dropout=0.0) if name == 'SkeletonTransformer' else dict(base_channels=8)
    return BACKBONES.build(dict(type=name, layout=layout, out_channels=16, **{**small, **kwargs})).double()


def clips(M=2, C=3, T=16, V=25, N=2):
    return torch.randn(N, M, C, T, V, dtype=torch.float64)


@every_backbone
@pytest.mark.parametrize('layout', ['ntu25', 'kinect20', 'coco17'])
@pytest.mark.parametrize(('T', 'M', 'C'), [(16, 2, 3), (13, 1, 3), (7, 3, 2), (3, 2, 4)])
def test_contract_for_any_layout_length_persons_and_channels(name, layout, T, M, C):
    model = build(name, layout, in_channels=C)
    V = model.layout.num_joints
    assert model(clips(M, C, T, V)).shape == (2, M, 16, math.ceil(T / model.temporal_stride), V)
    assert (model.out_channels, model.temporal_stride) == (16, 4)


@every_backbone
def test_the_encoders_check_passes(name):
    assert check_backbone(build(name).float(), 'ntu25') is False


@every_backbone
def test_wrong_joints_are_named(name):
    with pytest.raises(ConfigError, match=rf"{name} was built for 3 channels and layout 'kinect20' .20 joints.*25"):
        build(name, 'kinect20')(clips())


@every_backbone
def test_persons_are_treated_alike_and_apart(name):
    model, x = build(name).eval(), clips()
    out = model(x)
    assert torch.allclose(model(x.flip(1)), out.flip(1), atol=1e-10)
    assert torch.allclose(model(x[:, :1]), out[:, :1], atol=1e-10)


@every_backbone
def test_a_gradient_reaches_every_parameter(name):
    model = build(name)
    with torch.no_grad():
        for p in model.parameters():  # past alpha = 0, which holds back CTR-GCN's refinement in the first step
            p.add_(0.1 * torch.randn_like(p))
    model(clips()).square().mul(torch.rand(16, 4, 25)).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


@every_backbone
def test_a_copy_and_a_second_pass_give_the_same_bits(name):
    model, x = build(name).float(), clips().float()
    twin = copy.deepcopy(model)
    outs = []
    for m in (model, twin):
        torch.manual_seed(1)
        out = m(x)
        out.square().sum().backward()
        outs.append([out, *(p.grad for p in m.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*outs, strict=True))


@every_backbone
def test_bfloat16_autocast_is_close_to_single_precision(name):
    model, x = build(name).float().eval(), clips().float()
    exact = model(x)
    with torch.autocast('cpu', torch.bfloat16):
        rough = model(x)
    assert (rough.float() - exact).norm() < 0.05 * exact.norm()
    rough.float().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@every_backbone
def test_the_default_dtype_is_followed(name):
    torch.set_default_dtype(torch.float64)
    try:
        model = BACKBONES.build(dict(type=name, layout='ntu25', out_channels=16))
        assert {t.dtype for t in model.state_dict().values() if t.is_floating_point()} == {torch.float64}
        assert model.eval()(clips()).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


# CTR-GCN's is that of NTU-120; 2s-AGCN's two streams have 6.94 million.
@pytest.mark.parametrize(('cls', 'classes', 'millions'), [(CTRGCN, 120, 1.46), (AGCN, 60, 3.47), (STGCNPP, 60, 1.4)])
def test_size_is_the_published_one(cls, classes, millions):
    parameters = sum(p.numel() for p in cls('ntu25').parameters()) + classes * (256 + 1)
    assert parameters / 1e6 == pytest.approx(millions, rel=0.005)


@pytest.mark.parametrize('name', GRAPHS)
def test_edges_change_the_graph(name):
    model, x = build(name).eval(), clips()
    assert torch.equal(model(x, lambda A: A), model(x))
    assert not torch.allclose(model(x, lambda A: A * 0), model(x))
    torch.manual_seed(0)
    assert not torch.allclose(model(x, DropAddEdges(0.9, 0.9)), model(x))
    assert torch.equal(model(x, DropAddEdges(0.9, 0.9).eval()), model(x))


@pytest.mark.parametrize('name', GRAPHS)
def test_learning_starts_from_the_skeleton(name):
    model = build(name)
    assert all(torch.equal(model.adjacency_with(importance), model.A) for importance in model.edge_importance)


def test_channels_refine_the_shared_topology():
    N, K, C, D, T, V = 2, 3, 16, 4, 5, 6
    torch.manual_seed(0)
    conv = ChannelwiseGraphConv(C, D, K).double()
    nn.init.constant_(conv.alpha, 0.7)
    x, A = torch.randn(N, C, T, V, dtype=torch.float64), torch.randn(K, V, V, dtype=torch.float64)
    expected = torch.zeros(N, D, T, V, dtype=torch.float64)
    psi, phi = (part.unflatten(1, (K, -1)) for part in conv.compare(x).mean(dim=2, keepdim=True)[:, :, 0].chunk(2, 1))
    maps = conv.conv(x).unflatten(1, (K, D))
    weight, bias = conv.xi.weight.view(K, D, -1), conv.xi.bias.view(K, D)
    for k in range(K):
        for v in range(V):
            for w in range(V):
                M = torch.tanh(psi[:, k, :, w] - phi[:, k, :, v])
                R = A[k, v, w] + 0.7 * (M @ weight[k].T + bias[k])  # (N, D)
                expected[..., w] += maps[:, k, :, :, v] * R[:, :, None]
    assert torch.allclose(conv(x, A), expected, atol=1e-10)
    nn.init.zeros_(conv.alpha)
    assert torch.allclose(conv.topology(x, A), A[:, None].expand(N, K, D, V, V))


def test_a_clips_own_graph_is_added_to_the_skeletons():
    N, K, C, D, T, V = 2, 3, 4, 8, 5, 6
    torch.manual_seed(0)
    conv = AdaptiveGraphConv(C, D, K).double()
    x, A = torch.randn(N, C, T, V, dtype=torch.float64), torch.randn(K, V, V, dtype=torch.float64)
    theta, phi = (part.unflatten(1, (K, -1)) for part in conv.embed(x).chunk(2, dim=1))  # (N, K, D / 4, T, V)
    expected = conv.conv.bias.view(1, D, 1, 1).expand(N, D, T, V).clone()
    for n in range(N):
        for k in range(K):
            W = conv.conv.weight.view(D, K, C)[:, k]
            for w in range(V):
                alike = torch.stack([(theta[n, k, :, :, v] * phi[n, k, :, :, w]).mean() for v in range(V)])
                mixed = x[n] @ (A[k, :, w] + torch.exp(alike) / torch.exp(alike).sum())  # (C, T)
                expected[n, :, :, w] += W @ mixed
    assert torch.allclose(conv(x, A), expected, atol=1e-10)


@pytest.mark.parametrize('stride', [1, 2])
def test_branches_see_the_frames_of_their_dilation(stride):
    torch.manual_seed(0)
    conv = MultiBranch(12, 13, stride, 3, (1, 4), nn.BatchNorm2d, nn.Identity).double().eval()
    assert conv.widths == [4, 3, 3] and conv.single.out_channels == 3
    x = torch.randn(1, 12, 17, 2, dtype=torch.float64, requires_grad=True)
    out = conv(x)
    middle = 4
    assert out.shape == (1, 13, -(-17 // stride), 2)
    seen = []
    for channels in (slice(0, 4), slice(4, 7), slice(7, 10), slice(10, 13)):
        (gradient,) = torch.autograd.grad(out[:, channels, middle, 0].square().sum(), x, retain_graph=True)
        assert (gradient[..., 1] == 0).all()
        seen.append(set((gradient[0, :, :, 0].abs().sum(dim=0).nonzero().flatten() - stride * middle).tolist()))
    assert (seen[0], seen[1], seen[3]) == ({-1, 0, 1}, {-4, 0, 4}, {0})
    assert seen[2] <= {-1, 0, 1}  # the pooling passes on the largest alone


def test_stgcnpp_learns_any_edge_and_stgcn_only_those_of_the_skeleton():
    for name, everywhere in (('STGCNPP', True), ('STGCN', False)):
        model = build(name)
        model(clips()).square().mul(torch.rand(16, 4, 25)).sum().backward()
        absent = model.A == 0
        assert all((p.grad[absent].abs().max() > 0) == everywhere for p in model.edge_importance)


def test_tokens_know_their_joint_and_their_time():
    model = build('SkeletonTransformer').eval()
    still = torch.zeros(1, 1, 3, 8, 25, dtype=torch.float64)
    model.data_bn.weight.data.zero_()
    out = model(still)[0, 0]
    assert (out[:, 0] - out[:, 1]).abs().max() > 1e-3  # rows of the map: frames
    assert (out[:, :, 0] - out[:, :, 1]).abs().max() > 1e-4
    position = sinusoid(3, 4)
    rates = torch.tensor([1.0, 0.01])[:, None] * torch.arange(3)
    assert torch.allclose(position, torch.cat([rates.sin(), rates.cos()]))


def test_a_last_token_that_is_too_short_repeats_the_last_frame():
    model, x = build('SkeletonTransformer').eval(), clips(T=6)
    longer = torch.cat([x, x[:, :, :, -1:], x[:, :, :, -1:]], dim=3)
    assert torch.allclose(model(x), model(longer), atol=1e-12)


def test_transformer_layers_start_apart_and_heads_must_divide():
    first, second = build('SkeletonTransformer').layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
    with pytest.raises(ConfigError, match=r'num_heads=3 must divide model\.backbone\.out_channels=16'):
        SkeletonTransformer('ntu25', out_channels=16, num_heads=3)


@pytest.mark.parametrize(('C', 'dtype', 'folded'), [(3, 'bfloat16', True), (16, 'bfloat16', True),
                                                   (32, 'bfloat16', False), (24, 'float32', True),
                                                   (25, 'float32', False)])  # fmt: skip
def test_a_narrow_graph_convolution_gathers_no_neighbours(C, dtype, folded, monkeypatch):
    gathered, gather = [], stgcn._gather
    monkeypatch.setattr(stgcn, '_gather', lambda *args: gathered.append(1) or gather(*args))
    conv, x, A = GraphConv(C, 8, 3), torch.randn(2, C, 4, 20), torch.rand(3, 20, 20)
    with monkeypatch.context() as patch:
        patch.setattr(stgcn, 'FOLDED', {})
        exact = conv(x, A)
    assert len(gathered) == 1
    gathered.clear()
    with torch.autocast('cpu', torch.bfloat16, enabled=dtype == 'bfloat16'):
        out = conv(x, A)
        empty = conv(x[:0], A)
    assert len(gathered) == (0 if folded else 2) and empty.shape == (0, 8, 4, 20)
    assert (out.float() - exact).norm() < 0.02 * exact.norm()


def test_the_folded_graph_convolution_equals_its_formula_and_gradients(monkeypatch):
    monkeypatch.setattr(stgcn, 'FOLDED', {})
    conv, x = GraphConv(3, 8, 3).double(), torch.randn(2, 3, 4, 20, dtype=torch.float64, requires_grad=True)
    A = torch.rand(3, 20, 20, dtype=torch.float64, requires_grad=True)
    wanted, inputs = conv(x, A), (x, A, *conv.parameters())
    weight, bias = conv._fold(A), A.sum(dim=1).T @ conv.conv.bias.view(3, -1)
    rows = x.permute(0, 2, 3, 1).reshape(8, -1)
    folded = torch.nn.functional.linear(rows, weight, bias.flatten()).view(2, 4, 20, 8).permute(0, 3, 1, 2)
    torch.testing.assert_close(folded, wanted, atol=1e-12, rtol=0)
    r = torch.randn_like(wanted)
    for a, b in zip(torch.autograd.grad(folded, inputs, r), torch.autograd.grad(wanted, inputs, r), strict=True):
        torch.testing.assert_close(a, b, atol=1e-11, rtol=0)
