"""Noise that a device computes from seeds."""

import pytest
import torch

from skeattn.augment.seeding import normal

SEEDS = torch.randint(2**62, (64,), generator=torch.Generator().manual_seed(0))


def test_values_are_standard_normal():
    z = normal(SEEDS, 20000).double()
    assert abs(z.mean()) < 4e-3 and z.std().item() == pytest.approx(1, abs=4e-3)
    for limit, share in ((1, 0.682689), (2, 0.954500), (3, 0.997300)):
        assert (z.abs() < limit).double().mean().item() == pytest.approx(share, abs=2e-3)
    assert z.isfinite().all() and 4 < z.abs().max() < 6
    assert abs((z**3).mean()) < 0.02 and (z**4).mean().item() == pytest.approx(3, abs=0.03)


def test_rows_and_neighbours_are_uncorrelated():
    z = normal(SEEDS, 20000).double()
    across = (z @ z.T / 20000).fill_diagonal_(0)
    assert across.abs().max() < 5 / 20000**0.5
    for lag in (1, 2, 3, 25, 64):
        assert abs((z[:, lag:] * z[:, :-lag]).mean()) < 4e-3


def test_near_seeds_have_nothing_in_common():
    z = normal(torch.arange(64), 20000).double()
    assert (z @ z.T / 20000).fill_diagonal_(0).abs().max() < 5 / 20000**0.5


def test_a_row_depends_on_its_seed_alone():
    """So one process with 2 B clips draws what two processes with B clips each draw."""
    whole = normal(SEEDS, 100)
    assert torch.equal(torch.cat([normal(SEEDS[:32], 100), normal(SEEDS[32:], 100)]), whole)
    assert torch.equal(normal(SEEDS, 40), whole[:, :40])


def test_the_numbers_behind_the_values_are_those_of_splitmix64():
    """SplitMix64 with seed 1234567: the first outputs of the reference implementation, cut to 23 bits."""
    words = torch.tensor([6457827717110365317, 3203168211198807973, 9817491932198370423 - 2**64, 4593380528125082431])
    uniform = ((words >> 41) & (2**23 - 1)).double().add(0.5) / 2**23
    expected = torch.erfinv(2 * uniform - 1) * 2**0.5
    torch.testing.assert_close(normal(torch.tensor([1234567]), 4)[0].double(), expected, rtol=1e-4, atol=1e-5)
