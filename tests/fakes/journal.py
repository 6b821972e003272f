"""An in-memory ``ArrivalJournal`` whose objects lie in real files, and an in-memory ``ArrivalRecord``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from node.domain.study import Arrival, ByteRange, StoredInstance
from node.errors import StoreUnavailable
from node.ports import (
    AssociationEnded,
    Batch,
    InstanceArrived,
    JournalEntry,
    LivingKeys,
    ReceiverStarted,
    Recorded,
    StoredObject,
    Unrecorded,
)
from node.ports.arrivals import Event


class FakeJournal:
    """``add`` and ``note`` are the receivers. Segments in ``broken`` cannot be read."""

    id = "journal-1"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.events: dict[int, list[Event | None]] = {}
        self.freed: set[str] = set()
        self.copied: dict[int, set[str]] = {}
        self.to_recover = 0
        self.recoveries = 0
        self._counts: dict[int, int] = {}
        self.waits = 0
        self.broken: set[int] = set()

    def add(self, segment: int, arrival: Arrival, part10: bytes) -> InstanceArrived:
        position = len(self.events.setdefault(segment, []))
        path = self._folder / f"{segment}-{position}"
        path.write_bytes(b"before" + part10 + b"behind")
        event = InstanceArrived(
            arrival,
            StoredObject(f"{segment:08x}/{position:06x}", len(part10)),
            ByteRange(str(path), len(b"before"), len(part10)),
        )
        self.events[segment].append(event)
        return event

    def note(self, segment: int, event: AssociationEnded | ReceiverStarted | None) -> None:
        self.events.setdefault(segment, []).append(event)

    def recover(self) -> int:
        self.recoveries += 1
        found, self.to_recover = self.to_recover, 0
        return found

    def segments(self) -> Mapping[int, int]:
        self._counts = {segment: len(self.events[segment]) for segment in sorted(self.events)}
        return self._counts

    def entries(self, segment: int, after: int, limit: int) -> Sequence[JournalEntry]:
        if segment in self.broken:
            raise StoreUnavailable("the journal cannot be read", errno=5)
        events = self.events.get(segment, [])[: self._counts.get(segment, 0)]
        return [JournalEntry(segment, position, event) for position, event in enumerate(events)][after : after + limit]

    def living(self, segment: int) -> LivingKeys:
        if segment in self.broken:
            raise StoreUnavailable("the journal cannot be read", errno=5)
        arrived = [event.stored.key for event in self.events.get(segment, []) if isinstance(event, InstanceArrived)]
        return LivingKeys(frozenset(arrived) - self.freed, frozenset(self.copied.get(segment, ())))

    def wait(self, timeout_s: float) -> None:
        self.waits += 1


@dataclass
class FakeRecord:
    """``refuse`` is asked for every instance; the error it gives is raised instead of recording its batch."""

    rows: dict[str, StoredInstance] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    others: list[AssociationEnded | ReceiverStarted] = field(default_factory=list)
    alerts: list[Unrecorded] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    holds: list[datetime | None] = field(default_factory=list)
    held: bool = False
    errors: list[Exception] = field(default_factory=list)
    poison: dict[str, Exception] = field(default_factory=dict)

    def recorded(self, journal_id: str) -> Mapping[int, int]:
        return dict(self.positions)

    def record_batch(self, batch: Batch) -> Sequence[Recorded] | None:
        if self.errors:
            raise self.errors.pop(0)
        if self.positions.get(batch.segment, 0) != batch.after:
            return None
        for arrival, _ in batch.instances:
            if arrival.sop_instance_uid in self.poison:
                raise self.poison[arrival.sop_instance_uid]
        self.batches.append(batch)
        self.positions[batch.segment] = batch.upto
        self.alerts += batch.unrecorded
        self.others += batch.others
        return [self._take(arrival, stored) for arrival, stored in batch.instances]

    def _take(self, arrival: Arrival, stored: StoredInstance) -> Recorded:
        uid = arrival.sop_instance_uid
        same = [row for row in self.rows.values() if row.instance.sop_instance_uid == uid]
        if any(row.sha256 == stored.sha256 for row in same):
            return Recorded.DUPLICATE
        self.rows[stored.storage_key] = replace(stored, variant=len(same))
        self.arrivals.append(arrival)
        return Recorded.CONFLICT if same else Recorded.NEW

    def hold(self, journal_id: str, until: datetime | None = None) -> None:
        self.holds.append(until)
        self.held = True

    def release(self, journal_id: str) -> None:
        self.held = False

    def named(self, keys: Sequence[str]) -> frozenset[str]:
        return frozenset(keys) & self.rows.keys()

    def keys_of_segment(self, segment: int) -> Sequence[str]:
        return [key for key in self.rows if key.startswith(f"{segment:08x}/")]

    def unrecorded(self, keys: Sequence[str]) -> frozenset[str]:
        return frozenset(keys) & {alert.stored.key for alert in self.alerts}

    def miss(self, keys: Sequence[str]) -> None:
        self.missed += keys

    def free(self, keys: Sequence[str]) -> int:
        self.freed += keys
        return len(keys)

    def forget_segment(self, journal_id: str, segment: int) -> None:
        self.positions.pop(segment, None)
