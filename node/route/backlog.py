"""Until when everything that was received has its rows, seen from the journal itself.

Who writes the rows says so while it is behind (``Catalogue.recorded_until``); who was killed a moment ago says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from node.ports import ArrivalJournal, ArrivalRecord, Clock

log = structlog.get_logger()

# An entry that nobody can record does not hold up every series for ever.
LONGEST = timedelta(minutes=10)


class Backlog:
    """Called over and over: what the journal held at one moment is compared with the rows until it has them all."""

    def __init__(self, journal: ArrivalJournal, record: ArrivalRecord, clock: Clock) -> None:
        self._journal = journal
        self._record = record
        self._clock = clock
        self._until = clock.now()
        self._seen: tuple[datetime, Mapping[int, int]] | None = None

    def recorded_until(self) -> datetime:
        """The latest moment known of which everything received before has its rows.

        Raises:
            StoreUnavailable: journal or database do not answer.
        """
        now = self._clock.now()
        there = self._journal.segments()
        if self._seen is None:
            self._seen = now, there
        seen_at, counts = self._seen
        recorded = self._record.recorded(self._journal.id)
        # A segment that is gone was recycled: nothing in it was waiting.
        waiting = any(recorded.get(number, 0) < count for number, count in counts.items() if number in there)
        if waiting and now - seen_at > LONGEST:
            log.error("route.backlog_ignored", since=seen_at.isoformat())
            waiting = False
        if not waiting:
            self._until, self._seen = seen_at, None
        return self._until
