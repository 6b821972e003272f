"""What was said before (``ports.ResultHistory``)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, select

from node.database.delivery_rows import REPORTS
from node.database.plain import documents_from_plain
from node.database.statements import beside
from node.database.tables import job as jobs
from node.database.tables import result
from node.database.unit_of_work import UnitOfWork
from node.domain.job import Job, JobState
from node.domain.result import DocumentRef, EarlierResult


class SqlResultHistory:
    """From the rows of completed jobs, whether they are superseded or not."""

    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def earlier(self, job: Job) -> Sequence[EarlierResult]:
        columns = (
            jobs.c.id, jobs.c.series_instance_uids, jobs.c.study_instance_uid,
            result.c.series_instance_uid, result.c.sop_class_uid, result.c.sop_instance_uid, result.c.predecessors,
        )  # fmt: skip
        # The main report is written last, behind those that it refers to.
        statement = select(*columns).join(result, result.c.job_id == jobs.c.id).order_by(jobs.c.id, result.c.id.desc())
        statement = statement.where(
            jobs.c.study_instance_uid == job.study_instance_uid,
            jobs.c.model == job.model,
            beside(jobs.c.state) == JobState.COMPLETED,
            jobs.c.revision <= job.revision,
            jobs.c.id != job.id,
            result.c.sop_class_uid.startswith(REPORTS, autoescape=True),
        )
        found: dict[int, EarlierResult] = {}
        with self._work.read() as connection:
            for row in connection.execute(statement):
                if set(row.series_instance_uids) != set(job.series_instance_uids):
                    continue
                named = DocumentRef(
                    row.study_instance_uid, row.series_instance_uid, row.sop_class_uid, row.sop_instance_uid
                )
                known = found.get(row.id, EarlierResult((), documents_from_plain(row.predecessors)))
                found[row.id] = EarlierResult((*known.reports, named), known.predecessors)
        return list(found.values())
