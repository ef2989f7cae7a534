"""The contract of backbones, the use of their maps in methods, and the paper's recurrent and attentive encoders."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from torch import nn

from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import ConfigError
from skeattn.models import BIGRU, DSTA, AttentionDrop
from skeattn.models.backbones.contract import check_backbone
from skeattn.models.backbones.dsta import position_encoding
from skeattn.models.encoder import Encoder, FeatureMap
from skeattn.registry import BACKBONES
from tests.conftest import ROOT

SMALL = dict(widths=(8, 8, 12), inner_widths=(4, 4, 4), strides=(1, 2, 2))
HICLR = dict(widths=(32, 32, 64, 64, 128, 128, 128, 256), inner_widths=(16,) * 4 + (32,) * 4)


def dsta(layout='ntu25', **changes):
    torch.manual_seed(0)
    return DSTA(layout, **{**SMALL, **changes})


def bigru(layout='ntu25', **changes):
    torch.manual_seed(0)
    return BIGRU(layout, **{**dict(hidden_channels=4, num_layers=2), **changes})


class Toy(BaseModule):
    """A custom backbone: one linear map, whose output a test can change."""

    temporal_stride = 2

    def __init__(self, layout=None, in_channels=3, out_channels=6, change=lambda out: out):
        super().__init__()
        self.out_channels, self.change = out_channels, change
        self.map = nn.Linear(in_channels, out_channels)

    def forward(self, x):
        return self.change(self.map(x[:, :, :, ::2].movedim(2, -1)).movedim(-1, 2))


BACKBONES.register_module(module=Toy, force=True)


def test_a_backbone_that_fails_is_named_with_its_input():
    toy = Toy(change=lambda out: out @ torch.zeros(7, 7))
    with pytest.raises(ConfigError, match=r'model\.backbone: Toy fails on clips .* \(1, 2, 3, 6, 25\) with Runtime'):
        check_backbone(toy, 'ntu25')


@pytest.mark.parametrize(
    ('change', 'together'),
    [
        (lambda out: out, False),
        (lambda out: out.mean(1, keepdim=True), True),
        (lambda out: out.mean(4, keepdim=True), False),
        (lambda out: out.mean((1, 4), keepdim=True), True),
    ],
)
def test_maps_of_persons_and_joints_apart_or_together_are_allowed(change, together):
    encoder = Encoder(dict(type='Toy', layout='ntu25', change=change))
    assert encoder.persons_together is together
    assert encoder.map(torch.randn(3, 2, 3, 8, 25)).pool().shape == (3, 6)


@pytest.mark.parametrize(
    ('change', 'shape'),
    [
        (lambda out: out.flatten(0, 1), r'\(2, 6, 3, 25\)'),
        (lambda out: out.transpose(0, 1), r'\(2, 1, 6, 3, 25\)'),
        (lambda out: out.transpose(2, 3), r'\(1, 2, 3, 6, 25\)'),
        (lambda out: out[..., :20], r'\(1, 2, 6, 3, 20\)'),
        (lambda out: out[:, :, :, :1], r'\(1, 2, 6, 1, 25\)'),
        (lambda out: out[:, :, :4], r'\(1, 2, 4, 3, 25\)'),
        (lambda out: (out,), 'tuple'),
    ],
)
def test_a_wrong_map_is_named_with_the_expected_shape(change, shape):
    expected = rf'Toy returns {shape} for clips .* = \(1, 2, 3, 6, 25\); expected .* = \(1, 2 or 1, 6, 3, 25 or 1\)'
    with pytest.raises(ConfigError, match=expected):
        Encoder(dict(type='Toy', layout='ntu25', change=change))


@pytest.mark.parametrize('attribute', ['out_channels', 'temporal_stride'])
def test_a_missing_attribute_is_named(attribute):
    toy = Toy('ntu25')
    for value in (None, 0, 2.0):
        setattr(toy, attribute, value)
        with pytest.raises(ConfigError, match=f"Toy needs the attribute '{attribute}'.*it has {value}"):
            check_backbone(toy, 'ntu25')


def test_a_backbone_without_layout_is_refused_by_name():
    class Bare(nn.Module):
        pass

    BACKBONES.register_module(module=Bare, force=True)
    with pytest.raises(ConfigError, match=r"type='Bare'.*takes no 'layout'"):
        Encoder(dict(type='Bare', layout='ntu25'))
    with pytest.raises(ConfigError, match=r'model\.backbone\.layout is missing'):
        Encoder(dict(type='Toy'))


def test_the_check_leaves_weights_statistics_modes_and_random_state_alone():
    backbone = dsta(dropout=0.5)
    backbone.embed.eval()
    before = copy.deepcopy(backbone.state_dict())
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    check_backbone(backbone, 'ntu25')
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert backbone.training and not backbone.embed.training


def test_persons_read_together_count_once():
    x = torch.randn(3, 2, 3, 8, 25)
    x[1, 1], x[2] = 0, 0
    backbone = dict(type='BIGRU', layout='ntu25', hidden_channels=4)
    for persons, weights in (('all', [[1], [1], [1]]), ('present', [[1], [1], [0]])):
        torch.manual_seed(0)
        encoder = Encoder(backbone, persons=persons)
        for training in (True, False):
            F = encoder.train(training).map(x)
            assert F.persons.tolist() == weights
        assert torch.equal(F.values, encoder.backbone(x))


def test_pooling_takes_the_mean_or_the_last_row():
    values, persons = torch.randn(2, 2, 3, 4, 5), torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    mask = torch.rand_like(values)
    last = FeatureMap(values, persons, 'last')
    expected = (values * mask)[:, :, :, 3].mean(dim=3)
    assert torch.allclose(last.pool(mask)[0], expected[0].mean(dim=0))
    assert torch.allclose(last.pool(mask)[1], expected[1, 0])
    assert torch.allclose(last.pool(mask) + last.pool(1 - mask), last.pool(), atol=1e-6)
    for part, pooled in zip(last.split(mask), (last.pool(mask), last.pool(1 - mask)), strict=True):
        assert torch.allclose(part, pooled, atol=1e-6)
    with pytest.raises(ConfigError, match=r"model\.pool='first'"):
        Encoder(dict(type='Toy', layout='ntu25'), pool='first')


def test_a_bfloat16_map_is_split_and_read_in_single_precision():
    F = FeatureMap(torch.randn(2, 1, 3, 4, 5).bfloat16(), torch.ones(2, 1))
    masked, rest = F.split(torch.full((2, 1, 3, 4, 5), 0.5))
    assert masked.dtype == rest.dtype == torch.float32
    torch.testing.assert_close(masked, rest)
    assert torch.equal(F.single().values, F.values.float()) and F.single().pool().dtype == torch.float32
    double = FeatureMap(F.values.double(), F.persons)
    assert double.single().values is double.values
    F = Encoder(dict(type='Toy', layout='ntu25'), pool='last').map(torch.randn(2, 1, 3, 8, 25))
    assert torch.allclose(F.pool(), F.values[:, 0, :, 3].mean(dim=2))


def test_a_region_of_a_map_without_joints_is_that_of_joints_which_share_a_feature():
    values, persons = torch.randn(3, 1, 4, 6, 1), torch.ones(3, 1)
    cells = torch.rand(3, 6, 25) < 0.3
    cells[1] = False
    together = FeatureMap(values, persons).region(cells)
    assert torch.allclose(together, FeatureMap(values.expand(-1, -1, -1, -1, 25), persons).region(cells), atol=1e-6)
    assert together[1].abs().max() == 0


def test_attention_drop_of_a_map_without_joints_drops_elements_alone():
    x = torch.full((1, 1, 2, 8, 1), 0.1)
    x[..., 3, :] = 3.0
    out = AttentionDrop()(x)
    assert (out[..., 3, :] == 0).all() and torch.allclose(out[..., 0, :], x[..., 0, :] * 8 / 7)


@pytest.mark.parametrize(('layout', 'T', 'M'), [('ntu25', 9, 2), ('kinect20', 50, 1), ('coco17', 1, 3)])
def test_bigru_contract_for_any_layout_length_and_persons(layout, T, M):
    model = bigru(layout, num_persons=M, in_channels=2)
    x = torch.randn(2, M, 2, T, model.layout.num_joints)
    assert model(x).shape == (2, 1, 8, T, 1)
    assert check_backbone(model, layout, 2) is (M > 1)
    with pytest.raises(ConfigError, match=rf'built for {M} persons, 2 channels.*have {M + 1} persons'):
        model(torch.cat([x, x[:, :1]], dim=1))


def test_released_bigru_is_the_loop_over_single_frames():
    model = bigru().eval()
    x = torch.randn(3, 2, 3, 7, 25)
    loop = nn.GRU(150, 4, num_layers=2, bidirectional=True, batch_first=True)
    loop.load_state_dict(stacked(model))
    frames, hidden, out = model.data_bn(x.permute(0, 4, 2, 1, 3).flatten(1, 3)).transpose(1, 2), None, []
    for t in range(7):
        y, hidden = loop(frames[:, t : t + 1], hidden)
        out.append(y)
    assert torch.allclose(model(x)[:, 0, :, :, 0].transpose(1, 2), torch.cat(out, dim=1), atol=1e-6)


def test_true_bigru_is_the_usual_bidirectional_one():
    model, x = bigru(bidirectional='true').eval(), torch.randn(3, 2, 3, 7, 25)
    usual = nn.GRU(150, 4, num_layers=2, bidirectional=True, batch_first=True)
    usual.load_state_dict(stacked(model))
    expected, _ = usual(model.data_bn(x.permute(0, 4, 2, 1, 3).flatten(1, 3)).transpose(1, 2))
    out = model(x)[:, 0, :, :, 0].transpose(1, 2)
    assert torch.allclose(out, expected, atol=1e-6)
    released = bigru().eval()
    released.load_state_dict(model.state_dict())
    assert not torch.allclose(released(x)[:, 0, :, :, 0].transpose(1, 2), out, atol=1e-3)
    with pytest.raises(ConfigError, match=r"bidirectional='both'"):
        bigru(bidirectional='both')


def stacked(model):
    """The weights of our pairs of GRUs under the names of one of PyTorch's."""
    return {
        f'{name}_l{i}{suffix}': getattr(gru, f'{name}_l0')
        for i, pair in enumerate(model.layers)
        for gru, suffix in zip(pair, ('', '_reverse'), strict=True)
        for name in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')
    }


