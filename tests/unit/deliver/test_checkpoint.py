"""The gate holds whoever is behind it, at once and every time."""

from __future__ import annotations

import threading
import time

from node.deliver.checkpoint import Checkpoint

TIMES = 400


class Reactor(threading.Thread):
    """As the loop of pynetdicom's association: it takes what lies there whenever it is let through."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.checkpoint = Checkpoint(self)
        self.box: list[int] = []
        self.taken = 0
        self.over = False

    def run(self) -> None:
        while not self.over:
            self.checkpoint.wait()
            time.sleep(0.0005)  # let through, it takes its time
            while self.box:
                self.box.pop()
                self.taken += 1


def test_nothing_is_taken_while_the_gate_is_closed() -> None:
    reactor = Reactor()
    reactor.start()
    for number in range(TIMES):
        reactor.checkpoint.clear()
        reactor.box.append(number)
        time.sleep(0.001)
        assert reactor.box.pop() == number
        reactor.checkpoint.set()
        time.sleep(0.0002 * (number % 2))
    reactor.over = True
    reactor.join(60.0)
    assert reactor.taken == 0


def test_a_thread_that_has_ended_keeps_nobody_waiting() -> None:
    reactor = Reactor()
    reactor.over = True
    reactor.start()
    reactor.join(60.0)
    reactor.checkpoint.clear()


def test_a_thread_that_ends_meanwhile_keeps_nobody_waiting() -> None:
    sleeper = threading.Thread(target=time.sleep, args=(0.2,))
    gate = Checkpoint(sleeper)
    sleeper.start()
    gate.clear()
    assert not sleeper.is_alive()


def test_the_reactor_itself_closes_the_gate() -> None:
    """It aborts or releases its own association: it cannot stand at the gate at the same time."""
    gates: list[Checkpoint] = []
    closed = threading.Event()

    def close() -> None:
        gates[0].clear()
        closed.set()

    reactor = threading.Thread(target=close)
    gates.append(Checkpoint(reactor))
    reactor.start()
    reactor.join(60.0)
    assert closed.is_set()


def test_it_goes_on_when_the_gate_opens() -> None:
    reactor = Reactor()
    reactor.start()
    reactor.checkpoint.clear()
    reactor.box.append(1)
    reactor.checkpoint.set()
    deadline = time.monotonic() + 60.0
    while reactor.taken == 0:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    reactor.over = True
