"""Queue, momentum, dropout, losses, mask and encoder: values, not shapes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import normalize

from skeattn.errors import ConfigError
from skeattn.models import MHSAM, STGCN, FeatureQueue, InfoNCE
from skeattn.models.dropout import Dropout
from skeattn.models.encoder import Encoder
from skeattn.models.momentum import MomentumUpdate, cosine_momentum, key_copy, momentum_update


@given(st.lists(st.integers(1, 7), min_size=1, max_size=12))
def test_queue_holds_the_last_keys_in_order_of_arrival(sizes):
    queue, K = FeatureQueue(size=7, channels=1), 7
    before = queue.keys.flatten().tolist()
    arrived = [float(i) for i in range(sum(sizes))]
    start = 0
    for size in sizes:
        queue.stage(torch.tensor(arrived[start : start + size])[:, None])
        queue.flush()
        start += size
    newest = dict(zip((i % K for i in range(len(arrived))), arrived, strict=True))
    assert queue.keys.flatten().tolist() == [newest.get(i, before[i]) for i in range(K)]
    assert int(queue.pointer) == len(arrived) % K


@given(st.lists(st.integers(1, 7), min_size=1, max_size=12))
def test_ids_stay_beside_their_keys_across_the_end_of_the_queue(sizes):
    queue, start = FeatureQueue(size=7, channels=1, with_ids=True), 0
    for size in sizes:
        arrived = torch.arange(start, start + size)
        queue.stage(arrived[:, None].double(), arrived)
        queue.flush()
        start += size
    named = queue.ids >= 0
    assert named.sum() == min(start, 7) and torch.equal(queue.keys[0, named].long(), queue.ids[named])
    assert sorted(queue.ids[named].tolist()) == list(range(max(0, start - 7), start)) and not queue.pending_ids


@given(st.lists(st.integers(0, 3), min_size=2, max_size=9), st.integers(0, 3), st.integers(0, 99))
def test_the_nearest_key_is_never_one_of_the_same_clip(ids, own, seed):
    generator = torch.Generator().manual_seed(seed)
    queue = FeatureQueue(size=len(ids), channels=2, with_ids=True)
    queue.enqueue(normalize(torch.randn(len(ids), 2, generator=generator)), torch.tensor(ids))
    x = normalize(torch.randn(1, 2, generator=generator))
    others = [i for i, clip in enumerate(ids) if clip != own]
    similarity = queue.similarity(x, torch.tensor([own]))[0]
    assert [i for i in range(len(ids)) if similarity[i] > -torch.inf] == others
    if others:
        best = max(others, key=lambda i: (x[0] @ queue.keys[:, i]).item())
        assert torch.equal(queue.nearest(x, torch.tensor([own]))[0], queue.keys[:, best])


def test_queue_refuses_a_batch_it_cannot_hold_and_keys_never_enqueued():
    queue = FeatureQueue(size=4, channels=2)
    with pytest.raises(ConfigError, match=r'model\.queue\.size=4'):
        queue.enqueue(torch.ones(5, 2))
    queue.stage(torch.ones(1, 2))
    with pytest.raises(ConfigError, match='QueueUpdateHook'):
        queue.stage(torch.ones(1, 2))


def test_queue_starts_with_unit_keys_and_travels_in_the_state():
    queue = FeatureQueue(size=8, channels=3)
    assert torch.allclose(queue.keys.norm(dim=0), torch.ones(8))
    assert set(queue.state_dict()) == {'keys', 'pointer'}


@pytest.mark.parametrize('buffers', [True, False])
def test_momentum_update_averages_parameters_and_on_request_statistics(buffers):
    query = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    key = key_copy(query)
    assert not any(p.requires_grad for p in key.parameters())
    old = {name: value.clone() for name, value in key.state_dict().items()}
    with torch.no_grad():
        for p in query.parameters():
            p.add_(1.0)
    query(torch.randn(4, 2))
    momentum_update(key, query, 0.75, buffers=buffers)
    new, target = key.state_dict(), query.state_dict()
    for name, value in new.items():
        moved = buffers or name in dict(query.named_parameters())
        if not value.is_floating_point():
            assert torch.equal(value, target[name] if buffers else old[name])
        else:
            expected = 0.75 * old[name] + 0.25 * target[name] if moved else old[name]
            assert torch.allclose(value, expected), name


def test_a_momentum_update_collects_its_tensors_once():
    query = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    key, other = key_copy(query), key_copy(query)
    update = MomentumUpdate(key, query)
    for step in range(3):
        query(torch.randn(4, 2))
        with torch.no_grad():
            query[0].weight.add_(1.0)
        update(0.75, buffers=step != 1)
        momentum_update(other, query, 0.75, buffers=step != 1)
        assert all(map(torch.equal, key.state_dict().values(), other.state_dict().values()))


def test_cosine_momentum_runs_from_base_to_one():
    assert cosine_momentum(0, 100, 0.996) == pytest.approx(0.996)
    assert cosine_momentum(50, 100, 0.996) == pytest.approx(0.998)
    assert cosine_momentum(100, 100, 0.996) == pytest.approx(1.0)


@pytest.mark.parametrize('channels_last', [True, False])
def test_dropout_zeroes_a_share_and_keeps_the_mean(channels_last):
    x = torch.ones(8, 16, 32, 20)
    x = x.to(memory_format=torch.channels_last) if channels_last else x
    drop = Dropout(0.25)
    torch.manual_seed(0)
    y = drop(x)
    assert y.stride() == x.stride()
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (y == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    torch.manual_seed(0)
    assert torch.equal(drop(x), y)
    assert drop.eval()(x) is x


def test_dropout_gradient_is_its_mask():
    x = torch.randn(4, 8, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert torch.allclose(x.grad * x, y)


@pytest.mark.parametrize('extra', [True, False])
def test_info_nce_equals_the_written_out_formula(extra):
    torch.manual_seed(0)
    q, k, n = (normalize(torch.randn(3, 4), dim=1) for _ in range(3))
    m = normalize(torch.randn(4, 5), dim=0)
    total = 0.0
    for i in range(3):
        positive = math.exp(float(q[i] @ k[i]) / 0.2)
        negatives = [math.exp(float(q[i] @ m[:, j]) / 0.2) for j in range(5)]
        if extra:
            negatives.append(math.exp(float(q[i] @ n[i]) / 0.2))
        total -= math.log(positive / (positive + sum(negatives))) / 3
    assert InfoNCE(0.2)(q, k, m, n if extra else None).item() == pytest.approx(total, rel=1e-5)


def test_mask_equals_written_out_attention_and_starts_near_one_half():
    torch.manual_seed(0)
    mhsam = MHSAM(channels=8, num_heads=2, lam=3.0)
    F = torch.randn(2, 1, 8, 3, 4)
    x = mhsam.norm(F[:, 0].flatten(2).transpose(1, 2))
    q, k, v = mhsam.qkv(x).chunk(3, dim=2)
    heads = []
    for h in (slice(0, 4), slice(4, 8)):
        attention = (q[..., h] @ k[..., h].transpose(1, 2) / 2).softmax(dim=-1)
        heads.append(attention @ v[..., h])
    expected = torch.sigmoid(3.0 * mhsam.proj(torch.cat(heads, dim=2))).transpose(1, 2).reshape(2, 1, 8, 3, 4)
    assert torch.allclose(mhsam(F), expected, atol=1e-6)

    fresh = MHSAM(channels=64)
    for layer in (fresh.qkv, fresh.proj):
        nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)
    assert (fresh(torch.randn(1, 1, 64, 16, 25)) - 0.5).abs().max() < 0.01


def test_mask_attends_to_present_persons_alone():
    mhsam, F = MHSAM(channels=8, num_heads=2), torch.randn(3, 2, 8, 3, 4)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    mask = mhsam(F, present)
    assert torch.allclose(mask[present], mhsam(F)[present], atol=1e-6)
    assert (mask[~present] == 0.5).all()


@pytest.mark.parametrize(('granularity', 'shared'), [('position', (2,)), ('joint', (2, 3)), ('frame', (2, 4))])
@pytest.mark.parametrize('joints', [1, 4])
def test_a_coarser_mask_is_the_mask_of_the_mean_logit(granularity, shared, joints):
    torch.manual_seed(0)
    fine, coarse = MHSAM(channels=8, num_heads=2), MHSAM(channels=8, num_heads=2, granularity=granularity)
    coarse.load_state_dict(fine.state_dict())
    F = torch.randn(3, 2, 8, 3, joints)
    logits = torch.logit(fine(F).double()) / 2  # lambda = 2
    mask = coarse(F)
    assert mask.shape == F.shape
    expected = torch.sigmoid(2 * logits.mean(dim=shared, keepdim=True)).expand_as(F).float()
    assert torch.allclose(mask, expected, atol=1e-6)
    assert len(mask.unique(dim=0)) == 3 and not torch.allclose(mask, fine(F), atol=1e-4)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    assert torch.allclose(coarse(F, present)[present], mask[present], atol=1e-6)
    (mask * F).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in coarse.parameters())


@pytest.mark.parametrize(('granularity', 'shape'), [('position', (3, 4)), ('joint', (1, 4)), ('frame', (3, 1))])
def test_granularities_agree_where_nothing_is_shared(granularity, shape):
    torch.manual_seed(0)
    F = torch.randn(2, 1, 1, *shape)  # one channel, which LN would make zero
    fine, coarse = (MHSAM(1, num_heads=1, norm_cfg=None, granularity=name) for name in ('channel', granularity))
    coarse.load_state_dict(fine.state_dict())
    assert torch.allclose(coarse(F), fine(F), atol=1e-6) and fine(F).unique().numel() > 1


def test_an_unknown_granularity_is_refused():
    with pytest.raises(ConfigError, match=r"model\.mhsam\.granularity='part'; choose one of channel, position"):
        MHSAM(channels=8, granularity='part')


def test_heads_must_divide_the_channels():
    with pytest.raises(ConfigError, match=r'model\.mhsam\.num_heads=8'):
        MHSAM(channels=12)


@pytest.mark.parametrize(
    ('layout', 'T', 'M', 'rows'), [('ntu25', 64, 2, 16), ('kinect20', 50, 1, 13), ('ntu25', 7, 3, 2)]
)
def test_stgcn_contract_for_any_layout_length_and_persons(layout, T, M, rows):
    model = STGCN(layout, base_channels=4, out_channels=12)
    V = model.layout.num_joints
    assert model(torch.randn(2, M, 3, T, V)).shape == (2, M, 12, rows, V)
    assert (model.out_channels, model.temporal_stride) == (12, 4)


def test_stgcn_treats_persons_alike_and_apart():
    model = STGCN('ntu25', base_channels=4, out_channels=8).eval()
    x = torch.randn(2, 2, 3, 16, 25)
    out = model(x)
    assert torch.allclose(model(x.flip(1)), out.flip(1), atol=1e-6)
    assert torch.allclose(model(x[:, :1]), out[:, :1], atol=1e-6)


def test_stgcn_names_layout_and_clip_when_they_disagree():
    with pytest.raises(
        ConfigError, match=r"layout 'kinect20' .20 joints.*, but the clips have 3 channels and 25 joints"
    ):
        STGCN('kinect20', base_channels=4)(torch.randn(1, 1, 3, 8, 25))


def encoder(persons):
    torch.manual_seed(0)
    backbone = dict(type='STGCN', layout='ntu25', base_channels=4, out_channels=8)
    return Encoder(backbone, dict(type='MLP', hidden_channels=8, out_channels=4), persons)


def test_absent_persons_are_averaged_as_released_or_left_out():
    x = torch.randn(3, 2, 3, 16, 25)
    x[1, 1] = 0
    everyone, present = encoder('all').eval(), encoder('present').eval()
    one = present.map(x[1:2, :1]).pool()
    empty = everyone.map(torch.zeros(1, 1, 3, 16, 25)).pool()
    assert torch.allclose(present.map(x).pool()[1:2], one, atol=1e-6)
    assert torch.allclose(everyone.map(x).pool()[1:2], (one + empty) / 2, atol=1e-6)
    assert torch.allclose(present.map(x).pool()[::2], everyone.map(x).pool()[::2], atol=1e-6)


def test_evaluation_encodes_one_absent_person_for_all_of_them():
    x = torch.randn(4, 2, 3, 16, 25)
    x[1:3, 1] = 0
    released = encoder('all').eval()
    assert torch.allclose(released.map(x).values, released.backbone(x), atol=1e-6)
    seen = []
    released.backbone.register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    released.map(x)
    assert seen == [6 + 1]


def test_salient_and_non_salient_pooling_add_up_to_the_global_feature():
    F = encoder('all').map(torch.randn(2, 2, 3, 16, 25))
    mask = torch.rand_like(F.values)
    assert torch.allclose(F.pool(mask) + F.pool(1 - mask), F.pool(), atol=1e-6)


@pytest.mark.parametrize('masked', [False, True])
def test_the_gradient_of_pooling_lies_in_memory_as_the_map_does(masked):
    """Otherwise all layers before read and write it out of order."""
    F = encoder('all').map(torch.randn(2, 2, 3, 16, 25))
    mask = torch.rand(2, 2, *F.values.shape[3:], 8).permute(0, 1, 4, 2, 3) if masked else None
    assert F.values.shape[2] == 8 and F.values.stride(2) == 1
    (gradient,) = torch.autograd.grad(F.pool(mask).square().sum(), F.values)
    assert gradient.stride() == F.values.stride()


def test_batch_statistics_are_those_of_all_persons_whatever_the_mode_of_the_encoder():
    """Kind G1: the flag ``training`` of a module stands for that of BN.

    Calibration puts BN in training inside an encoder in evaluation: absent persons count as often as they occur.
    """
    x = torch.randn(3, 2, 3, 16, 25)
    x[1:, 1] = 0
    expected, ours = encoder('all').eval(), encoder('all').eval()
    for module in (*expected.modules(), *ours.modules()):
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.train()
    with torch.no_grad():
        expected.backbone(x), ours.map(x)
    means = [name for name, _ in expected.backbone.named_buffers() if name.endswith('running_mean')]
    assert means
    for name in means:
        torch.testing.assert_close(ours.backbone.get_buffer(name), expected.backbone.get_buffer(name))
