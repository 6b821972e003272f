"""The lines of the worklist, computed again for every study of which something changed. The one writer of them.

Triggers say which studies those are. Nothing is decided here: what a line says is ``line.line_of``, and the lines may
be thrown away and computed again at any time (ADR 0023).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, text

from node.database.statements import beside
from node.database.tables import assessment, job, study, study_change, worklist_line, worklist_term
from node.database.unit_of_work import UnitOfWork
from node.domain.assessment import AssessmentState
from node.domain.job import JobState
from node.ports import Clock
from node.show.line import Line, line_of
from node.show.worklist import Worklist

# Studies in one transaction: SQLite's other writers wait for no more of them.
AT_ONCE = 50
# While it is received, judged and delivered, a study changes about so often.
CHANGES_OF_A_STUDY = 20
# Of a timer at once.
TURNS = 20
# PostgreSQL: one projection at a time. Any number, if every process takes the same.
ADVISORY_LOCK = 0x61696E6F6C6E

Document = dict[str, Any]


class Projection:
    def __init__(self, engine: Engine, clock: Clock, worklist: Worklist) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._worklist = worklist

    def project(self, limit: int = AT_ONCE) -> int:
        """Compute the lines of at most so many studies; how many there were, 0 when every line is as it should be.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        # Looked at first without the right to write: who finds nothing holds up nobody.
        with self._work.read() as connection:
            if connection.execute(select(study_change.c.id).limit(1)).first() is None:
                return 0
        return self._work.write(lambda connection: self._project(connection, limit))

    def project_some(self) -> None:
        """For a timer: at most so many that others come to write meanwhile, and nothing that is worth a log."""
        for _ in range(TURNS):
            if not self.project():
                return

    def project_all(self) -> int:
        """Until every line is as it should be; how many were computed."""
        total = 0
        while done := self.project():
            total += done
        return total

    def _project(self, connection: Connection, limit: int) -> int:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        uids = _taken(connection, limit)
        if not uids:
            return 0
        rows = {row["study_instance_uid"]: row for row in _rows(connection, uids)}
        about = self._worklist.about(connection, list(rows))
        findings, said = _findings(connection, list(rows)), _assessments(connection, list(rows))
        self._write(connection, uids, [line_of(row, about[uid], findings, said) for uid, row in rows.items()])
        return len(uids)

    def _write(self, connection: Connection, uids: Sequence[str], lines: Sequence[Line]) -> None:
        """Of a study that is gone, its line goes too."""
        known = select(worklist_line.c.study_instance_uid, worklist_line.c.revision)
        revisions = {
            row.study_instance_uid: row.revision
            for row in connection.execute(known.where(worklist_line.c.study_instance_uid.in_(uids)))
        }
        now = self._clock.now()
        for table in (worklist_line, worklist_term):
            connection.execute(delete(table).where(table.c.study_instance_uid.in_(uids)))
        made = [
            {
                "study_instance_uid": one.study_instance_uid,
                "urgency": one.urgency,
                "arrived": one.arrived,
                "revision": revisions.get(one.study_instance_uid, 0) + 1,
                "projected_at": now,
                "document": one.document,
            }
            for one in lines
        ]
        found = [
            {"study_instance_uid": one.study_instance_uid, "term": term, "urgency": one.urgency, "arrived": one.arrived}
            for one in lines
            for term in sorted(one.terms)
        ]
        if made:
            connection.execute(insert(worklist_line), made)
            connection.execute(insert(worklist_term), found)


def _taken(connection: Connection, limit: int) -> list[str]:
    """At most so many studies, those that changed first, taken out of the list; what is committed meanwhile stays."""
    oldest = select(study_change.c.id, study_change.c.study_instance_uid).order_by(study_change.c.id)
    uids: dict[str, None] = {}
    taken = []
    for row in connection.execute(oldest.limit(limit * CHANGES_OF_A_STUDY)).all():
        if len(uids) == limit and row.study_instance_uid not in uids:
            continue
        uids[row.study_instance_uid] = None
        taken.append(row.id)
    connection.execute(delete(study_change).where(study_change.c.id.in_(taken)))
    return list(uids)


def _rows(connection: Connection, uids: Sequence[str]) -> list[Document]:
    found = connection.execute(select(study).where(study.c.study_instance_uid.in_(uids)))
    return [dict(row) for row in found.mappings()]


def _findings(connection: Connection, uids: Sequence[str]) -> dict[int, list[Document]]:
    """Of jobs that found something, by job."""
    told = select(job.c.id, job.c.findings).where(
        job.c.study_instance_uid.in_(uids), beside(job.c.state) == JobState.COMPLETED, job.c.findings.is_not(None)
    )
    return {row.id: row.findings for row in connection.execute(told)}


def _assessments(connection: Connection, uids: Sequence[str]) -> dict[int, Document]:
    """What was said last of each job, and not undone."""
    said = select(*(assessment.c[key] for key in ("job_id", "decision", "said_by", "said_at", "state")))
    of_studies = said.where(assessment.c.study_instance_uid.in_(uids)).order_by(assessment.c.id)
    rows = connection.execute(of_studies).mappings()
    return {row["job_id"]: dict(row) for row in rows if row["state"] != AssessmentState.UNDONE}
