"""What a report says, read from the rows of its job (``ports.ReportRecord``)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from node.database.delivery_rows import REPORTS
from node.database.plain import reason_from_plain, reported_findings
from node.database.tables import job, result
from node.database.unit_of_work import UnitOfWork
from node.domain.document import REJECTIONS, RejectionTitle, ResultKind, failure_reason
from node.domain.rendition import Rendition
from node.domain.report import ReportFacts
from node.domain.result import Outcome, Reason
from node.domain.study import SopRef
from node.errors import NotFound

# A document of a failed job whose row tells of a later run: what failed then stands in the document alone.
FAILED_BEFORE = Reason("Failed", failure_reason("").text)
# A withdrawal names what it takes back. What a person corrected stands in the document alone.
_WITH_FINDINGS = (ResultKind.RESULT, ResultKind.REJECTION)
_IN_EVERY_SET = (None, Rendition.AS_DECLARED)


class SqlReports:
    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def facts(self, sop_instance_uid: str) -> ReportFacts:
        with self._work.read() as connection:
            found = connection.execute(
                select(*_COLUMNS)
                .join(job, job.c.id == result.c.job_id)
                .where(result.c.sop_instance_uid == sop_instance_uid)
                .order_by(result.c.id.desc())
                .limit(1)
            ).first()
            if found is None:
                raise NotFound("no result has this document", sop_instance_uid=sop_instance_uid)
            return _facts(connection, found)


_COLUMNS = (
    result.c.id, result.c.kind, result.c.sop_class_uid, result.c.sop_instance_uid, result.c.created_at,
    job.c.id.label("job_id"), job.c.model, job.c.model_version, job.c.outcome, job.c.reason, job.c.findings,
    job.c.withdrawn_reason, job.c.withdrawn_title,
)  # fmt: skip


def _facts(connection: Connection, row: Row[*tuple[Any, ...]]) -> ReportFacts:
    kind = ResultKind(row.kind)
    said = _said(connection, row.job_id)
    document = SopRef(row.sop_class_uid, row.sop_instance_uid)
    reports = [one for one in said if one.sop_class_uid.startswith(REPORTS)]
    outcome, reason = _outcome(row, kind)
    return ReportFacts(
        kind=kind,
        job_id=row.job_id,
        model=row.model,
        model_version=row.model_version,
        outcome=outcome,
        reason=reason,
        findings=reported_findings(row.findings) if kind in _WITH_FINDINGS else (),
        # The main report is the last that was written.
        subject=reports[-1] if kind is ResultKind.REJECTION and reports else document,
        objects=tuple(one for one in said if one != document),
        written_at=row.created_at,
    )


def _said(connection: Connection, job_id: int) -> list[SopRef]:
    """The objects that every destination gets, in the order in which they were written."""
    columns = (result.c.sop_class_uid, result.c.sop_instance_uid, result.c.rendition)
    of_job = (result.c.job_id == job_id, result.c.kind != ResultKind.REJECTION)
    rows = connection.execute(select(*columns).where(*of_job).order_by(result.c.id))
    return [SopRef(row.sop_class_uid, row.sop_instance_uid) for row in rows if row.rendition in _IN_EVERY_SET]


def _outcome(row: Row[*tuple[Any, ...]], kind: ResultKind) -> tuple[Outcome, Reason | None]:
    """A failed job may be run again, and its row then tells of that: its document is still on the failure."""
    reason = reason_from_plain(row.reason)
    if kind is ResultKind.REJECTION:
        title = REJECTIONS[RejectionTitle(row.withdrawn_title)]
        return Outcome.WITHDRAWN, Reason(title.value, f"{title.meaning}: {row.withdrawn_reason}")
    if kind is ResultKind.FAILED:
        return Outcome.FAILED, reason if row.outcome == Outcome.FAILED and reason else FAILED_BEFORE
    return Outcome(row.outcome), reason
