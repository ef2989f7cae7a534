"""SkeAttnCLR with ``negatives='matched'``: every candidate of a query is pooled under the query's own mask."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from skeattn.errors import ConfigError
from skeattn.models import SkeAttnCLR
from skeattn.models.encoder import FeatureMap
from skeattn.models.losses import InfoNCE, info_nce, matched_info_nce
from skeattn.registry import LOSSES
from tests.models.tiny import PARTS, batch, losses

TAU = 0.2
PREDICTOR = dict(type='MLP', hidden_channels=16, out_channels=8)


def skeattnclr(**changes):
    torch.manual_seed(0)
    return SkeAttnCLR(mhsam=dict(type='MHSAM', num_heads=4), **{**PARTS, 'negatives': 'matched', **changes})


def clips(n=5):
    """Views in double precision; the second person of every other clip is absent from all of them."""
    torch.manual_seed(1)
    views = {name: torch.randn(n, 2, 3, 16, 25).double() for name in ('query', 'key', 'mix')}
    for view in views.values():
        view[::2, 1] = 0
    return views


def feature_map(n=4, persons=2, pooling='mean'):
    values, weights = torch.randn(n, persons, 6, 3, 5).double(), torch.rand(n, persons).double()
    return FeatureMap(values, weights / weights.sum(dim=1, keepdim=True), pooling)


@pytest.mark.parametrize('pooling', ['mean', 'last'])
@pytest.mark.parametrize('persons', [1, 2])
def test_every_map_is_pooled_under_every_mask(persons, pooling):
    F = feature_map(4, persons, pooling)
    masks = torch.rand(3, *F.values.shape[1:]).double()
    pooled = F.pool_under(masks)
    expected = [F.pool(mask.expand_as(F.values)) for mask in masks]
    torch.testing.assert_close(pooled, torch.stack(expected), rtol=1e-12, atol=1e-12)
    rest = torch.stack([F.pool(1 - mask.expand_as(F.values)) for mask in masks])
    torch.testing.assert_close(F.pool() - pooled, rest, rtol=1e-12, atol=1e-12)


def test_autocast_does_not_round_the_masks():
    F = feature_map()
    masks = 0.5 - 1e-3 * torch.rand(F.values.shape)  # bfloat16 has nothing between 0.498 and 0.5
    low = F._replace(values=F.values.bfloat16(), persons=F.persons.float())
    exact = low._replace(values=low.values.double()).pool_under(masks.double())
    with torch.autocast('cpu', torch.bfloat16):
        pooled = low.pool_under(masks)
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled.double(), exact, rtol=1e-5, atol=1e-6)


def unit(x):
    return x / x.norm()


def slow_pool(values, weights, mask):
    """A sum over persons and positions, one term at a time."""
    M, C, T, V = values.shape
    total = torch.zeros(C, dtype=values.dtype)
    for m in range(M):
        for t in range(T):
            for v in range(V):
                total += weights[m] * values[m, :, t, v] * mask[m, :, t, v] / (T * V)
    return total


def slow_local_losses(model, inputs):
    """L_s and L_ns term by term; BatchNorm in evaluation mode, so that every row can be embedded alone."""
    F_mix, F_k = model.encoder_q.map(inputs['mix']), model.encoder_k.map(inputs['key'])
    mask = model.mhsam(F_mix.values, F_mix.persons > 0)
    N, found = len(mask), []

    def query(i, branch):
        half = mask[i] if branch == 's' else 1 - mask[i]
        g = model.encoder_q.projector(slow_pool(F_mix.values[i], F_mix.persons[i], half)[None])
        return unit(model.predictors[branch](g)[0] if model.predictors else g[0])

    for branch, other in (('s', 'ns'), ('ns', 's')):
        total = 0.0
        for i in range(N):
            half, q = mask[i] if branch == 's' else 1 - mask[i], query(i, branch)
            pooled = [slow_pool(F_k.values[j], F_k.persons[j], half) for j in range(N)]
            scores = [math.exp(q @ unit(model.encoder_k.projector(p[None])[0]) / TAU) for p in pooled]
            opposite = math.exp(q @ query(i, other) / TAU) if model.opposite_negative else 0.0
            total -= math.log(scores[i] / (sum(scores) + opposite)) / N
        found.append(total)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    'changes',
    [
        dict(),
        dict(persons='present'),
        dict(opposite_negative=False),
        dict(heads='released', predictor=PREDICTOR),
    ],
    ids=str,
)
def test_the_local_losses_are_those_of_a_slow_loop(changes):
    model, inputs = skeattnclr(**changes).double().eval(), clips()
    terms = model.loss(inputs)
    with torch.no_grad():
        L_s, L_ns = slow_local_losses(model, inputs)
    assert terms['L_s'].item() == pytest.approx(L_s, rel=1e-10)
    assert terms['L_ns'].item() == pytest.approx(L_ns, rel=1e-10)


def test_the_global_loss_and_the_queue_are_those_of_the_paper():
    data = batch()
    ours, paper = skeattnclr(), skeattnclr(negatives='queue')
    assert losses(ours, data)['L_global'] == losses(paper, data)['L_global']
    assert torch.equal(ours.queue.pending[0], paper.queue.pending[0])
    assert ours.state_dict().keys() == paper.state_dict().keys()


def test_a_mask_alone_does_not_identify_the_pair():
    """If all keys have the same map, every candidate fits equally well, whatever the masks."""
    terms = {}
    for negatives in ('queue', 'matched'):
        model, inputs = skeattnclr(negatives=negatives, opposite_negative=False).double().eval(), clips()
        inputs['key'] = inputs['key'][:1].expand_as(inputs['key'])
        terms[negatives] = model.loss(inputs)
    for name in ('L_s', 'L_ns'):
        assert terms['matched'][name].item() == pytest.approx(math.log(5), rel=1e-10)
        assert terms['queue'][name].item() != pytest.approx(math.log(5), abs=0.1)


def test_with_the_same_candidates_for_all_it_is_info_nce():
    torch.manual_seed(0)
    q, n = (normalize(torch.randn(3, 8).double()) for _ in range(2))
    keys = normalize(torch.randn(7, 8).double())
    positive = torch.tensor([4, 0, 6])
    expected = [
        info_nce(q[i, None], keys[p, None], keys[torch.arange(7) != p].T, TAU, n[i, None])
        for i, p in enumerate(positive.tolist())
    ]
    found = matched_info_nce(q, keys.expand(3, 7, 8), positive, TAU, n)
    torch.testing.assert_close(found, torch.stack(expected).mean())


def test_gradients_of_the_queries_are_exact():
    torch.manual_seed(0)
    q = torch.randn(3, 8, dtype=torch.double, requires_grad=True)
    candidates, n = normalize(torch.randn(3, 5, 8).double(), dim=2), normalize(torch.randn(3, 8).double())
    positive = torch.tensor([1, 2, 3])
    loss = InfoNCE(TAU)
    assert torch.autograd.gradcheck(lambda x: loss.matched(normalize(x), candidates, positive, n), q)


def test_the_gradient_is_that_of_the_query_side():
    """Along a direction of the projector's query copy, keys and opposite queries held as they are."""
    model, inputs = skeattnclr(opposite_negative=False).double().eval(), clips()
    model.loss(inputs)['L_s'].backward()
    torch.manual_seed(2)
    parameters = list(model.encoder_q.projector.parameters())
    steps = [torch.randn_like(p) for p in parameters]
    slope = sum((p.grad * step).sum() for p, step in zip(parameters, steps, strict=True)).item()
    values = []
    for size in (1e-5, -1e-5):
        with torch.no_grad():
            for p, step in zip(parameters, steps, strict=True):
                p.add_(size * step)
            model.queue.pending.clear()
            values.append(model.loss(inputs)['L_s'].item())
            for p, step in zip(parameters, steps, strict=True):
                p.sub_(size * step)
    assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


