"""Documents that are due, as columns of the job table (``ports.DueDocuments``).

A claim moves ``document_due_at`` to the end of the lease: a writer that dies has to be rescued by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, select, update

from node.database import audit
from node.database.alerts import raise_alerts
from node.database.job_rows import job_from_row
from node.database.plain import reason_to_plain
from node.database.removals import announce
from node.database.result_rows import objects_of
from node.database.sending import Sending
from node.database.tables import job as jobs
from node.database.tables import result
from node.database.unit_of_work import UnitOfWork
from node.domain.audit import SYSTEM
from node.domain.document import DueDocument, Failure, RejectionTitle, ResultKind, Withdrawal
from node.domain.rendition import Wishes
from node.domain.result import Outcome, ResultObject
from node.errors import AinodeError
from node.jobs.due import claim_first
from node.jobs.uses import document as written_document
from node.ports import Clock

GIVEN_UP = "document_given_up"


class SqlDueDocuments:
    """``delivery_attempts`` is the budget of a document's deliveries, ``wishes`` what is sent, both by destination.

    ``actor`` is who writes, for the log of uses.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        delivery_attempts: Mapping[str, int] | None = None,
        wishes: Mapping[str, Wishes] | None = None,
        actor: str = SYSTEM,
    ) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._actor = actor
        self._sending = Sending(dict(delivery_attempts or {}), {} if wishes is None else wishes)
        self._locks = engine.dialect.name == "postgresql"

    def claim(self, lease_s: float) -> DueDocument | None:
        now = self._clock.now()
        due = and_(jobs.c.document_due_at.is_not(None), jobs.c.document_due_at <= now)
        first = select(jobs.c.id, jobs.c.document_attempt).where(due)
        first = first.order_by(jobs.c.document_due_at, jobs.c.id).limit(1)
        return claim_first(
            self._work, first, self._locks, lambda connection, row: _claimed(connection, row, lease_s, now)
        )

    def announce(self, document: DueDocument, keys: Sequence[str]) -> bool:
        def step(connection: Connection) -> bool:
            if connection.execute(select(jobs.c.id).where(_held(document)).with_for_update()).first() is None:
                return False
            announce(connection, document.job.id, keys, self._clock.now(), document.attempt)
            return True

        return self._work.write(step)

    def complete(self, document: DueDocument, objects: Sequence[ResultObject], failure: Failure | None = None) -> bool:
        return self._work.write(lambda connection: self._complete(connection, document, objects, failure))

    def _complete(
        self, connection: Connection, document: DueDocument, objects: Sequence[ResultObject], failure: Failure | None
    ) -> bool:
        now, job = self._clock.now(), document.job
        done: dict[str, Any] = {"document_due_at": None, "document_error": None, "updated_at": now}
        if failure is not None:
            done |= {"outcome": Outcome.FAILED, "reason": reason_to_plain(failure.reason)}
            done |= {"provenance": failure.provenance}
        saved = update(jobs).where(_held(document)).values(**done).returning(jobs.c.priority)
        priority = connection.execute(saved).scalar()
        if priority is None:
            return False
        kind = ResultKind.FAILED if failure is not None else ResultKind.REJECTION
        known = set(connection.execute(select(result.c.sop_instance_uid).where(result.c.job_id == job.id)).scalars())
        outcome = Outcome.FAILED if failure is not None else Outcome.WITHDRAWN
        self._sending.insert(connection, job, objects, outcome, priority, now, kind, known)
        audit.append(connection, self._actor, now, [written_document(document, objects, failure)])
        return True

    def fail(self, document: DueDocument, error: AinodeError, retry_after_s: float | None) -> bool:
        now = self._clock.now()
        again = None if retry_after_s is None else now + timedelta(seconds=retry_after_s)
        values = {"document_due_at": again, "document_error": error.code, "updated_at": now}

        def step(connection: Connection) -> bool:
            saved = connection.execute(update(jobs).where(_held(document)).values(**values)).rowcount == 1
            if saved and again is None:
                raise_alerts(connection, [(GIVEN_UP, *_alert(document, error))], now)
            return saved

        return self._work.write(step)


def _held(document: DueDocument) -> ColumnElement[bool]:
    return and_(
        jobs.c.id == document.job.id,
        jobs.c.document_due_at == document.lease_until,
        jobs.c.document_attempt == document.attempt,
        jobs.c.attempt == document.job.attempt,
    )


def _claimed(connection: Connection, found: Row[*tuple[Any, ...]], lease_s: float, now: datetime) -> DueDocument:
    lease = timedelta(seconds=lease_s * 2**found.document_attempt)
    values = {"document_due_at": now + lease, "document_attempt": found.document_attempt + 1, "updated_at": now}
    row = connection.execute(update(jobs).where(jobs.c.id == found.id).values(**values).returning(*jobs.c)).one()
    withdrawal = _withdrawal(row)
    objects = objects_of(connection, row.id) if withdrawal is not None else ()
    return DueDocument(job_from_row(row), row.document_attempt, row.document_due_at, withdrawal, objects)


def _withdrawal(row: Row[*tuple[Any, ...]]) -> Withdrawal | None:
    if row.withdrawn_at is None:
        return None
    return Withdrawal(row.withdrawn_at, row.withdrawn_by, row.withdrawn_reason, RejectionTitle(row.withdrawn_title))


def _alert(document: DueDocument, error: AinodeError) -> tuple[str, dict[str, Any]]:
    job = document.job
    detail = {"study_instance_uid": job.study_instance_uid, "job": job.id, "model": job.model, "error": error.code}
    return job.series_instance_uids[0], detail