def test_bigru_has_the_released_number_of_weights():
    with torch.device('meta'):
        model = BIGRU('ntu25')
    assert sum(p.numel() for p in model.layers.parameters()) == 44_998_656
    assert model.out_channels == 2048 and model.data_bn.num_features == 150


@pytest.mark.parametrize(('pack', 'persons'), [(1, 1), (3, 3)])
def test_bigru_is_as_wide_as_the_pipeline_packs_persons(pack, persons):
    cfg = read_config(ROOT / 'configs/skeattnclr/bigru_nwucla_xview.py')
    cfg.dataset.pipeline.pack.num_persons = pack
    resolved = resolve_config(cfg)
    assert resolved.model.backbone.num_persons == persons and 'num_persons' not in cfg.model.backbone
    assert resolve_config(resolved).model.backbone == resolved.model.backbone
    cfg.model.backbone.num_persons = 2
    with pytest.raises(ConfigError, match=r'dataset\.pipeline\.pack\.num_persons gives'):
        resolve_config(Config(cfg.to_dict()))


@pytest.mark.parametrize(
    ('layout', 'T', 'M', 'rows'), [('ntu25', 64, 2, 16), ('kinect20', 50, 1, 13), ('coco17', 7, 3, 2)]
)
@pytest.mark.parametrize('change', [{}, dict(use_temporal_att=False), dict(glo_reg_t=True)])
def test_dsta_contract_for_any_layout_length_and_persons(layout, T, M, rows, change):
    model = dsta(layout, in_channels=2, **change)
    assert model(torch.randn(2, M, 2, T, model.layout.num_joints)).shape == (2, M, 12, rows, model.layout.num_joints)
    assert (model.out_channels, model.temporal_stride) == (12, 4)
    assert check_backbone(model, layout, 2) is False


