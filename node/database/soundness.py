"""What is asked of a database before it is believed: its schema, its clock, and work that stands still."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, func, select, text

from node.database.migrations import configuration
from node.database.statements import in_state
from node.database.tables import alert, delivery, job, role
from node.database.unit_of_work import UnitOfWork
from node.domain.delivery import DeliveryState
from node.domain.job import JobState


@dataclass(frozen=True, slots=True)
class Standstill:
    """``oldest_due_at`` is since when the first due job could have been run; leases that were not prolonged in time
    belong to somebody who died, or hangs.
    """

    due_jobs: int
    oldest_due_at: datetime | None
    jobs_without_lease: int
    deliveries_without_lease: int


class SqlSoundness:
    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def revisions(self) -> tuple[str | None, str]:
        """The revision of the schema as it is, None where there is none, and the newest that this version knows."""
        with self._work.read() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            head = ScriptDirectory.from_config(configuration(connection)).get_current_head()
        assert head is not None
        return current, head

    def now(self) -> datetime | None:
        """What the database's own clock says; None where it has none but this machine's."""
        with self._work.read() as connection:
            if connection.dialect.name != "postgresql":
                return None
            told: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return told.astimezone(UTC)

    def standstill(self, now: datetime, grace: timedelta) -> Standstill:
        """``grace`` is how late a lease may be: rescue itself runs every few seconds."""
        due = select(func.count(), func.min(job.c.run_after)).where(
            in_state(job.c.state, JobState.SCHEDULED), job.c.run_after <= now
        )
        leased = select(func.count()).where(
            in_state(job.c.state, JobState.IN_PROGRESS), job.c.lease_until < now - grace
        )
        sending = select(func.count()).where(
            in_state(delivery.c.state, DeliveryState.IN_PROGRESS), delivery.c.lease_until < now - grace
        )
        with self._work.read() as connection:
            amount, oldest = connection.execute(due).one()
            jobs, deliveries = connection.execute(leased).scalar_one(), connection.execute(sending).scalar_one()
        return Standstill(amount, oldest, jobs, deliveries)

    def beats_on(self, host: str, since: datetime) -> list[tuple[str, int, dict[str, Any]]]:
        """Role, process id and what it says of itself, of every process that has beaten on ``host`` since then."""
        alive = select(role.c.role, role.c.pid, role.c.detail).where(role.c.host == host, role.c.heartbeat_at >= since)
        with self._work.read() as connection:
            return [
                (row.role, row.pid, dict(row.detail)) for row in connection.execute(alive.order_by(role.c.instance))
            ]

    def alerts_since(self, since: datetime) -> dict[str, int]:
        """How many alerts of each kind were raised since then."""
        counted = select(alert.c.kind, func.count().label("amount")).where(alert.c.raised_at >= since)
        with self._work.read() as connection:
            rows = connection.execute(counted.group_by(alert.c.kind).order_by(alert.c.kind))
            return {row.kind: row.amount for row in rows}