@pytest.mark.parametrize('heads', ['paper', 'released'])
def test_gradients_reach_every_query_parameter_and_no_key(heads):
    model = skeattnclr(heads=heads, predictor=PREDICTOR)
    losses(model, batch())['loss'].backward()
    for name, p in model.named_parameters():
        assert (p.grad is None) == name.startswith('encoder_k'), name


def test_the_choice_is_printed():
    assert skeattnclr(negatives='queue').paper_vs_release()['negatives'] == ('queue', 'paper (eq. 8, 9)')
    assert 'gather_maps' not in skeattnclr(negatives='queue').paper_vs_release()
    choices = skeattnclr(gather_maps=False).paper_vs_release()
    assert choices['negatives'][0] == 'matched' and choices['negatives'][1].startswith('ours')
    assert choices['gather_maps'] == (False, 'ours: candidates of one process')


def test_a_loss_without_matched_is_refused(monkeypatch):
    class Bare(nn.Module):
        """A loss with a queue of negatives only."""

    monkeypatch.setitem(LOSSES.module_dict, 'Bare', Bare)
    with pytest.raises(ConfigError, match=r'negatives="matched": Bare has no method matched'):
        skeattnclr(loss=dict(type='Bare'))
    skeattnclr(loss=dict(type='Bare'), negatives='queue')
