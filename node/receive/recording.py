"""Two ways in which what was stored gets its rows (``ports.Recording``)."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import structlog

from node.domain.study import Arrival, Instance, StoredInstance, Value
from node.errors import StoreUnavailable
from node.ports import Catalogue, Clock, Recorded, StoredObject

log = structlog.get_logger()


class RecordNow:
    """A row before Success: for a store whose objects do not say by themselves how they came."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: set[str] = set()

    def instance(self, arrival: Arrival, stored: StoredObject, attributes: Callable[[], Mapping[str, Value]]) -> None:
        self._open(arrival)
        instance = stored_instance(arrival, stored, attributes())
        if self._catalogue.record(instance) is Recorded.CONFLICT:
            log.warning("receive.conflict", sop_instance_uid=arrival.sop_instance_uid, storage_key=stored.key)

    def association_ended(self, association_id: str, how: str) -> None:
        if association_id in self._known:
            self._catalogue.end_association(association_id, how)
            self._known.discard(association_id)

    def receiver_started(self, receiver: str) -> None:
        self._catalogue.end_associations_of(receiver)

    def _open(self, arrival: Arrival) -> None:
        facts = arrival.association
        if facts.id not in self._known:
            self._catalogue.open_association(
                facts.id, facts.calling_ae, facts.called_ae, facts.peer_host, facts.receiver
            )
            self._known.add(facts.id)


class Notes(Protocol):
    """What a journal takes besides instances; durable on return.

    Raises:
        StoreUnavailable: there is no room for it, or the disk failed.
    """

    def association_ended(self, association_id: str, how: str, at: datetime) -> None: ...

    def receiver_started(self, receiver: str, at: datetime) -> None: ...


class RecordLater:
    """The journal holds it durably already; whoever follows the journal writes the rows.

    Where the disk is full a note waits for the next instance that finds room: what it says of the past stays true.
    """

    def __init__(self, journal: Notes, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._guard = threading.Lock()
        self._known: set[str] = set()
        self._owed: list[Callable[[], None]] = []

    def instance(self, arrival: Arrival, stored: StoredObject, attributes: Callable[[], Mapping[str, Value]]) -> None:
        self._known.add(arrival.association.id)
        if self._owed:
            self._note()

    def association_ended(self, association_id: str, how: str) -> None:
        if association_id in self._known:
            self._known.discard(association_id)
            at = self._clock.now()
            self._note(functools.partial(self._journal.association_ended, association_id, how, at))

    def receiver_started(self, receiver: str) -> None:
        self._note(functools.partial(self._journal.receiver_started, receiver, self._clock.now()))

    def _note(self, *new: Callable[[], None]) -> None:
        """In their order, as far as it goes."""
        with self._guard:
            owed, self._owed = [*self._owed, *new], []
        try:
            while owed:
                owed[0]()
                del owed[0]
        except StoreUnavailable as error:
            log.warning("receive.note_waits", notes=len(owed), details=dict(error.details))
        finally:
            with self._guard:
                self._owed = owed + self._owed


def stored_instance(arrival: Arrival, stored: StoredObject, attributes: Mapping[str, Value]) -> StoredInstance:
    """The row of an instance that came."""
    return StoredInstance(
        instance=Instance(
            study_instance_uid=arrival.study_instance_uid,
            series_instance_uid=arrival.series_instance_uid,
            sop_class_uid=arrival.sop_class_uid,
            sop_instance_uid=arrival.sop_instance_uid,
            transfer_syntax_uid=arrival.transfer_syntax_uid,
            attributes=attributes,
        ),
        storage_key=stored.key,
        size=stored.size,
        sha256=stored.sha256,
        calling_ae=arrival.association.calling_ae,
        received_at=arrival.received_at,
        association_id=arrival.association.id,
    )
