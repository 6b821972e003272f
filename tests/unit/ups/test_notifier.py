"""Subscribers that take nothing, take some, and come back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, cast

from node.domain.retry import RetryPolicy
from node.domain.workitem import Behind, EventType, Report
from node.errors import DestinationUnreachable
from node.ports import Subscriptions
from node.ups.notifier import LOOK_AT_FETCHERS_S, MOST_BEHIND, Notifier
from node.ups.watch import Watch
from tests.fakes.outbox import StandingClock
from tests.waiting import wait_for


class FakeSubscriptions:
    def __init__(self, clock: StandingClock) -> None:
        self.clock = clock
        self.queue: list[Report] = []
        self.dropped: list[str] = []

    def add(self, receiver: str, count: int = 1) -> None:
        for _ in range(count):
            number = len(self.queue)
            self.queue.append(Report(receiver, f"1.{number}", EventType.STATE, {}, self.clock.now(), number))

    def receivers(self) -> list[str]:
        return sorted({one.receiving_ae for one in self.queue})

    def waiting(self, receiver: str, limit: int) -> list[Report]:
        return [one for one in self.queue if one.receiving_ae == receiver][:limit]

    def told(self, reports: Sequence[Report]) -> None:
        self.queue = [one for one in self.queue if one not in reports]

    def behind(self, receiver: str) -> Behind:
        mine = self.waiting(receiver, 1 << 30)
        return Behind(len(mine), mine[0].created_at if mine else None)

    def drop(self, receiver: str) -> int:
        self.dropped.append(receiver)
        before = len(self.queue)
        self.queue = [one for one in self.queue if one.receiving_ae != receiver]
        return before - len(self.queue)


class Reporter:
    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.takes: int | None = None
        self.taken: list[str] = []
        self.asked: list[str] = []
        self.held = threading.Event()
        self.held.set()

    def __call__(self, receiver: str, reports: Sequence[Report]) -> int:
        self.asked.append(receiver)
        if receiver in self.gone:
            self.held.wait(60)
            raise DestinationUnreachable("gone")
        count = len(reports) if self.takes is None else self.takes
        self.taken += [one.workitem_uid for one in reports[:count]]
        return count


class NothingHappens:
    def run_once(self) -> int:
        return 0


def made() -> tuple[Notifier, FakeSubscriptions, Reporter, StandingClock]:
    clock = StandingClock()
    subscriptions, reporter = FakeSubscriptions(clock), Reporter()
    notifier = Notifier(
        cast(Watch, NothingHappens()),
        cast(Subscriptions, subscriptions),
        reporter,
        clock,
        RetryPolicy(base_s=10.0, cap_s=100.0),
        give_up_s=60.0,
        fetching=["DESK"],
    )
    return notifier, subscriptions, reporter, clock


def idle(notifier: Notifier) -> None:
    threads: dict[str, Any] = notifier._busy
    wait_for(lambda: not threads, "nobody is being told")


def test_one_that_hangs_delays_no_other() -> None:
    notifier, subscriptions, reporter, _ = made()
    reporter.gone = {"GONE"}
    reporter.held.clear()
    subscriptions.add("GONE")
    subscriptions.add("WATCHER", 120)
    notifier.look()
    wait_for(lambda: len(reporter.taken) == 120, "the other is told everything")
    notifier.look()
    assert reporter.asked.count("GONE") == 1
    reporter.held.set()
    idle(notifier)
    assert subscriptions.receivers() == ["GONE"]


def test_a_pause_after_each_failure_and_then_it_is_dropped() -> None:
    notifier, subscriptions, reporter, clock = made()
    reporter.gone = {"GONE"}
    subscriptions.add("GONE", 3)
    for asked, seconds in ((1, 9.0), (1, 1.0), (2, 19.0), (2, 1.0), (3, 30.0), (3, 10.0)):
        notifier.look()
        idle(notifier)
        assert (reporter.asked.count("GONE"), subscriptions.dropped) == (asked, [])
        clock.advance(seconds)
    notifier.look()
    idle(notifier)
    assert subscriptions.dropped == ["GONE"]
    assert subscriptions.queue == []


def test_what_was_not_taken_is_told_again_in_its_order() -> None:
    notifier, subscriptions, reporter, clock = made()
    subscriptions.add("WATCHER", 3)
    reporter.takes = 1
    notifier.look()
    idle(notifier)
    reporter.takes = None
    clock.advance(10.0)
    notifier.look()
    idle(notifier)
    assert reporter.taken == ["1.0", "1.1", "1.2"]
    assert subscriptions.queue == []


def test_whoever_fetches_is_told_nothing_and_dropped_when_it_does_not_come() -> None:
    notifier, subscriptions, reporter, clock = made()
    subscriptions.add("DESK", 2)
    for _ in range(11):
        notifier.look()
        assert (len(subscriptions.queue), subscriptions.dropped) == (2, [])
        clock.advance(LOOK_AT_FETCHERS_S)
    clock.advance(LOOK_AT_FETCHERS_S)
    notifier.look()
    assert (subscriptions.queue, subscriptions.dropped, reporter.asked) == ([], ["DESK"], [])


def test_whoever_fetches_too_little_is_dropped() -> None:
    notifier, subscriptions, _, clock = made()
    subscriptions.add("DESK", MOST_BEHIND)
    notifier.look()
    assert subscriptions.dropped == []
    subscriptions.add("DESK")
    clock.advance(LOOK_AT_FETCHERS_S)
    notifier.look()
    assert (subscriptions.queue, subscriptions.dropped) == ([], ["DESK"])
