"""An operator withdraws a result: its job says so, and a note that rejects its objects is due."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update

from node.database import audit
from node.database.statements import beside
from node.database.tables import delivery, result
from node.database.tables import job as jobs
from node.database.unit_of_work import UnitOfWork
from node.domain.audit import SYSTEM, Action, Use
from node.domain.delivery import DeliveryState
from node.domain.document import Withdrawal
from node.domain.job import JobState
from node.errors import AlreadyWithdrawn, InvalidTransition, NotFound
from node.jobs.uses import job_subject

UNFINISHED = (JobState.SCHEDULED, JobState.IN_PROGRESS)
WITHDRAWN = "Withdrawn"


class SqlWithdrawals:
    """``actor`` is who withdraws, for the log of uses."""

    def __init__(self, engine: Engine, actor: str = SYSTEM) -> None:
        self._work = UnitOfWork(engine)
        self._actor = actor

    def withdraw(self, job_ids: Sequence[int], withdrawal: Withdrawal) -> None:
        """Everything that these jobs said (the same objects, where there are several) is withdrawn, in one transaction.

        What of it is not sent yet is not sent any more.

        Raises:
            NotFound: a job that does not exist, or has said nothing.
            AlreadyWithdrawn: it was withdrawn before, and the note that says so was not given up.
            InvalidTransition: a job is under way, or a document about it is still to be written.
        """
        self._work.write(lambda connection: self._withdraw(connection, job_ids, withdrawal))

    def _withdraw(self, connection: Connection, job_ids: Sequence[int], withdrawal: Withdrawal) -> None:
        rows = _withdraw(connection, job_ids, withdrawal)
        audit.append(connection, self._actor, withdrawal.at, [_use(connection, row, withdrawal) for row in rows])


def _use(connection: Connection, row: Row[*tuple[Any, ...]], withdrawal: Withdrawal) -> Use:
    """Without the operator's own words: they are a reader's, and may name anybody."""
    uids = select(result.c.sop_instance_uid).where(result.c.job_id == row.id).order_by(result.c.id)
    detail = {"title": withdrawal.title.value, "objects": list(connection.execute(uids).scalars())}
    return Use(Action.RESULT_WITHDRAWN, job_subject(row.id), row.study_instance_uid, detail)


def _withdraw(
    connection: Connection, job_ids: Sequence[int], withdrawal: Withdrawal
) -> Sequence[Row[*tuple[Any, ...]]]:
    """The rows of the jobs as they were."""
    chosen = select(jobs).where(jobs.c.id.in_(job_ids)).order_by(jobs.c.id).with_for_update()
    rows = connection.execute(chosen).all()
    with_objects = select(result.c.job_id).where(result.c.job_id.in_(job_ids)).distinct()
    if not job_ids or set(connection.execute(with_objects).scalars()) != set(job_ids):
        raise NotFound("there is no such result")
    for row in rows:
        _require_withdrawable(row)
    marks: dict[str, Any] = {
        "withdrawn_at": withdrawal.at,
        "withdrawn_by": withdrawal.by,
        "withdrawn_reason": withdrawal.reason,
        "withdrawn_title": withdrawal.title,
        "document_due_at": withdrawal.at,
        "document_attempt": 0,
        "document_error": None,
        "updated_at": withdrawal.at,
    }
    connection.execute(update(jobs).where(jobs.c.id.in_(job_ids)).values(**marks))
    waiting = update(delivery).where(
        delivery.c.job_id.in_(job_ids), beside(delivery.c.state) == DeliveryState.SCHEDULED
    )
    connection.execute(
        waiting.values(
            state=DeliveryState.CANCELED,
            error_code=WITHDRAWN,
            error="the result is withdrawn",
            updated_at=withdrawal.at,
        )
    )
    return rows


def _require_withdrawable(row: Row[*tuple[Any, ...]]) -> None:
    given_up = row.document_due_at is None and row.document_error is not None
    if row.withdrawn_at is not None and not given_up:
        raise AlreadyWithdrawn(f"the result of job {row.id} was withdrawn before, by {row.withdrawn_by}")
    if row.state in UNFINISHED:
        raise InvalidTransition(f"job {row.id} is {row.state}: cancel it, or wait for what it says")
    if row.document_due_at is not None:
        raise InvalidTransition(f"a document about job {row.id} is still to be written")
