"""The tables behind an ingest journal (``ports.ArrivalRecord``): rows in batches, each with its segment's position."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, and_, bindparam, delete, func, select, update

from node.database import associations
from node.database.alerts import Alert, raise_alerts
from node.database.recording import Holds, record_instances, trusted
from node.database.removals import to_be_freed
from node.database.statements import insert_new
from node.database.tables import alert, instance, journal_segment, removal, series
from node.database.unit_of_work import UnitOfWork
from node.domain.study import Arrival, Value
from node.ports import AssociationEnded, Batch, Clock, Recorded, Unrecorded
from node.ports.retention import Kept

# Stands for the journal as a whole: numbers of segments begin at 0.
WHOLE_JOURNAL = -1
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# A journal that gave no sign of life for so long (its host is gone) keeps no series open any more.
HELD_AT_MOST = timedelta(minutes=10)
# Alerts that are raised in the place of a row, and for a row without bytes.
INSTEAD_OF_A_ROW = ("instance_unreadable", "instance_not_recorded")
MISSING = "instance_missing"
PIECE = 500
_PLACE = ("journal_id", "segment")
# Built once: it is a part of every batch.
_MOVE = update(journal_segment).where(
    journal_segment.c.journal_id == bindparam("of_journal"),
    journal_segment.c.segment == bindparam("of_segment"),
    journal_segment.c.recorded == bindparam("after"),
)


class SqlArrivalRecord:
    """``holds`` says whether the bytes under a storage key are there."""

    def __init__(self, engine: Engine, clock: Clock, holds: Holds = trusted) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._holds = holds

    def recorded(self, journal_id: str) -> Mapping[int, int]:
        columns = (journal_segment.c.segment, journal_segment.c.recorded)
        wanted = select(*columns).where(
            journal_segment.c.journal_id == journal_id, journal_segment.c.segment != WHOLE_JOURNAL
        )
        with self._work.read() as connection:
            return {row.segment: row.recorded for row in connection.execute(wanted)}

    def record_batch(self, batch: Batch) -> Sequence[Recorded] | None:
        return self._work.write(lambda connection: self._record(connection, batch))

    def _record(self, connection: Connection, batch: Batch) -> Sequence[Recorded] | None:
        now = self._clock.now()
        if not _advance(connection, batch, now):
            return None
        associations.open_all(connection, {arrival.association.id: arrival.association for arrival in _arrivals(batch)})
        answers = record_instances(connection, [stored for _, stored in batch.instances], now, self._holds)
        for event in batch.others:
            if isinstance(event, AssociationEnded):
                associations.end(connection, event.association_id, event.how, event.at)
            else:
                associations.end_all_of(connection, event.receiver, event.at)
        raise_alerts(connection, [_alert(each) for each in batch.unrecorded], now)
        return answers

    def hold(self, journal_id: str, until: datetime | None = None) -> None:
        now = self._clock.now()
        self._work.write(lambda connection: _hold(connection, journal_id, until or NEVER, now))

    def release(self, journal_id: str) -> None:
        self._work.write(lambda connection: _forget(connection, journal_id, WHOLE_JOURNAL))

    def named(self, keys: Sequence[str]) -> frozenset[str]:
        wanted = select(instance.c.storage_key).where(instance.c.storage_key.in_(keys))
        with self._work.read() as connection:
            return frozenset(connection.execute(wanted).scalars())

    def keys_of_segment(self, segment: int) -> Sequence[str]:
        with self._work.read() as connection:
            wanted = select(instance.c.storage_key).where(instance.c.removed_at.is_(None), _among(connection, segment))
            return connection.execute(wanted).scalars().all()

    def unrecorded(self, keys: Sequence[str]) -> frozenset[str]:
        if not keys:
            return frozenset()
        # Alerts that stand for a row are few, and asked for only where rows are missing.
        wanted = select(alert.c.detail).where(alert.c.kind.in_(INSTEAD_OF_A_ROW))
        with self._work.read() as connection:
            details = connection.execute(wanted).scalars().all()
        return frozenset(keys) & {detail.get("storage_key") for detail in details}

    def miss(self, keys: Sequence[str]) -> None:
        self._in_pieces(keys, _miss)

    def free(self, keys: Sequence[str]) -> int:
        return self._in_pieces(keys, _free)

    def _in_pieces(self, keys: Sequence[str], step: Callable[[Sequence[str], datetime, Connection], int]) -> int:
        """One transaction for each piece; the sum of what they return."""
        pieces = [keys[at : at + PIECE] for at in range(0, len(keys), PIECE)]
        return sum(self._work.write(functools.partial(step, some, self._clock.now())) for some in pieces)

    def forget_segment(self, journal_id: str, segment: int) -> None:
        self._work.write(lambda connection: _forget(connection, journal_id, segment))


def recorded_until(connection: Connection, now: datetime) -> datetime | None:
    """As ``Catalogue.recorded_until``, over all journals that give signs of life."""
    held = and_(journal_segment.c.segment == WHOLE_JOURNAL, journal_segment.c.noted_at > now - HELD_AT_MOST)
    statement = select(func.min(journal_segment.c.recorded_until)).where(held)
    found: datetime | None = connection.execute(statement).scalar()
    return found


def _advance(connection: Connection, batch: Batch, now: datetime) -> bool:
    """Move the segment's position from ``after`` to ``upto``; False where it does not stand at ``after``."""
    values = {"recorded": batch.upto, "noted_at": now}
    place = {"journal_id": batch.journal_id, "segment": batch.segment}
    stands = {"of_journal": batch.journal_id, "of_segment": batch.segment, "after": batch.after}
    if batch.after == 0 and insert_new(connection, journal_segment, _PLACE, place | values):
        return True
    return connection.execute(_MOVE, values | stands).rowcount == 1


