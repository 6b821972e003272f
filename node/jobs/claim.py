"""The claim statement: the most urgent due job becomes IN_PROGRESS in one statement and comes back whole.

PostgreSQL: ``FOR UPDATE SKIP LOCKED``, so that claimers never wait for one another. SQLite has one writer at a time
(``BEGIN IMMEDIATE``), so the same statement needs no lock of its own. The index ``ix_job_claim`` serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, exists, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from node.database.tables import job, setting
from node.domain.job import JobState

PAUSED = "queue.paused"


def due(now: datetime, models: Sequence[str] | None) -> Select[int]:
    """The id of the job that is next; nothing while the queue is paused."""
    wanted = and_(job.c.state == JobState.SCHEDULED, job.c.run_after <= now)
    if models is not None:
        wanted = and_(wanted, job.c.model.in_(models))
    not_paused = ~exists(select(setting.c.name).where(setting.c.name == PAUSED))
    order = (job.c.priority, job.c.run_after, job.c.id)
    return select(job.c.id).where(wanted, not_paused).order_by(*order).limit(1)


def sqlite_claim(owner: str, lease_s: float, models: Sequence[str] | None, now: datetime) -> ReturningUpdate[Any]:
    return _claim(due(now, models), owner, lease_s, now)


def postgresql_claim(owner: str, lease_s: float, models: Sequence[str] | None, now: datetime) -> ReturningUpdate[Any]:
    return _claim(due(now, models).with_for_update(of=job, skip_locked=True), owner, lease_s, now)


def _claim(chosen: Select[int], owner: str, lease_s: float, now: datetime) -> ReturningUpdate[Any]:
    return (
        update(job)
        .where(job.c.id == chosen.scalar_subquery())
        .values(
            state=JobState.IN_PROGRESS,
            attempt=job.c.attempt + 1,
            owner=owner,
            lease_until=now + timedelta(seconds=lease_s),
            started_at=now,
            updated_at=now,
        )
        .returning(*job.c)
    )
