"""Multiply-accumulates against numbers computed by hand, whatever torch runs."""

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from skeattn.benchmark.work import count
from skeattn.evaluation.complexity import counted_work, encoder_cost, training_cost
from skeattn.models import MAMP, STARS
from skeattn.models.backbones import SkeletonTransformer
from skeattn.registry import BACKBONES

N, L, D, HIDDEN = 2, 10, 32, 48
ATTENTION = L * D * 3 * D + 2 * L * L * D + L * D * D
SMALL = {
    'STGCN': dict(base_channels=8, out_channels=16),
    'AGCN': dict(base_channels=8, out_channels=16),
    'CTRGCN': dict(base_channels=8, out_channels=16),
    'STGCNPP': dict(base_channels=8, out_channels=16),
    'SkeletonTransformer': dict(depth=2, num_heads=2, out_channels=16),
    'BIGRU': dict(hidden_channels=32, num_layers=2, num_persons=2),
    'DSTA': dict(widths=(8, 8, 16), inner_widths=(4, 4, 4), strides=(1, 2, 2)),
}
UNCOUNTED = (
    'mv', 'addmv', 'dot', 'vdot', 'addr', 'addbmm', '_addmm_activation', '_native_multi_head_attention',
    '_transformer_encoder_layer_fwd', 'mkldnn_rnn_layer', 'mkldnn_linear', '_trilinear', '_thnn_fused_gru_cell',
)  # fmt: skip


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(D, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


def macs(module: nn.Module, x: Tensor, grad: bool, backward: bool = False) -> float:
    with torch.set_grad_enabled(grad), counted_work() as counter:
        y = module(x)
        if backward:
            y.sum().backward()
    return counter.get_total_flops() / 2 / len(x)


LAYERS = {
    'linear': (nn.Linear(D, HIDDEN), (N, L, D), L * D * HIDDEN),
    'convolution over time': (nn.Conv2d(3, 8, (9, 1), (2, 1), (4, 0)), (N, 3, 16, 25), 8 * 25 * 8 * 3 * 9),
    'GRU': (nn.GRU(D, HIDDEN, 2, batch_first=True), (N, L, D), L * 3 * HIDDEN * (D + 3 * HIDDEN)),
    'attention': (SelfAttention(), (N, L, D), ATTENTION),
    'Transformer layer': (
        nn.TransformerEncoderLayer(D, 4, HIDDEN, 0.0, batch_first=True, norm_first=True),
        (N, L, D),
        ATTENTION + 2 * L * D * HIDDEN,
    ),
}


@pytest.mark.parametrize('name', LAYERS)
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('trained', [True, False])
@pytest.mark.parametrize('grad', [True, False])
def test_a_layer_costs_what_its_formula_says(name: str, training: bool, trained: bool, grad: bool) -> None:
    module, shape, expected = LAYERS[name]
    module.train(training).requires_grad_(trained)
    assert macs(module, torch.zeros(shape), grad) == expected


@pytest.mark.parametrize('name', ['linear', 'attention'])
def test_a_backward_pass_costs_twice_the_forward_pass_and_the_scores_again(name: str) -> None:
    module, shape, expected = LAYERS[name]
    module.train().requires_grad_(True)
    x = torch.zeros(shape, requires_grad=True)
    again = L * L * D if name == 'attention' else 0
    assert macs(module, x, True, backward=True) == 3 * expected + again


def test_torch_keeps_its_fused_layer_afterwards() -> None:
    with counted_work():
        assert not torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.mha.get_fastpath_enabled()


class Reader(nn.Module):
    """A backbone that evaluation can read."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def features(self, data: dict[str, Tensor], source: str) -> Tensor:
        return self.backbone(data['inputs'].permute(0, 4, 1, 2, 3)).mean(dim=(1, 3, 4))


def clips(frames: int = 16, persons: int = 2) -> dict[str, Tensor]:
    return {'inputs': torch.randn(N, 3, frames, 25, persons, generator=torch.Generator().manual_seed(0))}


def test_a_transformer_costs_what_its_formula_says() -> None:
    """Per person: the embedding of T' V tokens; per layer the projections, scores and values, and two wide layers."""
    width, depth, ratio, patch, frames = 64, 3, 2, 4, 32
    backbone = SkeletonTransformer('ntu25', width, depth, 4, ratio, patch)
    tokens = frames // patch * 25
    person = tokens * 3 * patch * width + depth * ((4 + 2 * ratio) * tokens * width**2 + 2 * tokens**2 * width)
    assert encoder_cost(Reader(backbone), clips(frames))['gmacs'] == 2 * person / 1e9


@pytest.mark.slow
@pytest.mark.parametrize('name', SMALL)
def test_a_frozen_backbone_costs_what_a_trained_one_does(name: str) -> None:
    model = Reader(BACKBONES.build({'type': name, 'layout': 'ntu25', **SMALL[name]}))
    trained = encoder_cost(model, clips())
    assert trained['parameters'] == sum(p.numel() for p in model.parameters()) and trained['gmacs'] > 0
    for place, weight in enumerate(model.parameters()):
        weight.requires_grad_(bool(place % 2))  # some layers
    flags = [p.requires_grad for p in model.parameters()]
    assert encoder_cost(model, clips()) == trained
    assert [p.requires_grad for p in model.parameters()] == flags and all(p.grad is None for p in model.parameters())
    model.requires_grad_(False)
    assert encoder_cost(model, clips()) == trained
    model.eval()
    with torch.no_grad():
        assert count(lambda: model.features(clips(), 'backbone')).flops / 2e9 / N == pytest.approx(trained['gmacs'])


class Watch(TorchDispatchMode):
    """Names of the operations that torch runs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('name', SMALL)
def test_a_backbone_multiplies_by_nothing_that_is_not_counted(name: str) -> None:
    model = Reader(BACKBONES.build({'type': name, 'layout': 'ntu25', **SMALL[name]}))
    with Watch() as watch:
        model.features(clips(), 'backbone').sum().backward()
    assert len(watch.names) > 10 and not watch.names & {*UNCOUNTED}


def test_the_lower_layers_that_stars_does_not_train_are_counted() -> None:
    backbone = dict(type='SkeletonTransformer', layout='ntu25', out_channels=16, depth=4, num_heads=2)
    preprocessor = dict(type='SkeletonPreprocessor', layout='ntu25', views=dict(query=dict()))
    model = STARS(backbone, dict(type='MLP', hidden_channels=8), dict(size=8), data_preprocessor=preprocessor)
    assert not all(p.requires_grad for p in model.parameters())
    assert encoder_cost(model, clips()) == encoder_cost(Reader(model.encoder.backbone), clips())


def test_a_training_step_of_a_masked_model_costs_what_its_formula_says() -> None:
    """A tenth of the tokens through the encoder, all through the decoder; only the clips' embedding needs no gradient
    of its input."""
    width, depth, ratio, below, patch, T = 32, 2, 2, 1, 4, 16
    backbone = dict(
        type='SkeletonTransformer', layout='ntu25', out_channels=width, depth=depth, num_heads=2, ratio=ratio,
        patch=patch, dropout=0.0, norm_input=False, num_frames=T, position='learnt',
    )  # fmt: skip
    views = dict(query=dict(noise=dict(type='TokenNoise', patch=patch)))
    preprocessor = dict(type='SkeletonPreprocessor', layout='ntu25', views=views)
    model = MAMP(backbone, dict(depth=below, num_heads=2, ratio=ratio), data_preprocessor=preprocessor)
    tokens = T // patch * 25
    seen = int(tokens * (1 - 0.9))

    def layers(length: int, number: int) -> int:
        forward = (4 + 2 * ratio) * length * width**2 + 2 * length**2 * width
        return number * (3 * forward + length**2 * width)

    embedding = 2 * tokens * 3 * patch * width
    ends = 3 * (seen * width**2 + tokens * width * 3 * patch)
    person = embedding + ends + layers(seen, depth) + layers(tokens, below)
    assert training_cost(model, clips(T))['gmacs'] == pytest.approx(2 * person / 1e9, rel=1e-12)
