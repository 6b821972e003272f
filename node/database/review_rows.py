"""Reviews as rows: how one is written and read, and what it refers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, select

from node.database.statements import insert_new
from node.database.tables import delivery, instance, job, result, review, series, study
from node.database.workitem_rows import ABOUT
from node.domain.delivery import DeliveryState
from node.domain.document import ResultKind
from node.domain.identity import derive_uid
from node.domain.job import JobState, Priority
from node.domain.review import Review, Standing, comment_of, priority_of, summary_of
from node.domain.study import SopRef
from node.domain.workitem import PatientAndStudy, Referenced, StepState, WorkitemQuery, step_state

REVIEWS: Select[Any] = select(*review.c, *(study.c[name].label(f"of_{name}") for name in ABOUT)).outerjoin(
    study, study.c.study_instance_uid == review.c.study_instance_uid
)
JOB_STATES: Mapping[StepState, JobState] = {
    StepState.SCHEDULED: JobState.SCHEDULED,
    StepState.IN_PROGRESS: JobState.IN_PROGRESS,
    StepState.COMPLETED: JobState.COMPLETED,
    StepState.CANCELED: JobState.CANCELED,
}
_THERE = (DeliveryState.STORED, DeliveryState.COMMITTED)


def review_from_row(row: Row[*tuple[Any, ...]]) -> Review:
    """``row`` is one of ``REVIEWS``."""
    fields: Mapping[str, Any] = dict(row._mapping)
    same = (
        "uid", "study_instance_uid", "accession_number", "basis", "summary", "comment", "replaces", "created_at",
        "updated_at", "finished_at", "performer",
    )  # fmt: skip
    return Review(
        **{name: fields["workitem_uid" if name == "uid" else name] for name in same},
        row=fields["id"],
        state=step_state(JobState(fields["state"]), 0),
        priority=Priority(fields["priority"]),
        series=tuple(fields["series_instance_uids"]),
        jobs=tuple(fields["job_ids"]),
        superseded=fields["superseded_at"] is not None,
        about=PatientAndStudy(**{name: fields[f"of_{name}"] or "" for name in ABOUT}),
        attributes=fields["attributes"],
        transaction=fields["transaction_digest"],
    )


def wanted(query: WorkitemQuery, code: str) -> ColumnElement[bool]:
    """``code`` is the one that reviews have where jobs have their model's."""
    conditions: list[ColumnElement[bool]] = [review.c.id.is_not(None)]
    if query.models and code not in query.models:
        conditions.append(review.c.id.is_(None))
    for column, values in (
        (review.c.workitem_uid, query.uids),
        (review.c.study_instance_uid, query.studies),
        (study.c.patient_id, query.patient_ids),
        (review.c.priority, tuple(map(int, query.priorities))),
        (review.c.state, tuple(JOB_STATES[state] for state in query.states)),
    ):
        if values:
            conditions.append(column.in_(values))
    return and_(*conditions)


def review_uid(standing: Standing, before: Review | None) -> str:
    """The same whoever makes it."""
    replaced = "" if before is None else before.uid
    return derive_uid("review", standing.study_instance_uid, standing.basis, replaced)


def insert_review(connection: Connection, standing: Standing, before: Review | None, now: datetime) -> bool:
    """The review that ``standing`` asks for; whether it is new."""
    values = {
        "workitem_uid": review_uid(standing, before),
        "study_instance_uid": standing.study_instance_uid,
        "accession_number": standing.accession_number,
        "basis": standing.basis,
        "state": JobState.SCHEDULED,
        "priority": int(priority_of(standing)),
        "summary": summary_of(standing.said),
        "comment": comment_of(standing.said),
        "series_instance_uids": list(standing.series),
        "job_ids": list(standing.jobs),
        "replaces": None if before is None else before.uid,
        "attributes": {},
        "created_at": now,
        "updated_at": now,
    }
    return insert_new(connection, review, ("workitem_uid",), values)


def inputs_of(connection: Connection, one: Review) -> tuple[Referenced, ...]:
    """The images that were analysed, and the objects that say what was found."""
    return (*_images(connection, one), *_results(connection, one))


def _images(connection: Connection, one: Review) -> Iterator[Referenced]:
    of_study = and_(
        series.c.study_instance_uid == one.study_instance_uid,
        series.c.series_instance_uid.in_(one.series),
        instance.c.variant == 0,
    )
    rows = connection.execute(
        select(series.c.series_instance_uid, instance.c.sop_class_uid, instance.c.sop_instance_uid)
        .join(series, series.c.id == instance.c.series_id)
        .where(of_study)
        .order_by(series.c.id, instance.c.instance_number, instance.c.id)
    )
    found: dict[str, list[SopRef]] = {}
    for row in rows:
        found.setdefault(row.series_instance_uid, []).append(SopRef(row.sop_class_uid, row.sop_instance_uid))
    for uid, refs in found.items():
        yield Referenced(one.study_instance_uid, uid, tuple(refs))


def _results(connection: Connection, one: Review) -> Iterator[Referenced]:
    """By series and by where they were sent."""
    sent: dict[int, list[str]] = {}
    columns = (delivery.c.result_id, delivery.c.destination, delivery.c.state)
    for row in connection.execute(select(*columns).where(delivery.c.job_id.in_(one.jobs)).order_by(delivery.c.id)):
        if row.state in _THERE:
            sent.setdefault(row.result_id, []).append(row.destination)
    written = (
        select(*result.c, job.c.state, job.c.withdrawn_at)
        .join(job, job.c.id == result.c.job_id)
        .where(job.c.id.in_(one.jobs))
        .order_by(result.c.id)
    )
    found: dict[tuple[str, tuple[str, ...]], list[SopRef]] = {}
    for one_written in connection.execute(written):
        if _is_to_be_read(one_written):
            place = (one_written.series_instance_uid, tuple(dict.fromkeys(sent.get(one_written.id, ()))))
            found.setdefault(place, []).append(SopRef(one_written.sop_class_uid, one_written.sop_instance_uid))
    for (series_uid, destinations), refs in found.items():
        yield Referenced(one.study_instance_uid, series_uid, tuple(refs), destinations)


def _is_to_be_read(row: Row[*tuple[Any, ...]]) -> bool:
    """Of a result that was withdrawn the document that says so; of a run that failed first, what came of it."""
    if row.withdrawn_at is not None:
        return bool(row.kind == ResultKind.REJECTION)
    return bool(row.kind != ResultKind.FAILED or row.state == JobState.FAILED)