def _hold(connection: Connection, journal_id: str, until: datetime, now: datetime) -> None:
    values = {"recorded": 0, "recorded_until": until, "noted_at": now}
    place = {"journal_id": journal_id, "segment": WHOLE_JOURNAL}
    if not insert_new(connection, journal_segment, _PLACE, place | values):
        connection.execute(update(journal_segment).where(_at(journal_id, WHOLE_JOURNAL)).values(**values))


def _among(connection: Connection, segment: int) -> ColumnElement[bool]:
    """The storage keys of a segment, by the index on them: ``0`` follows ``/`` in the order of bytes.

    PostgreSQL's own comparison follows the language of the database; these operators, and the index, do not.
    """
    prefix = f"{segment:08x}"
    if connection.dialect.name == "postgresql":
        above = instance.c.storage_key.op("~>~", is_comparison=True)(f"{prefix}/")
        return and_(above, instance.c.storage_key.op("~<~", is_comparison=True)(f"{prefix}0"))
    return and_(instance.c.storage_key > f"{prefix}/", instance.c.storage_key < f"{prefix}0")


def _miss(keys: Sequence[str], now: datetime, connection: Connection) -> int:
    columns = (instance.c.sop_instance_uid, series.c.study_instance_uid, instance.c.storage_key)
    rows = connection.execute(select(*columns).join(series).where(instance.c.storage_key.in_(keys))).all()
    subjects = [row.sop_instance_uid for row in rows]
    before = select(alert.c.subject).where(alert.c.subject.in_(subjects), alert.c.kind == MISSING)
    known = frozenset(connection.execute(before).scalars())
    alerts: list[Alert] = [
        (MISSING, row.sop_instance_uid, {"study_instance_uid": row.study_instance_uid, "storage_key": row.storage_key})
        for row in rows
        if row.sop_instance_uid not in known
    ]
    raise_alerts(connection, alerts, now)
    return len(alerts)


def _free(keys: Sequence[str], now: datetime, connection: Connection) -> int:
    named = select(instance.c.storage_key).where(instance.c.storage_key.in_(keys))
    pending = select(removal.c.storage_key).where(removal.c.storage_key.in_(keys))
    kept = frozenset(connection.execute(named).scalars()) | frozenset(connection.execute(pending).scalars())
    freed = [key for key in keys if key not in kept]
    to_be_freed(connection, Kept.INSTANCES, freed, now)
    return len(freed)


def _forget(connection: Connection, journal_id: str, segment: int) -> None:
    connection.execute(delete(journal_segment).where(_at(journal_id, segment)))


def _at(journal_id: str, segment: int) -> ColumnElement[bool]:
    return and_(journal_segment.c.journal_id == journal_id, journal_segment.c.segment == segment)


def _arrivals(batch: Batch) -> Iterable[Arrival]:
    yield from (arrival for arrival, _ in batch.instances)
    yield from (each.arrival for each in batch.unrecorded)


def _alert(each: Unrecorded) -> Alert:
    arrival = each.arrival
    about: dict[str, Value] = {
        "study_instance_uid": arrival.study_instance_uid,
        "series_instance_uid": arrival.series_instance_uid,
        "calling_ae": arrival.association.calling_ae,
        "storage_key": each.stored.key,
    }
    return each.kind, arrival.sop_instance_uid, about | dict(each.detail)
