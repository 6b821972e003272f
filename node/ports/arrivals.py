"""How what was received gets its rows: at once, or by following the journal in which it is durable already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from node.domain.study import Arrival, ByteRange, StoredInstance, Value
from node.ports.catalogue import Recorded
from node.ports.store import StoredObject


class Recording(Protocol):
    """What a receiver tells the record. Returns when it is durable, in a row or in the journal."""

    def instance(self, arrival: Arrival, stored: StoredObject, attributes: Callable[[], Mapping[str, Value]]) -> None:
        """``attributes`` gives the header facts when they are asked for.

        Raises:
            StoreUnavailable: the record does not answer: the sender may not be told Success.
        """
        ...

    def association_ended(self, association_id: str, how: str) -> None:
        """After its last instance. ``how``: ``released``, ``aborted`` or ``lost``."""
        ...

    def receiver_started(self, receiver: str) -> None:
        """What a receiver of that name left open when it died is over (``lost``)."""
        ...


@dataclass(frozen=True, slots=True)
class InstanceArrived:
    """``location`` is the Part 10 file; ``stored.sha256`` is empty: who records it computes it."""

    arrival: Arrival
    stored: StoredObject
    location: ByteRange


@dataclass(frozen=True, slots=True)
class AssociationEnded:
    association_id: str
    how: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ReceiverStarted:
    receiver: str
    at: datetime


Event = InstanceArrived | AssociationEnded | ReceiverStarted


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """``position`` counts from 0 in its segment. ``event`` is None for what needs no row (a copy, a torn entry)."""

    segment: int
    position: int
    event: Event | None


@dataclass(frozen=True, slots=True)
class LivingKeys:
    """The storage keys of objects that arrived in a segment, and of those that were copied into it."""

    arrived: frozenset[str]
    copied: frozenset[str]


class ArrivalJournal(Protocol):
    """The ingest journal as its follower sees it. Only what is durable appears; entries never change their order."""

    @property
    def id(self) -> str:
        """Names this journal among those of other hosts that share a database."""
        ...

    def recover(self) -> int:
        """Take over the segments of dead receivers: keep what is whole, drop what is torn; how many entries are new."""
        ...

    def segments(self) -> Mapping[int, int]:
        """The numbers of the segments that exist, ascending, and how many entries each has: a consistent moment.

        What a receiver wrote later stands in a higher segment, or later in the same one, but for large objects, which
        have segments of their own. If the end of an association is counted, so are all its instances.
        """
        ...

    def entries(self, segment: int, after: int, limit: int) -> Sequence[JournalEntry]:
        """Entries from position ``after`` on, as far as the last ``segments`` counted; none where it is gone."""
        ...

    def living(self, segment: int) -> LivingKeys:
        """Which objects of the segment are not deleted; none where it is gone."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Return when a receiver has something new, or after ``timeout_s``."""
        ...


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """An instance that gets no row: why, as the kind of the alert that is raised instead."""

    kind: str
    stored: StoredObject
    arrival: Arrival
    detail: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive entries of one segment, read and judged: from position ``after`` to before ``upto``.

    ``instances`` pairs each instance with its association's facts (in its ``Arrival``).
    """

    journal_id: str
    segment: int
    after: int
    upto: int
    instances: Sequence[tuple[Arrival, StoredInstance]]
    others: Sequence[AssociationEnded | ReceiverStarted]
    unrecorded: Sequence[Unrecorded] = ()


class ArrivalRecord(Protocol):
    """The catalogue as the journal's follower sees it."""

    def recorded(self, journal_id: str) -> Mapping[int, int]:
        """For each segment the position up to which its entries have their rows."""
        ...

    def record_batch(self, batch: Batch) -> Sequence[Recorded] | None:
        """All rows of the batch and its position, in one transaction: a batch is recorded once, whatever dies when.

        One answer for each instance, in order; None, and nothing is written, where the segment is not recorded up to
        ``batch.after``: another follower was there. The bytes of a duplicate are to be freed with the same transaction.
        """
        ...

    def hold(self, journal_id: str, until: datetime | None = None) -> None:
        """Entries wait: only what came before ``until`` (None: nothing for sure) has its row, until ``release``.

        Nobody may conclude from the rows alone that a sender is quiet (``Catalogue.recorded_until``). It is forgotten
        some minutes later, unless it is said again: a host that is gone for good holds nobody up.
        """
        ...

    def release(self, journal_id: str) -> None:
        """What was in the journal at the time of ``hold`` has its rows."""
        ...

    def named(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the storage ``keys`` that a row names."""
        ...

    def keys_of_segment(self, segment: int) -> Sequence[str]:
        """The storage keys of this segment whose bytes are needed, by the rows."""
        ...

    def unrecorded(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the storage ``keys`` for which an alert was raised instead of a row (``Batch.unrecorded``)."""
        ...

    def miss(self, keys: Sequence[str]) -> None:
        """An alert ``instance_missing`` for each, unless it was raised before: a row names bytes that are not there."""
        ...

    def free(self, keys: Sequence[str]) -> int:
        """Their bytes are to be freed, unless a row names them or they are about to be; how many."""
        ...

    def forget_segment(self, journal_id: str, segment: int) -> None:
        """The segment was recycled."""
        ...
