"""Bytes that are to be freed (``ports.Removals``): written down in the transaction that took their last row away, or
before they were put, for a job that may end without naming them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, Row, and_, delete, exists, insert, or_, select, update

from node.database.statements import beside, insert_new
from node.database.tables import association, instance, job, removal, result, series, series_association, study
from node.database.unit_of_work import UnitOfWork
from node.domain.job import JobState
from node.domain.result import report_key_of
from node.domain.study import SeriesState, StoredInstance
from node.errors import StoreError
from node.ports import Clock
from node.ports.retention import Freed, Kept

log = structlog.get_logger()

# A run of the job is under way, or the try to write a document about it that announced the object.
_IS_WRITTEN = or_(
    job.c.state == JobState.IN_PROGRESS,
    and_(job.c.document_due_at.is_not(None), job.c.document_attempt == removal.c.document_attempt),
)
# What an ended job announced goes, whenever it was put.
WHENEVER = datetime.max.replace(tzinfo=UTC)


class SqlRemovals:
    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def free(self, kept: Kept, delete: Callable[[str, datetime], None], limit: int, after: int = 0) -> Freed:
        # Looked at first without the right to write: most of the time there is nothing.
        with self._work.read() as connection:
            if not _pending(connection, kept, after, 1):
                return Freed(0, 0, None)
        return self._work.write(lambda connection: _free(connection, kept, delete, limit, after))


class SqlRelocation:
    """``ports.Relocation``"""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock

    def in_use(self, keys: Sequence[str]) -> bool:
        with self._work.read() as connection:
            return _in_use(connection, keys)

    def move(self, key: str, new_key: str) -> bool:
        return self._work.write(lambda connection: _move(connection, key, new_key, self._clock.now()))


def to_be_freed(connection: Connection, kept: Kept, keys: Iterable[str], now: datetime) -> None:
    """No row names these objects any more when this transaction commits."""
    values = [{"kept": kept, "storage_key": key, "removed_at": now} for key in keys]
    if values:
        connection.execute(insert(removal), values)


def announce(
    connection: Connection, job_id: int, keys: Sequence[str], now: datetime, document_attempt: int | None = None
) -> None:
    """The job, or a try to write a document about it, is about to put these results. Whoever frees one of them just now
    is waited for: what is put after this transaction stays as long as the job, or the try, is in progress.
    """
    by = {"job_id": job_id, "document_attempt": document_attempt}
    wanted = and_(removal.c.kept == Kept.RESULTS, removal.c.storage_key.in_(keys))
    returning = update(removal).where(wanted).values(**by).returning(removal.c.storage_key)
    known = frozenset(connection.execute(returning).scalars())
    values = [{"kept": Kept.RESULTS, "storage_key": key, "removed_at": now, **by} for key in keys if key not in known]
    if values:
        connection.execute(insert(removal), values)


def _move(connection: Connection, key: str, new_key: str, now: datetime) -> bool:
    if _in_use(connection, [key]):
        return False
    there = and_(instance.c.storage_key == key, instance.c.removed_at.is_(None))
    moved = connection.execute(update(instance).where(there).values(storage_key=new_key)).rowcount
    if moved:
        to_be_freed(connection, Kept.INSTANCES, [key], now)
    return moved > 0


def _in_use(connection: Connection, keys: Sequence[str]) -> bool:
    studies = select(series.c.study_instance_uid).join(instance).where(instance.c.storage_key.in_(keys)).distinct()
    under_way = and_(job.c.study_instance_uid.in_(studies), beside(job.c.state) == JobState.IN_PROGRESS)
    return connection.execute(select(job.c.id).where(under_way).limit(1)).first() is not None


def restore(connection: Connection, stored: StoredInstance) -> bool:
    """Whether these very bytes were removed by retention: their row then names the new ones.

    They were judged already, so nothing is judged anew; but they are kept as long as anything else that came today.
    """
    gone = and_(
        instance.c.sop_instance_uid == stored.instance.sop_instance_uid,
        instance.c.sha256 == stored.sha256,
        instance.c.removed_at.is_not(None),
    )
    values = {
        "storage_key": stored.storage_key,
        "size": stored.size,
        "removed_at": None,
        "calling_ae": stored.calling_ae,
        "association_id": stored.association_id,
        "received_at": stored.received_at,
    }
    returning = update(instance).where(gone).values(**values).returning(instance.c.series_id)
    series_id = connection.execute(returning).scalar()
    if series_id is None:
        return False
    _tell_series(connection, series_id, stored)
    # A store that names objects by their content has just written over what was to be freed.
    same = and_(removal.c.kept == Kept.INSTANCES, removal.c.storage_key == stored.storage_key)
    connection.execute(delete(removal).where(same))
    touched = update(study).where(study.c.study_instance_uid == stored.instance.study_instance_uid)
    connection.execute(touched.values(updated_at=stored.received_at, retain_at=None))
    return True


def _tell_series(connection: Connection, series_id: int, stored: StoredInstance) -> None:
    """A series that receives waits for what comes with these bytes; a closed one is not reopened by them."""
    earlier = and_(series.c.id == series_id, series.c.last_instance_at < stored.received_at)
    receiving = series.c.state == SeriesState.RECEIVING
    connection.execute(update(series).where(earlier, receiving).values(last_instance_at=stored.received_at))
    known = select(association.c.id).where(association.c.id == stored.association_id)
    if connection.execute(known).first() is not None:
        values = {"series_id": series_id, "association_id": stored.association_id}
        insert_new(connection, series_association, ("series_id", "association_id"), values)


def _free(
    connection: Connection, kept: Kept, delete_object: Callable[[str, datetime], None], limit: int, after: int
) -> Freed:
    pending = _pending(connection, kept, after, limit, locked=True)
    # Asked once the rows are ours: who announces or names one of them now waits, or has done so.
    busy = _under_way(connection, [row.id for row in pending if row.job_id is not None])
    over = [row for row in pending if row.id not in busy]
    named = _named(connection, kept, [row.storage_key for row in over])
    done, failed = [], 0
    for row in over:
        try:
            if row.storage_key not in named:
                delete_object(row.storage_key, row.removed_at if row.job_id is None else WHENEVER)
            done.append(row.id)
        except StoreError as error:
            failed += 1
            log.warning("removal.failed", storage_key=row.storage_key, error=error.code)
    connection.execute(delete(removal).where(removal.c.id.in_(done)))
    return Freed(len(done), failed, pending[-1].id if len(pending) == limit else None)


def _pending(
    connection: Connection, kept: Kept, after: int, limit: int, locked: bool = False
) -> Sequence[Row[*tuple[Any, ...]]]:
    under_way = exists().where(job.c.id == removal.c.job_id, _IS_WRITTEN)
    wanted = select(removal).where(removal.c.kept == kept, removal.c.id > after, ~under_way)
    wanted = wanted.order_by(removal.c.id).limit(limit)
    return connection.execute(wanted.with_for_update(skip_locked=True) if locked else wanted).all()


def _under_way(connection: Connection, removal_ids: Sequence[int]) -> frozenset[int]:
    if not removal_ids:
        return frozenset()
    announced = select(removal.c.id).join(job, job.c.id == removal.c.job_id)
    statement = announced.where(removal.c.id.in_(removal_ids), _IS_WRITTEN)
    return frozenset(connection.execute(statement).scalars())


def _named(connection: Connection, kept: Kept, keys: Sequence[str]) -> frozenset[str]:
    """Those of ``keys`` that a row names after all; heat maps by the report that they are kept beside."""
    if kept is Kept.INSTANCES:
        there = and_(instance.c.storage_key.in_(keys), instance.c.removed_at.is_(None))
        return frozenset(connection.execute(select(instance.c.storage_key).where(there)).scalars())
    reports = {key: report_key_of(key) or key for key in keys}
    statement = select(result.c.storage_key).where(result.c.storage_key.in_(set(reports.values())))
    there_are = frozenset(connection.execute(statement).scalars())
    return frozenset(key for key, report in reports.items() if report in there_are)
