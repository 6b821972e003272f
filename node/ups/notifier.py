"""Tells subscribers, each in a thread of its own: one that is gone delays nobody else."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import datetime, timedelta

import structlog

from node.domain.retry import RetryPolicy
from node.errors import AinodeError, DeliveryError
from node.ports import Clock, StatusReporter, Subscriptions
from node.ups.watch import Watch

log = structlog.get_logger()

AT_ONCE = 50
LOOK_EVERY_S = 0.25
JOIN_S = 10.0
# Whoever takes its reports by itself and is further behind is as good as gone; looked at so often.
MOST_BEHIND = 10_000
LOOK_AT_FETCHERS_S = 5.0


class Notifier:
    """``give_up_s``: whoever has taken nothing for so long is dropped, with an alert.

    ``fetching`` are the AE titles that are told nothing here: they take it themselves, over an event channel.
    """

    def __init__(
        self,
        watch: Watch,
        subscriptions: Subscriptions,
        reporter: StatusReporter,
        clock: Clock,
        policy: RetryPolicy,
        give_up_s: float,
        fetching: Collection[str] = (),
    ) -> None:
        self._watch = watch
        self._subscriptions = subscriptions
        self._reporter = reporter
        self._clock = clock
        self._policy = policy
        self._give_up = timedelta(seconds=give_up_s)
        self._fetching = frozenset(fetching)
        self._busy: dict[str, threading.Thread] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, datetime] = {}

    def run(self, stop: threading.Event) -> None:
        """Until ``stop`` is set; what is not told then is told after the next start."""
        while not stop.wait(LOOK_EVERY_S):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  the notifier loop's edge: the tables are away, not the notifier
                log.error("ups.not_looked", error=type(error).__name__)
        for thread in list(self._busy.values()):
            thread.join(JOIN_S)

    def look(self) -> None:
        """Write down what is to be told, and start to tell whoever is not being told and may be tried."""
        self._watch.run_once()
        now = self._clock.now()
        for receiver in self._subscriptions.receivers():
            if receiver in self._busy or now < self._not_before.get(receiver, now):
                continue
            if receiver in self._fetching:
                self._judge(receiver, now)
                continue
            thread = threading.Thread(target=self._serve, args=(receiver,), name=f"tell {receiver}", daemon=True)
            self._busy[receiver] = thread
            thread.start()

    def _judge(self, receiver: str, now: datetime) -> None:
        """Drop whoever fetches and has not for too long."""
        behind = self._subscriptions.behind(receiver)
        is_gone = behind.since is not None and now - behind.since >= self._give_up
        if is_gone or behind.reports > MOST_BEHIND:
            self._drop(receiver)
        else:
            self._not_before[receiver] = now + timedelta(seconds=LOOK_AT_FETCHERS_S)

    def _drop(self, receiver: str) -> None:
        lost = self._subscriptions.drop(receiver)
        self._failures.pop(receiver, None)
        self._not_before.pop(receiver, None)
        log.error("ups.subscriber_dropped", reports=lost)

    def _serve(self, receiver: str) -> None:
        try:
            while self._tell(receiver):
                pass
        except Exception as error:  # noqa: BLE001  edge of a thread: it is tried again like a subscriber that is away
            log.error("ups.not_told", error=type(error).__name__)
            self._wait(receiver)
        finally:
            self._busy.pop(receiver, None)

    def _tell(self, receiver: str) -> bool:
        """Whether there may be more to tell at once."""
        waiting = self._subscriptions.waiting(receiver, AT_ONCE)
        if not waiting:
            return False
        try:
            taken = self._reporter(receiver, waiting)
        except DeliveryError as error:
            self._failed(receiver, waiting[0].created_at, error)
            return False
        self._subscriptions.told(waiting[:taken])
        self._failures.pop(receiver, None)
        self._not_before.pop(receiver, None)
        if taken < len(waiting):
            self._wait(receiver)
            return False
        return True

    def _failed(self, receiver: str, since: datetime, error: AinodeError) -> None:
        self._wait(receiver)
        log.warning("ups.not_told", error=error.code, failures=self._failures[receiver])
        if self._clock.now() - since >= self._give_up:
            self._drop(receiver)

    def _wait(self, receiver: str) -> None:
        failures = self._failures[receiver] = self._failures.get(receiver, 0) + 1
        self._not_before[receiver] = self._clock.now() + timedelta(seconds=self._policy.delay_s(failures, 1.0))
