from __future__ import annotations

import errno
import threading
from collections.abc import Sequence

import pytest

from node.store.journal.flush import GroupFlush
from tests.waiting import wait_for


class Gate:
    """Acts when it is let; remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.error: OSError | None = None

    def __call__(self, items: Sequence[int]) -> int:
        first = sum(map(len, self.batches))
        self.batches.append(list(items))
        self.entered.release()
        assert self.go.acquire(timeout=30)
        if self.error is not None:
            raise self.error
        return first


class Senders:
    def __init__(self, group: GroupFlush[int]) -> None:
        self.group = group
        self.answers: dict[int, int | OSError] = {}
        self.threads: list[threading.Thread] = []

    def start(self, item: int) -> None:
        thread = threading.Thread(target=self._submit, args=(item,))
        self.threads.append(thread)
        thread.start()

    def _submit(self, item: int) -> None:
        try:
            self.answers[item] = self.group.submit(item)
        except OSError as error:
            self.answers[item] = error

    def join(self) -> None:
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive()


def queued(group: GroupFlush[int]) -> int:
    return len(group._queue)


def test_all_who_came_during_a_flush_share_the_next_one() -> None:
    gate = Gate()
    group: GroupFlush[int] = GroupFlush(gate)
    senders = Senders(group)
    senders.start(0)
    assert gate.entered.acquire(timeout=30)
    for item in range(1, 8):
        senders.start(item)
    wait_for(lambda: queued(group) == 7, "seven wait")
    assert senders.answers == {}
    gate.go.release()
    assert gate.entered.acquire(timeout=30)
    gate.go.release()
    senders.join()
    assert len(gate.batches) == 2
    together = [item for batch in gate.batches for item in batch]
    assert {item: together.index(item) for item in range(8)} == senders.answers


def test_who_was_in_a_failed_flush_fails_and_the_others_do_not() -> None:
    gate = Gate()
    group: GroupFlush[int] = GroupFlush(gate)
    senders = Senders(group)
    senders.start(0)
    assert gate.entered.acquire(timeout=30)
    senders.start(1)
    senders.start(2)
    wait_for(lambda: queued(group) == 2, "two wait")
    gate.go.release()
    assert gate.entered.acquire(timeout=30)
    gate.error = OSError(errno.EIO, "bad")
    gate.go.release()
    senders.join()
    assert senders.answers[0] == 0
    for item in (1, 2):
        answer = senders.answers[item]
        assert isinstance(answer, OSError)
        assert answer.errno == errno.EIO
    gate.error = None
    gate.go.release()
    assert group.submit(3) == 3


def test_a_leader_that_is_interrupted_lets_nobody_wait_for_ever() -> None:
    class Interrupted(BaseException):
        pass

    def act(items: Sequence[int]) -> int:
        raise Interrupted

    group: GroupFlush[int] = GroupFlush(act)
    for _ in range(2):
        with pytest.raises(Interrupted):
            group.submit(1)


def test_many_threads_many_times() -> None:
    batches: list[int] = []
    positions: list[int] = []

    def act(items: Sequence[int]) -> int:
        first = sum(batches)
        batches.append(len(items))
        return first

    group: GroupFlush[int] = GroupFlush(act)

    def send() -> None:
        for item in range(200):
            positions.append(group.submit(item))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(positions) == list(range(1600))