@pytest.mark.parametrize(
    ('change', 'millions'),
    [({}, 3.45), (dict(use_temporal_att=False), 3.82), (HICLR, 1.42), (dict(HICLR, use_temporal_att=False), 1.56)],
)
def test_dsta_has_the_released_number_of_weights(change, millions):
    with torch.device('meta'):
        model = DSTA('ntu25', **change)
    head = 60 * 256 + 60
    assert (sum(p.numel() for p in model.parameters()) + head) / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.slow
@pytest.mark.parametrize('change', [{}, dict(use_temporal_att=False), dict(glo_reg_t=True)])
@pytest.mark.parametrize(('spread', 'place'), [(0.5, 0.0), (1.0, 3.0), (1000.0, 0.0)])
def test_an_untrained_dsta_neither_explodes_nor_vanishes_in_eval_mode(change, spread, place):
    """Kind N9: an initialisation that explodes. By seed, the largest feature lay between 0.3 and 7.6e7."""
    x = torch.randn(1, 1, 3, 64, 25, generator=torch.Generator().manual_seed(1)) * spread + place
    for seed in range(10):
        torch.manual_seed(seed)
        with torch.no_grad():
            largest = DSTA('ntu25', **change).eval()(x).abs().max() / x.std()
        assert 0.1 < largest < 10, f'seed {seed}: {largest:.3g}'


