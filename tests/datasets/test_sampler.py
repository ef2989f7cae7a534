"""The order of training: reproducible, and the same for any number of processes."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.datasets import sampler as module
from skeattn.datasets.sampler import GlobalBatchSampler
from skeattn.errors import ConfigError


def batches(monkeypatch: pytest.MonkeyPatch, rank: int, world: int, clips: int, B: int, epoch: int = 0, **kw) -> list:
    monkeypatch.setattr(module, 'get_dist_info', lambda: (rank, world))
    sampler = GlobalBatchSampler(range(clips), batch_size=B, **kw)
    sampler.set_epoch(epoch)
    order, share = list(sampler), B // world
    assert len(order) == len(sampler)
    return [order[i : i + share] for i in range(0, len(order), share)]


@settings(deadline=None, max_examples=30)
@given(world=st.sampled_from([2, 3, 8]), share=st.integers(1, 5), clips=st.integers(40, 90), epoch=st.integers(0, 9))
def test_slices_of_all_processes_in_rank_order_are_the_batches_of_one_process(world, share, clips, epoch):
    with pytest.MonkeyPatch.context() as patch:
        alone = batches(patch, 0, 1, clips, world * share, epoch, seed=4)
        ranks = [batches(patch, r, world, clips, world * share, epoch, seed=4) for r in range(world)]
    assert [list(chain(*parts)) for parts in zip(*ranks, strict=True)] == alone


def test_an_epoch_holds_every_clip_at_most_once_and_only_whole_batches(monkeypatch):
    order = list(chain(*batches(monkeypatch, 0, 1, 26, 8)))
    assert len(order) == len(set(order)) == 24


def test_the_order_is_a_function_of_seed_and_epoch(monkeypatch):
    first = batches(monkeypatch, 0, 1, 26, 8, epoch=1, seed=0)
    assert first == batches(monkeypatch, 0, 1, 26, 8, epoch=1, seed=0)
    assert first != batches(monkeypatch, 0, 1, 26, 8, epoch=2, seed=0)
    assert first != batches(monkeypatch, 0, 1, 26, 8, epoch=1, seed=1)


def test_without_shuffling_the_order_is_the_data_sets(monkeypatch):
    assert list(chain(*batches(monkeypatch, 0, 1, 10, 4, shuffle=False))) == list(range(8))


def test_a_batch_larger_than_the_set_is_an_error_with_both_numbers(monkeypatch):
    with pytest.raises(ConfigError, match=r'batch_size=8 .* 7 clips'):
        batches(monkeypatch, 0, 1, 7, 8)


def test_a_batch_that_does_not_divide_among_the_processes_is_an_error(monkeypatch):
    with pytest.raises(ConfigError, match=r'batch_size=8 .* 3 processes'):
        batches(monkeypatch, 0, 3, 20, 8)
