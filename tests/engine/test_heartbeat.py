"""Who is named where waiting for another process cannot be interrupted; NCCL is replaced by a store in this process."""

import threading
from datetime import timedelta
from typing import Any

import pytest
import torch.distributed as dist
from mmengine.runner import Runner

from skeattn.engine import contact, heartbeat, runner
from skeattn.engine.heartbeat import Heartbeat
from skeattn.engine.runner import SkeAttnRunner


class Ended:
    """Takes the place of the end of a process."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.event = threading.Event()

    def __call__(self, message: str) -> None:
        self.messages.append(message)
        self.event.set()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, 'LOOK_S', 0.01)


def test_the_process_that_is_behind_is_named_by_the_others_and_not_by_itself() -> None:
    store, ended = dist.HashStore(), [Ended() for _ in range(3)]
    hearts = [Heartbeat(0.05, store, rank, 3, end) for rank, end in enumerate(ended)]
    for heart, beats in zip(hearts, (4, 2, 4), strict=True):
        for _ in range(beats):
            heart.beat()
    with hearts[1], hearts[0], hearts[2]:
        assert ended[0].event.wait(60) and ended[2].event.wait(60)
    named = 'process 1 of 3 does not answer: it hangs or has ended, see its output; process {} has waited 0 seconds'
    assert ended[0].messages == [named.format(0)] and ended[2].messages == [named.format(2)]
    assert not ended[1].messages


def test_an_iteration_that_is_long_for_all_ends_nothing() -> None:
    store, ended = dist.HashStore(), [Ended() for _ in range(2)]
    hearts = [Heartbeat(0.0, store, rank, 2, end) for rank, end in enumerate(ended)]
    for heart in hearts:
        heart.beat()
    looks = threading.Event()
    seen: list[str | None] = []

    def look(behind=hearts[0]._behind) -> str | None:
        seen.append(behind())
        if len(seen) == 5:
            looks.set()
        return seen[-1]

    hearts[0]._behind = look
    with hearts[0], hearts[1]:
        assert looks.wait(60)
    assert seen[:5] == [None] * 5 and not ended[0].messages and not ended[1].messages


def test_a_store_that_is_gone_ends_the_process_with_a_message() -> None:
    class Gone:
        def set(self, key: str, value: str) -> None:
            raise RuntimeError('Connection reset by peer')

    ended = Ended()
    with Heartbeat(0.0, Gone(), 1, 2, ended):
        assert ended.event.wait(60)
    assert ended.messages == ['process 1 of 2 has lost contact with process 0, which has ended']


def test_beside_gloo_the_backend_waits_longer_than_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """NCCL ends a process without naming anybody, so it comes last."""
    waits: list[float] = []
    store = dist.HashStore()
    monkeypatch.setattr(contact, 'get_world_size', lambda: 2)
    monkeypatch.setattr(contact.dist, 'get_backend', lambda: 'nccl')
    monkeypatch.setattr(contact.dist, 'barrier', lambda group: waits.append(0))
    monkeypatch.setattr(
        contact.distributed_c10d, '_set_pg_timeout', lambda wait: waits.append(wait / timedelta(seconds=1))
    )
    monkeypatch.setattr(contact.distributed_c10d, '_get_default_store', lambda: store)
    with contact.brief_waiting(60, 1800, 'the group') as further:
        heart: Any = further.__self__  # type: ignore[attr-defined]
        further()
        assert heart.seconds == 60 + contact.ANSWER_S and heart._count == 1
    assert waits == [0, 60 + 3 * contact.ANSWER_S, 1800]


@pytest.mark.parametrize(('dist_cfg', 'expected'), [({'backend': 'nccl'}, 1800), ({'timeout': 77}, 77), (None, 1800)])
def test_the_timeout_of_the_config_holds_for_nccl(monkeypatch: pytest.MonkeyPatch, dist_cfg, expected) -> None:
    passed: list[Any] = []
    monkeypatch.setattr(runner, 'default_device', lambda: 'cuda')
    monkeypatch.setattr(runner.torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setattr(Runner, 'setup_env', lambda self, env_cfg: passed.append(env_cfg['dist_cfg']))
    one: Any = SkeAttnRunner.__new__(SkeAttnRunner)
    one._distributed, one._timestamp = True, 'now'
    one.setup_env({'dist_cfg': dist_cfg} if dist_cfg else {})
    assert passed == [{**(dist_cfg or {}), 'timeout': expected}]
