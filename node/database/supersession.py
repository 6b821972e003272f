"""Which job stands for which: a newer revision of a series, or another version of the model, replaces an older job.

Three moments, each part of the transaction that causes it:

- A job is made. What is unfinished of the model's older judgements of the series is canceled with it: nobody wants a
  result that is known to be out of date. A job that runs is told by its next heartbeat.
- A series is closed anew and a model does not want it any more. What was said of it before is out of date all the same.
- A job is completed. It stands for everything finished before it, unless that is the very same objects.

A failure that is not told in a document yet is not told any more where a newer job is there to say how it went.

What is superseded is never completed and never run again. So the jobs that a new one follows are known when it is made,
and a run that is repeated names the same predecessor. Results that are superseded are still delivered, the older first,
for their successor refers to them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, or_, select, update

from node.database.statements import beside
from node.database.tables import delivery, result
from node.database.tables import job as jobs
from node.domain.delivery import DeliveryState
from node.domain.document import ResultKind
from node.domain.job import Job, JobState, NewJob
from node.errors import Superseded

UNFINISHED = (JobState.SCHEDULED, JobState.IN_PROGRESS)


def replace_unfinished(connection: Connection, new_id: int, new: NewJob, now: datetime) -> None:
    """What the model has not completed of an older revision, or under another version, is the new job's to do."""
    older = [
        row.id
        for row in _same(connection, new)
        if row.id != new_id
        and row.state != JobState.COMPLETED
        and (row.revision < new.revision or (row.revision == new.revision and row.model_version != new.model_version))
    ]
    _supersede(connection, older, new_id, f"job {new_id} replaces it: revision {new.revision} of the series", now)
    # It will write a document of its own: whoever finds it cannot be told by a later one of an older failure.
    _drop_documents(connection, [row.id for row in _same(connection, new) if row.id != new_id])


def close_revision(connection: Connection, study_uid: str, series_uid: str, revision: int, now: datetime) -> None:
    """After the jobs of a new revision were made: what other models said of an older one is out of date."""
    rows = connection.execute(select(*_COLUMNS).where(jobs.c.study_instance_uid == study_uid)).all()
    about = [row for row in rows if series_uid in row.series_instance_uids]
    wanted = {row.model for row in about if row.revision == revision}
    older = [row.id for row in about if row.revision < revision and row.model not in wanted]
    _supersede(connection, older, None, f"revision {revision} of the series is not wanted by the model", now)


def is_replaced(connection: Connection, job: Job) -> bool:
    """Whether another job stands for this one; its row is locked, so that the answer holds."""
    locked = select(jobs.c.superseded_at).where(jobs.c.id == job.id).with_for_update()
    return connection.execute(locked).scalar() is not None


def require_current(connection: Connection, job_id: int) -> None:
    """
    Raises:
        Superseded: nothing of this job is current.
    """
    marked = select(jobs.c.superseded_by).where(jobs.c.id == job_id, jobs.c.superseded_at.is_not(None))
    row = connection.execute(marked).first()
    if row is not None:
        instead = "reprocess the study" if row.superseded_by is None else f"job {row.superseded_by} stands for it"
        raise Superseded(f"job {job_id} is superseded: {instead}")


def take_over(connection: Connection, job: Job, sop_instance_uids: Collection[str], now: datetime) -> None:
    """A completed job stands for what was finished before it; what of that is not sent yet goes first."""
    before = [row for row in _same(connection, job) if row.id < job.id and row.revision <= job.revision]
    finished = [row.id for row in before if row.state not in UNFINISHED]
    repeated = _with_these_objects(connection, finished, frozenset(sop_instance_uids))
    older = [job_id for job_id in finished if job_id not in repeated]
    if older:
        _supersede(connection, older, job.id, None, now)
    # What it said itself of earlier attempts that failed is one of them.
    told = [*older, job.id] if job.attempt > 1 else older
    if told:
        _send_first(connection, told, job.id, now)


_COLUMNS = (jobs.c.id, jobs.c.state, jobs.c.model, jobs.c.model_version, jobs.c.revision, jobs.c.series_instance_uids)


def _same(connection: Connection, job: Job | NewJob) -> Sequence[Row[*tuple[Any, ...]]]:
    """The jobs of this model about these series that nothing stands for yet."""
    rows = connection.execute(
        select(*_COLUMNS)
        .where(
            jobs.c.study_instance_uid == job.study_instance_uid,
            jobs.c.model == job.model,
            jobs.c.superseded_at.is_(None),
        )
        .order_by(jobs.c.id)
    )
    return [row for row in rows if set(row.series_instance_uids) == set(job.series_instance_uids)]


def _with_these_objects(connection: Connection, job_ids: Sequence[int], uids: frozenset[str]) -> set[int]:
    """Those of the jobs that wrote exactly these SOP Instances: the same result, made twice."""
    written: dict[int, set[str]] = {}
    wanted = select(result.c.job_id, result.c.sop_instance_uid).where(
        result.c.job_id.in_(job_ids), result.c.kind != ResultKind.ASSESSMENT
    )
    for row in connection.execute(wanted):
        written.setdefault(row.job_id, set()).add(row.sop_instance_uid)
    return {job_id for job_id, found in written.items() if found == uids}


def _supersede(
    connection: Connection, job_ids: Sequence[int], new_id: int | None, why: str | None, now: datetime
) -> None:
    """``why`` is what an unfinished job ends with."""
    marked = and_(jobs.c.id.in_(job_ids), jobs.c.superseded_at.is_(None))
    connection.execute(
        update(jobs)
        .where(marked, beside(jobs.c.state) == JobState.SCHEDULED)
        .values(state=JobState.CANCELED, finished_at=now, error_code=Superseded.code, error=why)
    )
    connection.execute(
        update(jobs)
        .where(marked, beside(jobs.c.state) == JobState.IN_PROGRESS)
        .values(cancel_requested=True, error_code=Superseded.code, error=why)
    )
    _drop_documents(connection, job_ids)
    connection.execute(update(jobs).where(marked).values(superseded_by=new_id, superseded_at=now, updated_at=now))


def _drop_documents(connection: Connection, job_ids: Sequence[int]) -> None:
    """What these jobs failed with is not to be told any more where nobody was told yet; a withdrawal is."""
    due = and_(jobs.c.id.in_(job_ids), jobs.c.withdrawn_at.is_(None))
    undone = or_(jobs.c.document_due_at.is_not(None), jobs.c.document_error.is_not(None))
    connection.execute(update(jobs).where(due, undone).values(document_due_at=None, document_error=None))


def _send_first(connection: Connection, older: Sequence[int], newer: int, now: datetime) -> None:
    """Before the newer job's, whose deliveries are due ``now`` too: by priority, then time, then their number.

    Once: a destination that does not take the older object must not keep the newer one away from a reader.
    """
    current: int = connection.execute(select(jobs.c.priority).where(jobs.c.id == newer)).scalar_one()
    waiting = and_(delivery.c.job_id.in_(older), beside(delivery.c.state) == DeliveryState.SCHEDULED)
    connection.execute(update(delivery).where(waiting).values(run_after=now, updated_at=now))
    for table, of_older in ((jobs, jobs.c.id.in_(older)), (delivery, waiting)):
        less_urgent = and_(of_older, table.c.priority > current)
        connection.execute(update(table).where(less_urgent).values(priority=current))
