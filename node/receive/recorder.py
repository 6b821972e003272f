"""Follows the ingest journal and writes the rows of what was received (``Recorder``), in batches.

What it reads is durable and was acknowledged; it alone gives it rows. It may be killed at any moment: a batch is
recorded wholly and once, and what follows is read again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from node.errors import AinodeError, StoreUnavailable
from node.ports import (
    ArrivalJournal,
    ArrivalRecord,
    AssociationEnded,
    Batch,
    InstanceArrived,
    JournalEntry,
    ReceiverStarted,
    Recorded,
    Unrecorded,
)
from node.ports.arrivals import Event
from node.receive.reading import Reader, unrecorded
from node.receive.reconcile import Reconcile

log = structlog.get_logger()

BATCH = 500
# So long the follower sleeps when nobody wakes it.
IDLE_S = 0.5
# Under load entries gather for so long, the longer the more of them came: a transaction costs the same for one and for
# fifty.
GATHER_S = 0.02
GATHER_MANY_S = 0.1
MANY = 3
RECOVER_EVERY_S = 5.0
HOLD_AGAIN_S = 60.0
# The first event of a segment is among so many entries, or it is as if nothing were known of its time.
FIRST_EVENTS = 16
RETRY_BASE_S = 0.1
RETRY_CAP_S = 5.0


class Recorder:
    """``waiting`` is the number of entries that were seen and have no rows yet."""

    def __init__(self, journal: ArrivalJournal, record: ArrivalRecord, reader: Reader) -> None:
        self._journal = journal
        self._record = record
        self._reader = reader
        self._reconcile = Reconcile(journal, record, reader)
        self._id = ""
        self._positions: dict[int, int] = {}
        self._unreadable: set[int] = set()
        self._gone = 0
        self._recovered = 0
        self._recovered_at = 0.0
        self._held = False
        self._held_until: datetime | None = None
        self._held_at = 0.0
        self.waiting = 0

    def run(self, stop: threading.Event) -> None:
        """Until ``stop`` is set. What fails is tried again, after longer and longer pauses."""
        failures = 0
        while not stop.is_set():
            try:
                self.start()
                self._follow(stop)
            except Exception as error:  # noqa: BLE001  edge: reception goes on, its rows come when this can write again
                failures = min(failures + 1, 10)
                code = error.code if isinstance(error, AinodeError) else type(error).__name__
                log.error("record.interrupted", error=code, failures=failures)
                stop.wait(min(RETRY_CAP_S, RETRY_BASE_S * 2.0**failures))

    def start(self) -> None:
        """Take over what the dead left, and find out where to go on.

        Raises:
            StoreUnavailable: journal or database do not answer.
        """
        self._id = self._journal.id
        self._journal.wait(0.0)  # from here on receivers call us
        self._hold(None)
        self._recovered = self._journal.recover()
        self._recovered_at = time.monotonic()
        self._positions = dict(self._record.recorded(self._id))

    def reconcile(self, recorded: int) -> None:
        """Say in one line what was found after a start, when all of it has its rows; ``recorded`` waited for them.

        Raises:
            StoreUnavailable: journal or database do not answer.
        """
        counts = self._reconcile.run(self._positions)
        tell = log.error if counts.missing or self._gone else log.info
        tell(
            "store.reconciled",
            recovered=self._recovered,
            recorded=recorded,
            segments=counts.segments,
            missing=counts.missing + self._gone,
            recorded_late=counts.recorded,
            freed=counts.freed,
        )
        self._gone = 0

    def _follow(self, stop: threading.Event) -> None:
        waited = self.catch_up(stop)
        if not stop.is_set():
            self.reconcile(waited)
        while not stop.is_set():
            began = time.monotonic()
            if recorded := self.catch_up(stop):
                gather_s = GATHER_S if recorded < MANY else GATHER_MANY_S
                stop.wait(max(0.0, gather_s - (time.monotonic() - began)))
            else:
                self._journal.wait(IDLE_S)
                self._recover_now_and_then()

    def _recover_now_and_then(self) -> None:
        """A receiver that is not started again leaves a segment to nobody."""
        if time.monotonic() - self._recovered_at > RECOVER_EVERY_S:
            self._journal.recover()
            self._recovered_at = time.monotonic()

    def catch_up(self, stop: threading.Event) -> int:
        """Record what the journal holds at this moment, from the oldest segment to the newest; how many entries.

        Raises:
            StoreUnavailable: journal or database do not answer; what was recorded so far stays.
        """
        counts = self._journal.segments()
        self._forget_recycled(counts)
        pending = [number for number, count in counts.items() if count > self._positions.get(number, 0)]
        self.waiting = sum(counts[number] - self._positions.get(number, 0) for number in pending)
        if self.waiting > BATCH:
            self._hold(self._oldest(pending))
        recorded = 0
        for number in pending:
            recorded += self._record_segment(number, counts[number], stop)
            if stop.is_set():
                return recorded
        self._release()
        return recorded

    def _record_segment(self, segment: int, count: int, stop: threading.Event) -> int:
        recorded = 0
        while (after := self._positions.get(segment, 0)) < count and not stop.is_set():
            entries = self._entries(segment, after, min(BATCH, count - after))
            if not entries:
                break  # the segment is gone, or cannot be read now
            self._record_entries(segment, after, entries)
            recorded += len(entries)
            self.waiting = max(0, self.waiting - len(entries))
            self._hold_again()
        return recorded

    def _entries(self, segment: int, after: int, limit: int) -> Sequence[JournalEntry]:
        """None where the disk does not give them: the other segments get their rows, and it is tried again."""
        try:
            entries = self._journal.entries(segment, after, limit)
        except StoreUnavailable as error:
            if segment not in self._unreadable:
                log.error("record.segment_unreadable", segment=segment, details=dict(error.details))
            self._unreadable.add(segment)
            return ()
        self._unreadable.discard(segment)
        return entries

    def _record_entries(self, segment: int, after: int, entries: Sequence[JournalEntry]) -> None:
        """One entry that cannot be recorded costs its own row and no other."""
        batch = self._batch(segment, after, entries)
        failure = self._try(batch)
        if failure is None:
            return
        if len(entries) > 1:
            middle = len(entries) // 2
            self._record_entries(segment, after, entries[:middle])
            self._record_entries(segment, after + middle, entries[middle:])
            return
        log.error("record.unrecordable", segment=segment, position=after, error=type(failure).__name__)
        arrived = [entry.event for entry in entries if isinstance(entry.event, InstanceArrived)]
        missing = [unrecorded("instance_not_recorded", event, failure) for event in arrived]
        self._take(Batch(batch.journal_id, segment, after, batch.upto, (), (), missing))

    def _try(self, batch: Batch) -> Exception | None:
        """What is wrong with it; a database that does not answer is not its fault."""
        try:
            self._take(batch)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  edge: whatever one is made of, those behind it get their rows
            return error
        return None

    def _take(self, batch: Batch) -> None:
        answers = self._record.record_batch(batch)
        if answers is None:
            log.warning("record.overtaken", segment=batch.segment, position=batch.after)
            self._positions = dict(self._record.recorded(self._id))
            return
        self._positions[batch.segment] = batch.upto
        _tell_conflicts(batch, answers)

    def _batch(self, segment: int, after: int, entries: Sequence[JournalEntry]) -> Batch:
        read = list(self._reader.read(entry.event for entry in entries if isinstance(entry.event, InstanceArrived)))
        return Batch(
            journal_id=self._id,
            segment=segment,
            after=after,
            upto=after + len(entries),
            instances=[each for each in read if not isinstance(each, Unrecorded)],
            others=[each.event for each in entries if isinstance(each.event, AssociationEnded | ReceiverStarted)],
            unrecorded=[each for each in read if isinstance(each, Unrecorded)],
        )

    def _forget_recycled(self, counts: Mapping[int, int]) -> None:
        """Nothing of a recycled segment is needed any more; one that is lost was not recycled."""
        for segment in self._positions.keys() - counts.keys():
            self._gone += self._reconcile.gone(segment)
            self._record.forget_segment(self._id, segment)
            del self._positions[segment]

    def _oldest(self, segments: Iterable[int]) -> datetime | None:
        """When the first entry that waits came; None where that is not known."""
        times = [self._first_time(segment) for segment in segments]
        return None if None in times else min((time for time in times if time is not None), default=None)

    def _first_time(self, segment: int) -> datetime | None:
        entries = self._entries(segment, self._positions.get(segment, 0), FIRST_EVENTS)
        return next((_time_of(entry.event) for entry in entries if entry.event is not None), None)

    def _hold(self, until: datetime | None) -> None:
        self._record.hold(self._id, until)
        self._held, self._held_until, self._held_at = True, until, time.monotonic()

    def _hold_again(self) -> None:
        if self._held and time.monotonic() - self._held_at > HOLD_AGAIN_S:
            self._hold(self._held_until)

    def _release(self) -> None:
        if self._held:
            self._record.release(self._id)
            self._held = False


def _time_of(event: Event) -> datetime:
    return event.arrival.received_at if isinstance(event, InstanceArrived) else event.at


def _tell_conflicts(batch: Batch, answers: Sequence[Recorded]) -> None:
    for (arrival, stored), answer in zip(batch.instances, answers, strict=True):
        if answer is Recorded.CONFLICT:
            log.warning("receive.conflict", sop_instance_uid=arrival.sop_instance_uid, storage_key=stored.storage_key)
