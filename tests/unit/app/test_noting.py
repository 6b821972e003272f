"""Uses are written by a thread, in their order; what cannot be written waits, and nothing more is done meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from node.app import noting
from node.app.noting import Noted, UsesLater
from node.domain.audit import Action, Use
from node.errors import StoreUnavailable
from tests.fakes.outbox import StandingClock
from tests.waiting import wait_for


class Log:
    def __init__(self) -> None:
        self.written: list[str] = []
        self.fails = False
        self.tried = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, some: Sequence[Noted]) -> None:
        assert self.go_on.wait(60)
        self.tried += 1
        if self.fails:
            raise StoreUnavailable("away")
        self.written += [f"{actor} {use.subject}" for _, actor, use in some]


def use(number: int) -> Use:
    return Use(Action.HOLDINGS_QUERIED, str(number))


def test_in_order_and_all_of_them() -> None:
    log = Log()
    uses = UsesLater(StandingClock(), log.write)
    for number in range(450):
        uses.note("ws", use(number))
    uses.close()
    assert log.written == [f"ws {number}" for number in range(450)]
    assert 3 <= log.tried <= 450


def test_what_cannot_be_written_waits() -> None:
    log = Log()
    log.fails = True
    uses = UsesLater(StandingClock(), log.write, try_again_s=0.01)
    uses.require()
    uses.note("ws", use(1))
    wait_for(lambda: log.tried > 2, "it is tried again", timeout_s=60)
    with pytest.raises(StoreUnavailable):
        uses.require()
    uses.note("ws", use(2))
    log.fails = False
    wait_for(lambda: log.written == ["ws 1", "ws 2"], "both are written", timeout_s=60)
    wait_for(lambda: _answers(uses), "who asks is answered again", timeout_s=60)
    uses.close()


def test_no_more_than_can_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noting, "MOST_WAITING", 2)
    log = Log()
    log.go_on.clear()
    uses = UsesLater(StandingClock(), log.write)
    uses.note("ws", use(1))
    uses.require()
    uses.note("ws", use(2))
    with pytest.raises(StoreUnavailable):
        uses.require()
    log.go_on.set()
    uses.close()
    assert log.written == ["ws 1", "ws 2"]


def test_closing_waits_for_nobody() -> None:
    log = Log()
    log.fails = True
    uses = UsesLater(StandingClock(), log.write, try_again_s=3600.0)
    uses.note("ws", use(1))
    wait_for(lambda: log.tried == 1, "it was tried", timeout_s=60)
    uses.close()
    assert log.written == []


def _answers(uses: UsesLater) -> bool:
    try:
        uses.require()
    except StoreUnavailable:
        return False
    return True
