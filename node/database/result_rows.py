"""Result objects as rows: what was written, of which job, and where it went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, or_, select

from node.database.job_rows import job_from_row
from node.database.plain import documents_from_plain
from node.database.tables import delivery, instance, result, series
from node.database.tables import job as jobs
from node.database.unit_of_work import UnitOfWork
from node.domain.document import ResultKind
from node.domain.job import Job
from node.domain.rendition import Rendition
from node.domain.result import ResultObject

Row = dict[str, Any]
_OF_JOB = tuple(
    jobs.c[name]
    for name in (
        "state", "model", "model_version", "study_instance_uid", "series_instance_uids", "accession_number", "outcome",
        "provenance", "finished_at", "superseded_by", "superseded_at", "withdrawn_at", "withdrawn_by",
        "withdrawn_reason", "withdrawn_title",
    )
)  # fmt: skip
_RESULTS = select(result, *_OF_JOB, jobs.c.attempt.label("job_attempt")).join(jobs, jobs.c.id == result.c.job_id)
_DELIVERIES = (
    select(
        delivery.c.id, delivery.c.destination, delivery.c.state, delivery.c.job_id.label("job"), delivery.c.attempt,
        delivery.c.error_code, delivery.c.error, delivery.c.created_at, delivery.c.updated_at,
        jobs.c.study_instance_uid, result.c.modality, result.c.sop_class_uid, result.c.sop_instance_uid,
    )
    .join(result, result.c.id == delivery.c.result_id)
    .join(jobs, jobs.c.id == delivery.c.job_id)
)  # fmt: skip


class SqlResults:
    """Every object that was written, with its job's facts."""

    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def newest(self, study_instance_uid: str | None, limit: int) -> list[Row]:
        """The newest first."""
        statement = _RESULTS.order_by(result.c.id.desc()).limit(limit)
        if study_instance_uid is not None:
            statement = statement.where(jobs.c.study_instance_uid == study_instance_uid)
        return self._rows(statement)

    def of(self, uid: str) -> list[Row]:
        """Objects of the results that ``uid`` names: an object, a series of results, or a study. All of each job.

        None where it names nothing.
        """
        named = or_(result.c.sop_instance_uid == uid, result.c.series_instance_uid == uid)
        by_object = select(result.c.job_id).where(named)
        found = self._rows(_RESULTS.where(result.c.job_id.in_(by_object)).order_by(result.c.job_id, result.c.id))
        return found or self._rows(
            _RESULTS.where(jobs.c.study_instance_uid == uid).order_by(result.c.job_id, result.c.id)
        )

    def deliveries(self, job_ids: Sequence[int]) -> list[Row]:
        return self._rows(_DELIVERIES.where(delivery.c.job_id.in_(job_ids)).order_by(delivery.c.id))

    def successors(self, study_instance_uid: str, sop_instance_uids: Sequence[str]) -> list[str]:
        """SOP Instance UIDs of the study's reports that name one of these as their predecessor."""
        statement = select(result.c.sop_instance_uid, result.c.predecessors).join(jobs, jobs.c.id == result.c.job_id)
        of_study = statement.where(jobs.c.study_instance_uid == study_instance_uid).order_by(result.c.id)
        asked = frozenset(sop_instance_uids)
        with self._work.read() as connection:
            found = [
                row.sop_instance_uid
                for row in connection.execute(of_study)
                if asked & {one.sop_instance_uid for one in documents_from_plain(row.predecessors)}
            ]
        return list(dict.fromkeys(found))

    def job(self, job_id: int) -> Job:
        """The job of an object that exists."""
        with self._work.read() as connection:
            return job_from_row(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())

    def removed_inputs(self, study_instance_uid: str, series_instance_uids: Sequence[str]) -> list[str]:
        """SOP Instance UIDs of these series whose bytes retention has removed."""
        statement = (
            select(instance.c.sop_instance_uid)
            .join(series, series.c.id == instance.c.series_id)
            .where(
                series.c.study_instance_uid == study_instance_uid,
                series.c.series_instance_uid.in_(series_instance_uids),
                instance.c.variant == 0,
                instance.c.removed_at.is_not(None),
            )
            .order_by(instance.c.sop_instance_uid)
        )
        with self._work.read() as connection:
            return list(connection.execute(statement).scalars())

    def _rows(self, statement: Any) -> list[Row]:
        with self._work.read() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]


def objects_of(connection: Connection, job_id: int, kind: ResultKind | None = None) -> tuple[ResultObject, ...]:
    """What a job said, in the order in which it was written; without the note that rejects it. ``kind``: only that."""
    said: ColumnElement[bool] = result.c.kind != ResultKind.REJECTION if kind is None else result.c.kind == kind
    rows = connection.execute(select(result).where(result.c.job_id == job_id, said).order_by(result.c.id))
    return tuple(
        ResultObject(
            sop_class_uid=row.sop_class_uid,
            sop_instance_uid=row.sop_instance_uid,
            series_instance_uid=row.series_instance_uid,
            modality=row.modality,
            storage_key=row.storage_key,
            sha256=row.sha256,
            size=row.size,
            predecessors=documents_from_plain(row.predecessors),
            rendition=None if row.rendition is None else Rendition(row.rendition),
        )
        for row in rows
    )
