"""Sinkhorn-Knopp, KoLeo and the head of prototypes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.models.losses import distillation, koleo, sinkhorn
from skeattn.models.necks import PrototypeHead

seeds = st.integers(0, 10_000)


def cosines(seed, rows, columns):
    return 2 * torch.rand(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


@settings(deadline=None)
@given(seed=seeds, N=st.integers(1, 12), K=st.integers(1, 12), temperature=st.floats(0.04, 1))
def test_assignments_of_each_row_and_of_each_prototype_have_equal_sums(seed, N, K, temperature):
    """In the limit; rows always."""
    logits = cosines(seed, N, K)
    Q = sinkhorn(logits, temperature, iterations=3)
    assert (Q >= 0).all()
    torch.testing.assert_close(Q.sum(dim=1), torch.ones(N, dtype=torch.float64))
    limit = sinkhorn(cosines(seed, N, K) / 10, temperature, iterations=300)
    torch.testing.assert_close(limit.sum(dim=0), torch.full((K,), N / K, dtype=torch.float64), rtol=1e-6, atol=0)
    torch.testing.assert_close(limit.sum(dim=1), torch.ones(N, dtype=torch.float64))


@settings(deadline=None)
@given(seed=seeds, N=st.integers(2, 12), K=st.integers(1, 9))
def test_rows_that_do_not_count_have_no_effect(seed, N, K):
    logits = cosines(seed, N, K)
    rows = torch.arange(N) % 2 == 0
    Q = sinkhorn(logits, 0.1, rows)
    assert not Q[~rows].any()
    torch.testing.assert_close(Q[rows], sinkhorn(logits[rows], 0.1))
    assert sinkhorn(logits, 0.1, torch.zeros_like(rows)).isfinite().all()


@given(seed=seeds)
def test_one_factor_for_a_prototype_changes_nothing(seed):
    """Its logits in all rows are raised alike, so equal use of the prototypes undoes it."""
    logits = cosines(seed, 6, 5)
    raised = logits + torch.linspace(-0.3, 0.3, 5, dtype=torch.float64)
    torch.testing.assert_close(sinkhorn(raised, 0.1), sinkhorn(logits, 0.1))


def test_sinkhorn_in_half_precision_is_computed_in_single_precision_and_has_no_gradient():
    logits = cosines(0, 6, 5).requires_grad_()
    Q = sinkhorn(logits.bfloat16(), torch.tensor(0.04))
    assert Q.dtype == torch.float32 and not Q.requires_grad


def test_cross_entropy_of_several_targets_is_the_sum():
    logits, targets = cosines(0, 4, 7), cosines(1, 8, 7).softmax(dim=1).view(2, 4, 7)
    each = [-(t * (logits / 0.1).log_softmax(dim=1)).sum(dim=1) for t in targets]
    torch.testing.assert_close(distillation(targets.sum(dim=0), logits, 0.1), sum(each))
    assert distillation(targets, logits, 0.1).shape == (2, 4)


@given(seed=seeds)
def test_the_gradient_of_koleo_by_finite_differences(seed):
    x = cosines(seed, 6, 4).requires_grad_()
    assert torch.autograd.gradcheck(koleo, (x,), eps=1e-7, atol=1e-4, rtol=1e-4)


def test_koleo_is_small_for_vectors_that_are_spread():
    corners = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    assert koleo(corners).item() == pytest.approx(-torch.tensor(2.0).sqrt().log().item(), abs=1e-6)
    torch.testing.assert_close(koleo(3 * corners), koleo(corners))
    crowded = corners[0] + 0.01 * cosines(0, 6, 3)
    assert koleo(crowded) > koleo(corners) + 2
    x = crowded.clone().requires_grad_()
    for _ in range(300):
        (gradient,) = torch.autograd.grad(koleo(x), x)
        x = (x - 0.01 * gradient).detach().requires_grad_()
    assert koleo(x) < koleo(crowded) - 2


def test_equal_vectors_give_a_finite_koleo_and_gradient():
    x = torch.ones(3, 4, requires_grad=True)
    koleo(x).backward()
    assert x.grad.isfinite().all() and koleo(torch.ones(1, 4)).isfinite()


def test_the_head_gives_cosines_whatever_the_length_of_its_prototypes():
    torch.manual_seed(0)
    head = PrototypeHead(6, hidden_channels=5, out_channels=4, prototypes=9).double()
    x = cosines(0, 7, 6)
    out = head(x.view(7, 1, 6)).detach()
    assert out.shape == (7, 1, 9) and out.abs().max() <= 1 + 1e-12
    expected = torch.cosine_similarity(head.layers(x)[:, None], head.prototypes, dim=2)
    torch.testing.assert_close(out[:, 0], expected.detach())
    head.prototypes.data *= 5
    torch.testing.assert_close(head(x).detach(), out[:, 0])
