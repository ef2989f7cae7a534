"""Scalars are read when somebody asks for them, and are those that mmengine would have read at once."""

import pytest
import torch
from mmengine.logging import MessageHub
from torch import Tensor

from skeattn.engine.message_hub import LateBuffer, LateMessageHub, hub_state, restore_hub


@pytest.fixture
def reads(monkeypatch):
    """The number of values of each read."""
    seen = []
    for name in ('tolist', 'item'):
        read = getattr(Tensor, name)
        monkeypatch.setattr(Tensor, name, lambda x, read=read: seen.append(x.numel()) or read(x))
    return seen


def filled(cls, name, values, start=0):
    hub = cls(name)
    for i, value in enumerate(values, start):
        hub.update_scalar('train/lr', 0.1 / (i + 1))
        hub.update_scalars({'train/loss': value, 'train/L': {'value': value * 2, 'count': 3}})
        hub.update_scalar('train/time', float(i))
    return hub


def test_a_history_is_mmengine_s_and_read_once(reads):
    values = list(torch.randn(7, requires_grad=True).mul(1).unbind())
    late = filled(LateMessageHub, 'late', values)
    assert reads == []
    assert late.get_scalar('train/time').current() == 6 and reads == []  # the timer asks for it in every step
    assert late.get_scalar('train/loss').mean(3) == late.get_scalar('train/loss').statistics('mean', 3)
    assert reads == [7]
    eager = filled(MessageHub, 'eager', [value.detach() for value in values])
    assert list(late.log_scalars) == list(eager.log_scalars)
    for key, buffer in eager.log_scalars.items():
        ours = late.get_scalar(key)
        assert [part.tolist() for part in ours.data] == [part.tolist() for part in buffer.data]
        assert (ours.min(), ours.max(), ours.current()) == (buffer.min(), buffer.max(), buffer.current())


def test_a_tensor_keeps_no_graph():
    buffer, value = LateBuffer(), torch.ones((), requires_grad=True) * 2
    buffer.update(value)
    assert buffer._late[0][0].grad_fn is None


def test_the_latest_values_are_kept():
    buffer = LateBuffer([1.0, 2.0], [1, 1], max_length=3)
    for value in (3.0, 4.0):
        buffer.update(torch.tensor(value), 2)
    assert [part.tolist() for part in buffer.data] == [[2, 3, 4], [1, 2, 2]]


def test_a_restored_hub_continues():
    values = torch.arange(6.0).unbind()
    whole, first = filled(LateMessageHub, 'whole', values), filled(LateMessageHub, 'first', values[:4])
    second = LateMessageHub('second')
    restore_hub(second, hub_state(first))
    for key, value in filled(LateMessageHub, 'rest', values[4:], start=4).log_scalars.items():
        for v, count in zip(*value.data, strict=True):
            second.update_scalar(key, torch.tensor(v), int(count))
    assert hub_state(second)['log_scalars'] == hub_state(whole)['log_scalars']


def test_mmengine_s_components_find_it():
    hub = LateMessageHub.get_instance('found by all')
    assert MessageHub.get_current_instance() is hub and MessageHub.get_instance('found by all') is hub
