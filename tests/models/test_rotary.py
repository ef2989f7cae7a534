"""The Transformer with rotary positions, a class token and registers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.errors import ConfigError
from skeattn.models.backbones import RotaryTransformer
from skeattn.models.backbones.rotary import RotaryBlock, rotated, rotations


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def encoder(**options):
    torch.manual_seed(0)
    backbone = RotaryTransformer('ntu25', **dict(dict(out_channels=16, depth=2, num_heads=2, patch=4), **options))
    for p in backbone.parameters():
        p.data += 0.2 * torch.randn_like(p)
    return backbone.double().eval()


@settings(deadline=None)
@given(seed=st.integers(0, 999), shift=st.integers(-20, 20))
def test_attention_depends_on_differences_of_time_alone(seed, shift):
    q, k, time = random(6, 8, seed=seed), random(6, 8, seed=seed + 1), torch.arange(6, dtype=torch.float64)

    def scores(times):
        turn = rotations(times, 8, 10_000.0)
        return rotated(q, turn.cos(), turn.sin()) @ rotated(k, turn.cos(), turn.sin()).T

    torch.testing.assert_close(scores(time + shift), scores(time), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(scores(0 * time), q @ k.T)
    assert not torch.allclose(scores(time), scores(2 * time))


def test_a_rotation_turns_pairs_of_the_two_halves():
    turn = rotations(torch.tensor([3.0], dtype=torch.float64), 4, 100.0)
    x = random(1, 4)
    out = rotated(x, turn.cos(), turn.sin())
    for i, rate in enumerate((1.0, 0.1)):
        c, s = math.cos(3 * rate), math.sin(3 * rate)
        a, b = x[0, i].item(), x[0, i + 2].item()
        assert out[0, i].item() == pytest.approx(a * c - b * s)
        assert out[0, i + 2].item() == pytest.approx(b * c + a * s)


def block_in_numpy(block, x, angles):
    """Pre-norm attention and SwiGLU for one person, token by token."""
    W = {name: p.detach().numpy() for name, p in block.named_parameters()}

    def norm(x, name):
        mean, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
        return (x - mean) / np.sqrt(var + 1e-6) * W[f'{name}.weight'] + W[f'{name}.bias']

    def linear(x, name):
        return x @ W[f'{name}.weight'].T + W[f'{name}.bias']

    d = x.shape[1] // block.num_heads
    q, k, v = np.split(linear(norm(x, 'norm1'), 'qkv'), 3, axis=1)
    out = np.zeros_like(x)
    for h in range(block.num_heads):
        part = slice(h * d, (h + 1) * d)

        def turned(x):
            one, two = x[:, : d // 2], x[:, d // 2 :]
            c, s = np.cos(angles), np.sin(angles)
            return np.concatenate([one * c - two * s, two * c + one * s], axis=1)

        scores = turned(q[:, part]) @ turned(k[:, part]).T / math.sqrt(d)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, part] = weights / weights.sum(axis=1, keepdims=True) @ v[:, part]
    x = x + linear(out, 'proj')
    gate, value = np.split(linear(norm(x, 'norm2'), 'gate'), 2, axis=1)
    return x + linear(gate / (1 + np.exp(-gate)) * value, 'out')


def test_a_block_is_the_one_written_out():
    torch.manual_seed(0)
    block = RotaryBlock(8, 2, 4.0).double()
    x, time = random(1, 6, 8), torch.tensor([0, 0, 1, 1, 2, 2], dtype=torch.float64)
    turn = rotations(time, 4, 10_000.0)
    ours = block(x, turn.cos(), turn.sin())[0]
    expected = block_in_numpy(block, x[0].numpy(), time.numpy()[:, None] * np.array([1.0, 0.01]))
    np.testing.assert_allclose(ours.detach().numpy(), expected, rtol=1e-10, atol=1e-12)
    assert RotaryBlock(256, 8, 4.0).out.in_features == 688


def test_class_token_and_registers_stand_without_position_before_the_tokens():
    backbone, x = encoder(), random(3, 1, 3, 16, 25)
    states = backbone.read(x)
    assert states.summary.shape == (3, 16) and states.tokens.shape == (3, 100, 16)
    tokens = backbone.tokens(x)
    whole = torch.cat([backbone.prefix.expand(3, -1, -1), tokens], dim=1)
    time = torch.cat([torch.zeros(5), torch.arange(4).repeat_interleave(25)]).double()
    turn = rotations(time, 8, 10_000.0)
    for layer in backbone.layers:
        whole = layer(whole, turn.cos(), turn.sin())
    whole = backbone.norm(whole)
    torch.testing.assert_close(states.summary, whole[:, 0])
    torch.testing.assert_close(states.tokens, whole[:, 5:])


def test_the_map_is_that_of_the_tokens():
    backbone, x = encoder(), random(2, 2, 3, 14, 25)
    F = backbone(x)
    assert F.shape == (2, 2, 16, 4, 25)
    tokens = backbone.read(x).tokens.view(2, 2, 4, 25, 16)
    assert torch.equal(F[1, 0, :, 2, 7], tokens[1, 0, 2, 7])


def test_a_token_is_its_patch_and_its_joint_and_a_masked_one_its_joint_alone():
    backbone, x = encoder(), random(2, 1, 3, 8, 25)
    masked = torch.zeros(2, 50, dtype=torch.bool)
    masked[0, 30] = True  # joint 5 of the second patch
    content = random(1, 16)
    tokens = backbone.tokens(x, masked, content)
    W = backbone.embed.weight[..., 0]
    expected = torch.einsum('dcu,cu->d', W, x[1, 0, :, 4:8, 5]) + backbone.embed.bias + backbone.joints[:, 0, 5]
    torch.testing.assert_close(tokens[1, 30], expected)
    torch.testing.assert_close(tokens[0, 30], content[0] + backbone.joints[:, 0, 5])
    assert torch.equal(tokens[0, :30], backbone.tokens(x)[0, :30])


def test_tokens_in_another_order_of_time_are_other_tokens():
    backbone, x = encoder(), random(1, 1, 3, 16, 25)
    turned = x.unflatten(3, (4, 4)).flip(3).flatten(3, 4)
    assert not torch.allclose(backbone.read(x).summary, backbone.read(turned).summary, atol=1e-6)


def test_every_parameter_has_a_layer():
    backbone = encoder()
    layers = {name.split('.')[0]: backbone.layer_of(name) for name, _ in backbone.named_parameters()}
    assert layers == {'joints': 0, 'prefix': 0, 'embed': 0, 'layers': 2, 'norm': 3}


def test_a_width_without_pairs_is_refused():
    with pytest.raises(ConfigError, match=r'out_channels=12 must be an even multiple of model\.backbone\.num_heads=4'):
        RotaryTransformer('ntu25', 12, num_heads=4)
