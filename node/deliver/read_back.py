"""What a destination acknowledged is looked for there: STORED and COMMITTED are its word, READ BACK is what we saw.

In a thread of its own, with questions of its own: whoever answers them slowly, or not at all, delays no result.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from node.domain.delivery import Acknowledged
from node.domain.retry import Retry, RetryPolicy, decide
from node.errors import DeliveryError
from node.ports import Clock
from node.ports.read_back import Query, ReadBacks

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReadBackSettings:
    """Times in seconds. An archive may show what it took only after a while: ``patience_s`` from when it was stored.

    ``policy`` says how soon it is asked again, and how often one is asked who cannot be.
    """

    policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(max_attempts=100))
    patience_s: float = 300.0
    lease_s: float = 300.0
    limit: int = 50
    idle_s: float = 0.5


class Reader:
    """``run_once`` is one round of it, ``run`` the loop of a thread."""

    def __init__(
        self,
        query: Query,
        record: ReadBacks,
        clock: Clock,
        settings: ReadBackSettings = ReadBackSettings(),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._query = query
        self._record = record
        self._clock = clock
        self._settings = settings
        self._chance = chance
        self._log = log.bind(destination=query.name)

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                busy = self.run_once()
            except Exception:  # noqa: BLE001  the loop's edge: the table failed, the next round may not
                self._log.exception("read_back.round_failed")
                busy = False
            if not busy:
                stop.wait(self._settings.idle_s)

    def run_once(self) -> bool:
        """Look for what is due; whether there was anything."""
        waiting = self._record.claim(self._query.name, self._settings.lease_s, self._settings.limit)
        if not waiting:
            return False
        try:
            held = self._query.held(waiting)
        except DeliveryError as error:
            self._unanswered(waiting, error)
            return True
        seen = [one for one in waiting if one.sop_instance_uid in held]
        if seen:
            self._record.found(seen)
            self._log.info("read_back.done", instances=len(seen))
        for one in waiting:
            if one.sop_instance_uid not in held:
                self._not_found(one)
        return True

    def _unanswered(self, waiting: Sequence[Acknowledged], error: DeliveryError) -> None:
        for one in waiting:
            verdict = decide(error, one.tries, self._settings.policy, self._chance())
            if isinstance(verdict, Retry):
                self._record.ask_again(one, verdict.delay_s, error)
            else:
                self._record.unanswered(one, error)
        self._log.warning("read_back.unanswered", error_code=error.code, instances=len(waiting))

    def _not_found(self, one: Acknowledged) -> None:
        left_s = (one.stored_at + timedelta(seconds=self._settings.patience_s) - self._clock.now()).total_seconds()
        if left_s > 0:
            self._record.ask_again(one, min(left_s, self._settings.policy.delay_s(one.tries, self._chance())))
            return
        again = self._record.missing(one)
        self._log.error("read_back.missing", delivery=one.delivery_id, sent_again=again)