def test_dsta_in_training_does_not_depend_on_the_first_running_statistics():
    """They replace the deviation of a batch only where there is none, so a training is what it was."""
    torch.manual_seed(0)
    model, x = dsta().train(), torch.randn(2, 1, 3, 16, 25)
    expected = model(x)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
    torch.testing.assert_close(model(x), expected, rtol=0, atol=0)


def test_dsta_treats_persons_alike_and_apart():
    model, x = dsta().eval(), torch.randn(2, 2, 3, 16, 25)
    out = model(x)
    assert torch.allclose(model(x.flip(1)), out.flip(1), atol=1e-5)
    assert torch.allclose(model(x[:, :1]), out[:, :1], atol=1e-5)


def test_dsta_encodes_the_positions_of_joints_and_frames():
    """Without encodings, attention would not depend on the order; G, learnt per joint, is initially constant."""
    model, x = dsta(strides=(1, 1, 1)).eval(), torch.randn(1, 1, 3, 8, 25)
    assert not torch.allclose(model(x.flip(4)), model(x).flip(4), atol=1e-3)
    assert not torch.allclose(model(x.flip(3)), model(x).flip(3), atol=1e-3)
    p = position_encoding(6, 5, x)
    angles = torch.arange(5)[None] * 10000 ** (-torch.tensor([0.0, 2, 4]) / 6)[:, None]
    assert torch.allclose(p[0::2], angles.sin()) and torch.allclose(p[1::2], angles.cos())
    assert torch.equal(position_encoding(5, 4, x), position_encoding(5, 9, x)[:, :4])


def test_dsta_learns_an_attention_between_frames_on_request():
    model, x = dsta(glo_reg_t=True, num_frames=16).eval(), torch.randn(1, 1, 3, 16, 25)
    assert [block.frames.learnt.shape[3] for block in model.blocks] == [16, 16, 8]
    assert torch.equal(model.blocks[2].frames.learnt[0, 1], torch.eye(8))
    plain = dsta().eval()
    assert model.load_state_dict(plain.state_dict(), strict=False).unexpected_keys == []
    assert not torch.allclose(model(x), plain(x), atol=1e-3)
    for block in model.blocks:
        nn.init.zeros_(block.frames.learnt)
    assert torch.allclose(model(x), plain(x), atol=1e-6)
    with pytest.raises(ConfigError, match='num_frames'):
        model(torch.randn(1, 1, 3, 20, 25))


@pytest.mark.parametrize('change', [{}, dict(use_temporal_att=False)])
def test_dsta_dropout_acts_in_training_alone(change):
    x = torch.randn(2, 1, 3, 8, 25)
    model = dsta(dropout=0.5, **change)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_dsta_refuses_lists_of_different_lengths_and_other_joints():
    with pytest.raises(ConfigError, match='3 widths, 3 inner_widths and 2 strides'):
        dsta(strides=(1, 2))
    with pytest.raises(ConfigError, match=r"layout 'kinect20' .20 joints.*3 channels and 25 joints"):
        dsta('kinect20')(torch.randn(1, 1, 3, 8, 25))


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='STGCN', base_channels=2, out_channels=8),
        dict(type='AGCN', base_channels=4, out_channels=8),
        dict(type='CTRGCN', base_channels=8, out_channels=8),
        dict(type='STGCNPP', base_channels=16, out_channels=16),
        dict(type='BIGRU', hidden_channels=4),
        dict(type='DSTA'),
        dict(type='SkeletonTransformer'),
    ],
    ids=lambda backbone: backbone['type'],
)
def test_a_batch_without_persons_has_zero_features(backbone, training):
    projector = dict(type='MLP', hidden_channels=4, out_channels=4)
    encoder = Encoder(dict(backbone, layout='ntu25'), projector, persons='present').train(training)
    pooled = encoder.map(torch.zeros(2, 2, 3, 16, 25)).pool()
    assert pooled.shape == (2, encoder.backbone.out_channels) and not pooled.any()
