"""The claim statement: the next job becomes IN_PROGRESS in one statement and comes back whole.

Which is next: one that has been due for too long, the longest first; where there is none, the most urgent one, the
longest due first. A job is due from ``run_after`` on, so an operator's retry or a backoff starts its wait anew. Each
question is a look at the head of an index of the waiting jobs alone (``ix_job_due``, ``ix_job_claim``), and the first
answer ends the statement: neither finished jobs nor those that wait for their retry cost anything.

PostgreSQL: ``FOR UPDATE SKIP LOCKED``, so that claimers never wait for one another. SQLite has one writer at a time
(``BEGIN IMMEDIATE``), so the same statement needs no lock of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, bindparam, case, exists, func, null, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from node.database.statements import in_state
from node.database.tables import job, setting
from node.database.types import SafeText, UtcDateTime
from node.domain.job import JobState, Priority

PAUSED = "queue.paused"


class ClaimStatements:
    """Both statements for claims of some models (None: of all), built once: building takes longer than executing."""

    def __init__(self, dialect: str, models: Sequence[str] | None) -> None:
        self.look: Select[int | None] = select(_next_job(models, locked=False))
        self.claim = _claim(_next_job(models, locked=dialect == "postgresql"))


def parameters(owner: str, lease_s: float, max_wait_s: float, now: datetime) -> dict[str, Any]:
    """Of both statements; a job that has been due for ``max_wait_s`` goes before every priority."""
    return {
        "claimer": owner,
        "until": now + timedelta(seconds=lease_s),
        "too_long_ago": now - timedelta(seconds=max_wait_s),
        "now": now,
    }


def _next_job(models: Sequence[str] | None, locked: bool) -> ColumnElement[int | None]:
    """The id of the job that is next; null where nothing is due or the queue is paused."""
    paused = exists(select(setting.c.name).where(setting.c.name == PAUSED))
    overdue = job.c.run_after <= _time("too_long_ago")
    due = [and_(job.c.priority == int(priority), job.c.run_after <= _time("now")) for priority in Priority]
    return case((paused, null()), else_=func.coalesce(*(_first(one, models, locked) for one in (overdue, *due))))


def _first(wanted: ColumnElement[bool], models: Sequence[str] | None, locked: bool) -> ScalarSelect[int]:
    if models is not None:
        wanted = and_(wanted, job.c.model.in_(models))
    waiting = select(job.c.id).where(in_state(job.c.state, JobState.SCHEDULED), wanted)
    first = waiting.order_by(job.c.run_after, job.c.id).limit(1).correlate(None)
    return (first.with_for_update(skip_locked=True) if locked else first).scalar_subquery()


def _claim(chosen: ColumnElement[int | None]) -> ReturningUpdate[Any]:
    return (
        update(job)
        .where(job.c.id == chosen)
        .values(
            state=JobState.IN_PROGRESS,
            attempt=job.c.attempt + 1,
            owner=bindparam("claimer", type_=SafeText),
            lease_until=_time("until"),
            started_at=_time("now"),
            updated_at=_time("now"),
        )
        .returning(*job.c)
    )


def _time(name: str) -> ColumnElement[datetime]:
    return bindparam(name, type_=UtcDateTime)
