"""What was said before (``ports.ResultHistory``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Engine, or_, select

from node.database.delivery_rows import KEY_OBJECT_SELECTION, REPORTS
from node.database.plain import documents_from_plain
from node.database.tables import job as jobs
from node.database.tables import result
from node.database.unit_of_work import UnitOfWork
from node.domain.document import ResultKind
from node.domain.job import Job
from node.domain.rendition import SETS, Rendition
from node.domain.result import DocumentRef, EarlierResult


class SqlResultHistory:
    """From the rows of what was written, whether it is superseded or not: results, and documents of failures."""

    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def earlier(self, job: Job) -> Sequence[EarlierResult]:
        columns = (
            jobs.c.id, jobs.c.series_instance_uids, jobs.c.study_instance_uid,
            result.c.series_instance_uid, result.c.sop_class_uid, result.c.sop_instance_uid, result.c.predecessors,
            result.c.attempt, result.c.rendition, jobs.c.withdrawn_at,
        )  # fmt: skip
        # The main report is written last, behind those that it refers to.
        statement = select(*columns).join(result, result.c.job_id == jobs.c.id)
        statement = statement.order_by(jobs.c.id, result.c.attempt, result.c.id.desc())
        statement = statement.where(
            jobs.c.study_instance_uid == job.study_instance_uid,
            jobs.c.model == job.model,
            jobs.c.revision <= job.revision,
            # Of the job itself what it said of its failures before it was run again.
            or_(jobs.c.id != job.id, result.c.attempt < job.attempt),
            # What a person made of a report stands beside it, and is followed by what follows that.
            result.c.kind.not_in((ResultKind.REJECTION, ResultKind.ASSESSMENT)),
            result.c.sop_class_uid.startswith(REPORTS, autoescape=True),
            result.c.sop_class_uid != KEY_OBJECT_SELECTION,
        )
        found: dict[tuple[int, int | None], dict[Rendition | None, EarlierResult]] = {}
        with self._work.read() as connection:
            for row in connection.execute(statement):
                if set(row.series_instance_uids) != set(job.series_instance_uids):
                    continue
                named = DocumentRef(
                    row.study_instance_uid, row.series_instance_uid, row.sop_class_uid, row.sop_instance_uid
                )
                withdrawn = row.withdrawn_at is not None and row.withdrawn_at <= job.created_at
                main = EarlierResult((), documents_from_plain(row.predecessors), withdrawn)
                sets = found.setdefault((row.id, row.attempt), {})
                known = sets.get(_set_of(row.rendition), main)
                sets[_set_of(row.rendition)] = replace(known, reports=(*known.reports, named))
        return [_with_sets(sets) for sets in found.values()]


def _set_of(rendition: str | None) -> Rendition | None:
    """None is the set in the type that the model declares."""
    return Rendition(rendition) if rendition in SETS else None


def _with_sets(sets: Mapping[Rendition | None, EarlierResult]) -> EarlierResult:
    """What was said, and beside it the same in other types; there is always the first."""
    others = {rendition: one for rendition, one in sets.items() if rendition is not None}
    return replace(sets[None], sets=others)
