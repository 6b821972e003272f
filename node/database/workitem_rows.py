"""Jobs as workitems: rows read whole, and what of them is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, or_, select, update

from node.database.job_rows import job_from_row, workitem_uid
from node.database.statements import beside, insert_new
from node.database.tables import instance, result, series, study
from node.database.tables import job as jobs
from node.database.tables import workitem as said
from node.domain.job import JobState
from node.domain.study import SopRef
from node.domain.workitem import FINAL, OUTSIDE, PatientAndStudy, Referenced, StepState, Workitem, WorkitemQuery

# What a new run of the same job has not done yet.
_OF_A_RUN = ("00741002", "00741216")
_JOB_STATES: Mapping[StepState, tuple[JobState, ...]] = {
    StepState.SCHEDULED: (JobState.SCHEDULED,),
    StepState.IN_PROGRESS: (JobState.SCHEDULED, JobState.IN_PROGRESS),
    StepState.COMPLETED: (JobState.COMPLETED,),
    StepState.CANCELED: (JobState.FAILED, JobState.CANCELED),
}
ABOUT = ("patient_id", "patient_name", "patient_birth_date", "patient_sex", "study_description")
WORKITEMS: Select[Any] = (
    select(
        *jobs.c,
        *(study.c[name].label(f"of_{name}") for name in ABOUT),
        *(said.c[name] for name in ("attributes", "performer", "transaction_digest", "transaction_attempt")),
    )
    .outerjoin(study, study.c.study_instance_uid == jobs.c.study_instance_uid)
    .outerjoin(said, said.c.job_id == jobs.c.id)
)


def workitem_from_row(row: Row[*tuple[Any, ...]]) -> Workitem:
    """``row`` is one of ``WORKITEMS``."""
    fields: Mapping[str, Any] = dict(row._mapping)
    job = job_from_row(row)
    tries = job.attempt - fields["workitem_since"]
    held = _is_held(fields, tries)
    return Workitem(
        uid=fields["workitem_uid"],
        job=job,
        tries=tries,
        updated_at=fields["updated_at"],
        about=PatientAndStudy(**{name: fields[f"of_{name}"] or "" for name in ABOUT}),
        attributes=fields["attributes"] or {},
        performer=fields["performer"] if held else None,
        transaction=fields["transaction_digest"] if held else None,
    )


def _is_held(fields: Mapping[str, Any], tries: int) -> bool:
    """The transaction is that of the last attempt, and nobody took the job back."""
    if fields["transaction_attempt"] != fields["attempt"] or not tries:
        return False
    return fields["state"] not in (JobState.SCHEDULED, JobState.IN_PROGRESS) or str(fields["owner"]).startswith(OUTSIDE)


def wanted(query: WorkitemQuery) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [jobs.c.workitem_uid.is_not(None)]
    for column, values in (
        (jobs.c.workitem_uid, query.uids),
        (jobs.c.study_instance_uid, query.studies),
        (study.c.patient_id, query.patient_ids),
        (jobs.c.model, query.models),
        (jobs.c.priority, tuple(map(int, query.priorities))),
    ):
        if values:
            conditions.append(column.in_(values))
    if query.states:
        # The first finds the few rows by an index, the second tells them apart.
        conditions.append(jobs.c.state.in_([one for state in query.states for one in _JOB_STATES[state]]))
        conditions.append(or_(*(_in_step_state(state) for state in query.states)))
    return and_(*conditions)


def _in_step_state(state: StepState) -> ColumnElement[bool]:
    column = beside(jobs.c.state)
    match state:
        case StepState.SCHEDULED:
            return and_(column == JobState.SCHEDULED, jobs.c.attempt == jobs.c.workitem_since)
        case StepState.IN_PROGRESS:
            again = and_(column == JobState.SCHEDULED, jobs.c.attempt > jobs.c.workitem_since)
            return or_(column == JobState.IN_PROGRESS, again)
        case _:
            return column.in_(_JOB_STATES[state])


def keep(connection: Connection, job_id: int, values: Mapping[str, Any]) -> None:
    """Of what was said of the job, change these columns."""
    insert_new(connection, said, ("job_id",), {"job_id": job_id, "attributes": {}})
    connection.execute(update(said).where(said.c.job_id == job_id).values(**values))


def renewed(connection: Connection, job_id: int, now: datetime) -> dict[str, Any]:
    """The columns with which a job that is run again after its end is a new workitem: the old one stays as it ended."""
    row = connection.execute(select(said.c.attributes).where(said.c.job_id == job_id)).first()
    if row is not None:
        kept = {tag: value for tag, value in row.attributes.items() if tag not in _OF_A_RUN}
        gone = {"attributes": kept, "performer": None, "transaction_digest": None, "transaction_attempt": None}
        connection.execute(update(said).where(said.c.job_id == job_id).values(**gone))
    former = connection.execute(select(jobs.c.workitem_uid).where(jobs.c.id == job_id)).scalar_one()
    return {"workitem_uid": workitem_uid(str(former), now), "workitem_since": jobs.c.attempt}


def inputs_of(connection: Connection, workitem: Workitem) -> tuple[Referenced, ...]:
    """The instances that the job is about, as they are now."""
    job = workitem.job
    of_job = and_(
        series.c.study_instance_uid == job.study_instance_uid,
        series.c.series_instance_uid.in_(job.series_instance_uids),
        instance.c.variant == 0,
    )
    rows = connection.execute(
        select(series.c.series_instance_uid, instance.c.sop_class_uid, instance.c.sop_instance_uid)
        .join(series, series.c.id == instance.c.series_id)
        .where(of_job)
        .order_by(series.c.id, instance.c.instance_number, instance.c.id)
    )
    return tuple(_by_series(job.study_instance_uid, rows))


def outputs_of(connection: Connection, workitem: Workitem) -> tuple[Referenced, ...]:
    """Every object that the job wrote; none before it has ended."""
    if workitem.state not in FINAL:
        return ()
    rows = connection.execute(
        select(result.c.series_instance_uid, result.c.sop_class_uid, result.c.sop_instance_uid)
        .where(result.c.job_id == workitem.job.id)
        .order_by(result.c.id)
    )
    return tuple(_by_series(workitem.job.study_instance_uid, rows))


def _by_series(study_uid: str, rows: Sequence[Row[*tuple[Any, ...]]] | Any) -> Iterator[Referenced]:
    found: dict[str, list[SopRef]] = {}
    for row in rows:
        ref = SopRef(row.sop_class_uid, row.sop_instance_uid)
        found.setdefault(row.series_instance_uid, []).append(ref)
    for series_uid, refs in found.items():
        yield Referenced(study_uid, series_uid, tuple(refs))
