"""Entries of an ingest journal as tests need them, and a catalogue whose instances come by one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Engine

from node.database.arrivals import SqlArrivalRecord
from node.database.catalogue import SqlCatalogue
from node.domain.study import Arrival, AssociationFacts, StoredInstance
from node.ports import AssociationEnded, Batch, Clock, ReceiverStarted, Recorded, Unrecorded

JOURNAL = "journal-1"
OPENED = datetime(2030, 1, 1, tzinfo=UTC)


def facts(association_id: str, receiver: str = "host/receive-0", opened_at: datetime = OPENED) -> AssociationFacts:
    return AssociationFacts(association_id, "CT1", "AINODE", "10.0.0.7", receiver, opened_at)


def arrival_of(stored: StoredInstance, association: AssociationFacts | None = None) -> Arrival:
    return Arrival(
        study_instance_uid=stored.instance.study_instance_uid,
        series_instance_uid=stored.instance.series_instance_uid,
        sop_class_uid=stored.instance.sop_class_uid,
        sop_instance_uid=stored.instance.sop_instance_uid,
        transfer_syntax_uid=stored.instance.transfer_syntax_uid,
        association=association or facts(stored.association_id or "nobody's"),
        received_at=stored.received_at,
        data_set_offset=132,
    )


def batch(
    *arrived: StoredInstance,
    segment: int = 1,
    after: int = 0,
    others: Sequence[AssociationEnded | ReceiverStarted] = (),
    unrecorded: Sequence[Unrecorded] = (),
    journal: str = JOURNAL,
    association: AssociationFacts | None = None,
) -> Batch:
    """Each instance and each event is an entry."""
    return Batch(
        journal_id=journal,
        segment=segment,
        after=after,
        upto=after + len(arrived) + len(others) + len(unrecorded),
        instances=[(arrival_of(stored, association), stored) for stored in arrived],
        others=others,
        unrecorded=unrecorded,
    )


class InBatches(SqlCatalogue):
    """Each instance is a batch, from a segment of its own."""

    def __init__(self, engine: Engine, clock: Clock, max_attempts: int) -> None:
        super().__init__(engine, clock, max_attempts)
        self._now = clock.now
        self._arrivals = SqlArrivalRecord(engine, clock)
        self._segments = itertools.count(1)

    def record(self, stored: StoredInstance) -> Recorded:
        answers = self._arrivals.record_batch(batch(stored, segment=next(self._segments)))
        assert answers is not None
        (answer,) = answers
        return answer

    def end_association(self, association_id: str, how: str) -> None:
        ended = AssociationEnded(association_id, how, self._now())
        self._arrivals.record_batch(batch(segment=next(self._segments), others=[ended]))
