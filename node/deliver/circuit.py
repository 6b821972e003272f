"""A circuit breaker: who does not answer is asked now and then, not once for every delivery that waits."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from node.errors import DeliveryError, DestinationBusy
from node.ports import Clock


@dataclass(frozen=True, slots=True)
class CircuitSettings:
    """Times in seconds. ``probe_cap_s``: how rarely at most somebody is asked who answers, and then takes nothing."""

    open_after: int = 3
    probe_every_s: float = 10.0
    probe_cap_s: float = 300.0


@dataclass(frozen=True, slots=True)
class CircuitState:
    """``failures`` in a row; since when it is open, because of what, and when it is looked again."""

    open: bool
    failures: int
    since: datetime | None = None
    error_code: str | None = None
    probe_at: datetime | None = None


class Circuit:
    """Of one destination; its senders share it, whatever thread they run in.

    CLOSED, everything is sent. After ``open_after`` failures in a row it is OPEN: nothing is sent, and one sender looks
    every ``probe_every_s`` whether somebody answers. If so it is closed on probation: the next failure opens it again,
    and it is then looked at half as often, for somebody who answers and takes nothing is as good as away.
    """

    def __init__(self, clock: Clock, settings: CircuitSettings = CircuitSettings()) -> None:
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._failures = 0
        self._relapses = 0
        self._state = CircuitState(False, 0)

    @property
    def state(self) -> CircuitState:
        with self._lock:
            return self._state

    def failed(self, error: DeliveryError) -> None:
        """Nobody could be sent anything."""
        with self._lock:
            now, before = self._clock.now(), self._state
            self._failures += 1
            wait_s = error.details.get("retry_after_s") if isinstance(error, DestinationBusy) else None
            if not isinstance(wait_s, int | float):
                wait_s = None
            is_open = before.open or wait_s is not None or self._failures >= self._settings.open_after
            if not is_open:
                self._state = CircuitState(False, self._failures, None, error.code)
                return
            if not before.open and before.since is not None:
                self._relapses += 1
            delay_s = min(self._settings.probe_cap_s, self._settings.probe_every_s * 2.0 ** min(self._relapses, 30))
            probe_at = now + timedelta(seconds=delay_s if wait_s is None else wait_s)
            self._state = CircuitState(True, self._failures, before.since or now, error.code, probe_at)

    def takes_probe(self) -> bool:
        """Whether the caller is to look now; nobody else then does so for a while."""
        with self._lock:
            now, state = self._clock.now(), self._state
            if not state.open or state.probe_at is None or now < state.probe_at:
                return False
            later = now + timedelta(seconds=self._settings.probe_every_s)
            self._state = CircuitState(True, state.failures, state.since, state.error_code, later)
            return True

    def answers(self) -> None:
        """A probe was answered: closed on probation."""
        with self._lock:
            state = self._state
            self._failures = self._settings.open_after - 1
            self._state = CircuitState(False, self._failures, state.since, state.error_code)

    def sent(self) -> None:
        """Something was sent, and answered."""
        with self._lock:
            self._failures = self._relapses = 0
            self._state = CircuitState(False, 0)
