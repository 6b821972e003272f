"""Tables and journal compared, when the recorder has caught up after a start: what one has and the other has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from node.errors import StoreUnavailable
from node.ports import ArrivalJournal, ArrivalRecord, Batch, InstanceArrived, JournalEntry, Unrecorded
from node.receive.reading import Reader

log = structlog.get_logger()

# What a crash can leave half done stands in the newest segments; ``ainode store verify`` looks at all of them.
NEWEST = 64
PIECE = 500


@dataclass(slots=True)
class Counts:
    """Of segments looked at; of rows whose bytes are not there; of entries that needed a row, or none."""

    segments: int = 0
    missing: int = 0
    recorded: int = 0
    freed: int = 0


class Reconcile:
    def __init__(self, journal: ArrivalJournal, record: ArrivalRecord, reader: Reader) -> None:
        self._journal = journal
        self._record = record
        self._reader = reader

    def run(self, positions: Mapping[int, int]) -> Counts:
        """``positions``: up to which entry each segment is recorded. Alerts are raised for what is missing.

        A segment that the disk does not give is named in the log, and not counted.

        Raises:
            StoreUnavailable: the journal does not answer.
        """
        counts = Counts()
        for segment in sorted(self._journal.segments())[-NEWEST:]:
            try:
                self._segment(segment, positions.get(segment, 0), counts)
            except StoreUnavailable as error:
                log.error("store.not_reconciled", segment=segment, details=dict(error.details))
        return counts

    def gone(self, segment: int) -> int:
        """The segment is not there any more; how many rows name bytes that were in it."""
        keys = self._record.keys_of_segment(segment)
        self._record.miss(keys)
        return len(keys)

    def _segment(self, segment: int, recorded: int, counts: Counts) -> None:
        """Objects may be moved and freed meanwhile: what seems to be missing is looked for once more."""
        living = self._journal.living(segment)
        needed = frozenset(self._record.keys_of_segment(segment))
        missing = needed - living.arrived - living.copied
        if missing:
            now = self._journal.living(segment)
            missing = (missing - now.arrived - now.copied) & frozenset(self._record.keys_of_segment(segment))
            self._record.miss(sorted(missing))
        counts.segments += 1
        counts.missing += len(missing)
        lone = living.arrived - needed
        if lone:
            self._without_rows(segment, recorded, lone, counts)

    def _without_rows(self, segment: int, recorded: int, lone: frozenset[str], counts: Counts) -> None:
        """Those that once could not be recorded are tried again; the others need no row, and are freed (again)."""
        for at in range(0, recorded, PIECE):
            entries = self._journal.entries(segment, at, min(PIECE, recorded - at))
            events = [each for each in map(_arrived, entries) if each is not None and each.stored.key in lone]
            owed = self._record.unrecorded([event.stored.key for event in events])
            again = [event for event in events if event.stored.key in owed]
            counts.recorded += sum(self._try_again(segment, recorded, event) for event in again)
            counts.freed += self._record.free([event.stored.key for event in events if event.stored.key not in owed])

    def _try_again(self, segment: int, recorded: int, event: InstanceArrived) -> bool:
        """The position stays where it is: the entry lies before it."""
        (read,) = self._reader.read([event])
        if isinstance(read, Unrecorded):
            return False
        try:
            answers = self._record.record_batch(Batch(self._journal.id, segment, recorded, recorded, [read], ()))
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  edge: it stays as it was, and what comes in gets its rows
            log.error("record.unrecordable", storage_key=event.stored.key, error=type(error).__name__)
            return False
        return answers is not None


def _arrived(entry: JournalEntry) -> InstanceArrived | None:
    return entry.event if isinstance(entry.event, InstanceArrived) else None
