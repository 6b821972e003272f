"""What retention has to know about studies, in a few queries for many of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, func, select

from node.database import arrivals
from node.database.tables import admission, association, delivery, instance, job, series, series_association, study
from node.domain.admission import Verdict
from node.domain.retention import DeliveryFacts, JobFacts, SeriesFacts, StudyFacts, WantedRun

AnyRow = Row[*tuple[Any, ...]]


def facts_of(connection: Connection, study_uids: Sequence[str], now: datetime) -> list[StudyFacts]:
    """The facts about each of these studies, in their order."""
    until = arrivals.recorded_until(connection, now)
    rows = {name: _by_study(connection, query, study_uids) for name, query in QUERIES.items()}
    return [_facts(uid, {name: found[uid] for name, found in rows.items()}, until) for uid in study_uids]


def _by_study(
    connection: Connection, query: Select[*tuple[Any, ...]], study_uids: Sequence[str]
) -> defaultdict[str, list[AnyRow]]:
    """Rows by the study in their first column."""
    found: defaultdict[str, list[AnyRow]] = defaultdict(list)
    for row in connection.execute(query.where(query.selected_columns[0].in_(study_uids))):
        found[row[0]].append(row)
    return found


def _facts(study_uid: str, rows: dict[str, list[AnyRow]], until: datetime | None) -> StudyFacts:
    events = [row.event_at for part in rows.values() for row in part if row.event_at is not None]
    images = rows["images"]
    return StudyFacts(
        study_instance_uid=study_uid,
        series=tuple(
            SeriesFacts(row.series_instance_uid, row.revision, row.state, row.open_associations)
            for row in rows["series"]
        ),
        wanted=tuple(WantedRun(row.series_instance_uid, row.revision, row.model) for row in rows["wanted"]),
        jobs=tuple(
            JobFacts(
                row.id, row.model, tuple(row.series_instance_uids), row.revision, row.state, row.superseded, row.due
            )
            for row in rows["jobs"]
        ),
        deliveries=tuple(
            DeliveryFacts(row.job_id, row.destination, row.state, row.looked_for) for row in rows["deliveries"]
        ),
        images=sum(row.there or 0 for row in images),
        last_event_at=max(events),
        removed_at=max((row.removed_at for row in images if row.removed_at is not None), default=None),
        recorded_until=until,
    )


# Every query: the study, and ``event_at``, the newest time that its row holds.
_SERIES = (
    select(
        series.c.study_instance_uid,
        series.c.series_instance_uid,
        series.c.revision,
        series.c.state,
        (func.count(association.c.id) - func.count(association.c.ended_at)).label("open_associations"),
        func.max(series.c.last_instance_at).label("event_at"),
    )
    .outerjoin(series_association, series_association.c.series_id == series.c.id)
    .outerjoin(association, association.c.id == series_association.c.association_id)
    .group_by(series.c.id)
)
_WANTED = (
    select(
        series.c.study_instance_uid,
        series.c.series_instance_uid,
        admission.c.revision,
        admission.c.model,
        admission.c.decided_at.label("event_at"),
    )
    .join(series, series.c.id == admission.c.series_id)
    .where(admission.c.revision == series.c.revision, admission.c.verdict != Verdict.NOT_WANTED)
)
_JOBS = select(
    job.c.study_instance_uid,
    job.c.id,
    job.c.model,
    job.c.series_instance_uids,
    job.c.revision,
    job.c.state,
    job.c.superseded_at.is_not(None).label("superseded"),
    job.c.document_due_at.is_not(None).label("due"),
    job.c.updated_at.label("event_at"),
)
_DELIVERIES = select(
    job.c.study_instance_uid,
    delivery.c.job_id,
    delivery.c.destination,
    delivery.c.state,
    delivery.c.read_back_due.is_not(None).label("looked_for"),
    delivery.c.updated_at.label("event_at"),
).join(job, job.c.id == delivery.c.job_id)
_IMAGES = (
    select(
        series.c.study_instance_uid,
        func.sum(case((instance.c.removed_at.is_(None), 1), else_=0)).label("there"),
        func.max(instance.c.removed_at).label("removed_at"),
        func.max(instance.c.received_at).label("event_at"),
    )
    .join(instance, and_(instance.c.series_id == series.c.id))
    .group_by(series.c.study_instance_uid)
)
_STUDY = select(study.c.study_instance_uid, study.c.updated_at.label("event_at"))

QUERIES: dict[str, Select[*tuple[Any, ...]]] = {
    "study": _STUDY,
    "series": _SERIES,
    "wanted": _WANTED,
    "jobs": _JOBS,
    "deliveries": _DELIVERIES,
    "images": _IMAGES,
}
