"""Dropped and added edges: rates, weights, mass, gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.errors import ConfigError
from skeattn.graph import adjacency
from skeattn.models import STGCN, DropAddEdges
from skeattn.registry import MODELS

GRAPHS = ('agcn', 'spatial')


def graph(strategy='agcn'):
    return torch.tensor(adjacency('ntu25', strategy))


def share(A, strategy='agcn', **rates):
    """Per call, the share of edges dropped and of absent entries that became edges."""
    edges, out = DropAddEdges(**rates), []
    for _ in range(300):
        changed, edge = edges(A) != 0, A != 0
        out.append((1 - changed[edge].double().mean(), changed[~edge].double().mean()))
    return torch.tensor(out).unbind(1)


@given(seed=st.integers(0, 10**6), strategy=st.sampled_from(GRAPHS), drop=st.floats(0, 0.5), add=st.floats(0, 0.5))
def test_each_subset_keeps_its_mass(seed, strategy, drop, add):
    torch.manual_seed(seed)
    A = graph(strategy)
    changed = DropAddEdges(drop, add)(A)
    torch.testing.assert_close(changed.sum(dim=(1, 2)), A.sum(dim=(1, 2)))
    assert (changed >= 0).all()


def test_rates_are_drawn_anew_up_to_their_limits():
    torch.manual_seed(0)
    dropped, added = share(graph(), drop=0.4, add=0.2)
    assert dropped.mean().item() == pytest.approx(0.2, abs=0.02) and dropped.max() > 0.35
    assert added.mean().item() == pytest.approx(0.1, abs=0.01) and 0.18 < added.max() < 0.23
    assert added.min() < 0.01
    correlation = torch.corrcoef(torch.stack([dropped, added]))[0, 1]
    assert abs(correlation) < 0.2


def test_only_dropping_and_only_adding():
    torch.manual_seed(0)
    A = graph()
    dropped, added = share(A, drop=0.4, add=0)
    assert dropped.max() > 0 and added.max() == 0
    dropped, added = share(A, drop=0, add=0.2)
    assert dropped.max() == 0 and added.max() > 0
    assert torch.equal(DropAddEdges(0, 0)(A), A)


@pytest.mark.parametrize('strategy', GRAPHS)
def test_an_added_edge_weighs_as_much_as_the_mean_edge(strategy):
    torch.manual_seed(1)
    A = graph(strategy)
    changed = DropAddEdges(drop=0, add=0.5)(A)
    for before, after in zip(A, changed, strict=True):
        edge = before != 0
        scale = after[edge] / before[edge]
        torch.testing.assert_close(scale, scale[:1].expand_as(scale))
        new = after[~edge & (after != 0)]
        torch.testing.assert_close(new, (before[edge].mean() * scale[0]).expand_as(new))


def test_weights_of_both_signs_keep_their_absolute_mass():
    torch.manual_seed(2)
    A = graph() * torch.randn(3, 25, 25, dtype=torch.float64)
    changed = DropAddEdges()(A)
    torch.testing.assert_close(changed.abs().sum(dim=(1, 2)), A.abs().sum(dim=(1, 2)))


def test_eval_mode_changes_nothing():
    A = graph()
    assert DropAddEdges(1, 1).eval()(A) is A


def test_a_subset_without_edges_stays_empty():
    torch.manual_seed(3)
    A = graph().float()
    A[1] = 0
    for _ in range(50):
        changed = DropAddEdges(drop=1, add=0)(A)
        assert changed.isfinite().all() and changed[1].abs().max() == 0


def test_random_from_torchs_generator_and_new_with_every_call():
    A, edges = graph(), DropAddEdges()
    torch.manual_seed(4)
    first, second = edges(A), edges(A)
    torch.manual_seed(4)
    assert torch.equal(edges(A), first) and not torch.equal(first, second)


def test_gradients_reach_the_edge_weights():
    torch.manual_seed(5)
    importance = torch.ones(3, 25, 25, dtype=torch.float64, requires_grad=True)

    def changed(E):
        torch.manual_seed(6)
        return DropAddEdges(0.3, 0.1)(graph() * E)

    kept = (changed(importance) != 0) & (graph() != 0)
    target = torch.rand(3, 25, 25, dtype=torch.float64)
    (grad,) = torch.autograd.grad((changed(importance) * target).sum(), importance)
    assert (grad[kept] != 0).all() and grad[graph() == 0].abs().max() == 0
    direction = torch.randn_like(importance) * 1e-6
    moved = ((changed(importance + direction) - changed(importance - direction)) * target).sum() / 2
    assert moved.item() == pytest.approx((grad * direction).sum().item(), rel=1e-6)


def test_every_block_of_stgcn_gets_its_own_edges():
    torch.manual_seed(7)
    seen = []
    edges = MODELS.build({'type': 'DropAddEdges', 'drop': 0.1, 'add': 0.05})
    edges.register_forward_hook(lambda module, args, out: seen.append(out))
    backbone = STGCN('ntu25', base_channels=4, out_channels=8)
    out = backbone(torch.randn(2, 2, 3, 8, 25), edges=edges)
    assert len(seen) == 10 and not any(torch.equal(seen[0], other) for other in seen[1:])
    out.sum().backward()
    assert all(E.grad.abs().sum() > 0 for E in backbone.edge_importance)


@pytest.mark.parametrize('rates', [{'drop': -0.1}, {'drop': 1.1}, {'add': 2}, {'add': -1}])
def test_rates_outside_their_range_are_refused(rates):
    with pytest.raises(ConfigError, match='rates must lie'):
        DropAddEdges(**rates)
