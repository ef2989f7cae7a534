"""Options of the plain Transformer: tokens and their subsets, learnt positions, no input norm, stochastic depth."""

import pytest
import torch

from skeattn.errors import ConfigError
from skeattn.models.backbones import SkeletonTransformer
from skeattn.models.dropout import DropPath

LEARNT = dict(position='learnt', num_frames=16, norm_input=False)


def build(**changes):
    torch.manual_seed(0)
    small = dict(out_channels=16, depth=2, num_heads=2, dropout=0.0)
    return SkeletonTransformer('ntu25', **{**small, **changes}).double()


def clips(T=16, N=2):
    return torch.randn(N, 2, 3, T, 25, dtype=torch.float64)


@pytest.mark.parametrize('options', [{}, LEARNT])
@pytest.mark.parametrize('T', [16, 13])
def test_the_map_is_the_encoded_tokens_time_by_time(options, T):
    model, x = build(**options), clips(T)
    tokens = model.tokens(x)
    assert tokens.shape == (4, 100, 16)
    encoded = model.encode(tokens)
    assert torch.equal(model(x)[1, 0, :, 2, 7], encoded[2, 2 * 25 + 7])


def test_a_token_encodes_its_patch_its_joint_and_its_time():
    model, x = build(**LEARNT), clips()
    patch = x[1, 0, :, 8:12, 7]  # (C, u)
    expected = torch.einsum('dcu,cu->d', model.embed.weight[..., 0], patch) + model.embed.bias
    token = model.tokens(x)[2, 2 * 25 + 7]
    assert torch.allclose(token, expected + model.joints[:, 0, 7] + model.times[:, 2, 0])


def test_tokens_left_out_are_not_attended_to():
    model, x = build(), clips()
    kept = torch.tensor([3, 40, 90])
    tokens = model.tokens(x)
    few = model.encode(tokens[:, kept])
    assert not torch.allclose(few, model.encode(tokens)[:, kept])
    tokens[:, 50] += 1
    assert torch.equal(model.encode(tokens[:, kept]), few)


def test_a_shorter_clip_has_the_first_of_the_learnt_positions():
    model, x = build(**LEARNT), clips()
    assert torch.allclose(model.tokens(x[:, :, :, :8]), model.tokens(x)[:, :50])


def test_learnt_positions_name_the_key_that_limits_them():
    with pytest.raises(ConfigError, match=r'17 frames.*model\.backbone\.num_frames=16'):
        build(**LEARNT)(clips(T=17))
    with pytest.raises(ConfigError, match=r'set model\.backbone\.num_frames'):
        build(position='learnt')


def test_without_input_norm_there_are_no_statistics():
    assert not list(build(**LEARNT).buffers())
    with pytest.raises(ConfigError, match='20 joints'):
        build(**LEARNT)(torch.zeros(1, 1, 3, 8, 20))


def test_an_old_checkpoint_has_the_names_of_the_default():
    names = set(build(depth=1).state_dict())
    norms = {f'{n}.{p}' for n in ('norm', 'data_bn', 'layers.0.norm1', 'layers.0.norm2') for p in ('weight', 'bias')}
    linear = {f'{n}.{p}' for n in ('linear1', 'linear2', 'self_attn.out_proj') for p in ('weight', 'bias')}
    statistics = {f'data_bn.{n}' for n in ('running_mean', 'running_var', 'num_batches_tracked')}
    assert names == {'joints', 'embed.weight', 'embed.bias'} | norms | statistics | {
        'layers.0.self_attn.in_proj_weight', 'layers.0.self_attn.in_proj_bias', *(f'layers.0.{n}' for n in linear)
    }  # fmt: skip


def test_drop_path_grows_with_depth_and_leaves_names_and_evaluation_alone():
    model, plain, x = build(depth=4, drop_path=0.3), build(depth=4), clips()
    rates = [[m.p for m in layer.modules() if isinstance(m, DropPath)] for layer in model.layers]
    assert rates == [[], [pytest.approx(0.1)] * 2, [pytest.approx(0.2)] * 2, [pytest.approx(0.3)] * 2]
    model.load_state_dict(plain.state_dict())
    assert torch.equal(model.eval()(x), plain.eval()(x))
    assert not torch.allclose(model.train()(x), plain.train()(x))


def test_drop_path_drops_whole_rows_and_keeps_the_mean():
    torch.manual_seed(0)
    out = DropPath(0.25)(torch.ones(8000, 3, 2))
    kept = out[:, 0, 0] > 0
    assert torch.equal(out, (kept / 0.75).view(-1, 1, 1).expand_as(out))
    assert abs(kept.double().mean().item() - 0.75) < 4 * (0.75 * 0.25 / 8000) ** 0.5
    assert torch.equal(DropPath(0.25).eval()(out), out)


@pytest.mark.parametrize('drop_path', [0.0, 0.3])
def test_factors_of_the_branches_count_in_training_and_in_evaluation(drop_path):
    """torch evaluates its layers by a fused kernel that knows no factors."""
    scaled, plain, x = build(depth=2, layer_scale=1e-4, drop_path=drop_path), build(depth=2), clips()
    factors = {name: p for name, p in scaled.named_parameters() if name.endswith('.scale')}
    assert len(factors) == 4 and all(p.unique().tolist() == [pytest.approx(1e-4)] for p in factors.values())
    scaled.load_state_dict(plain.state_dict(), strict=False)
    tokens = scaled.eval().tokens(x)
    with torch.no_grad():
        near = (scaled.layers(tokens) - tokens).norm() / tokens.norm()
        assert 0 < near < 1e-3
        for p in factors.values():
            p.fill_(1)
        torch.testing.assert_close(scaled(x), plain.eval()(x))
        factors['layers.1.dropout2.1.scale'].fill_(0.5)
        evaluated = scaled(x)
    assert not torch.allclose(evaluated, plain(x))
    if not drop_path:
        for module in scaled.train().modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        scaled.data_bn.eval()
        torch.testing.assert_close(scaled(x), evaluated)


@pytest.mark.parametrize(
    ('options', 'key'),
    [(dict(drop_path=1.0), 'drop_path'), (dict(position='cosine'), 'position'), (dict(layer_scale=0), 'layer_scale')],
)
def test_unknown_values_name_their_key(options, key):
    with pytest.raises(ConfigError, match=rf'model\.backbone\.{key}'):
        build(**options)
