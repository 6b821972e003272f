"""The job table as a queue (``ports.JobQueue``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, case, delete, exists, literal, or_, select, update

from node.database.delivery_rows import insert_delivery, insert_result
from node.database.job_rows import insert_job, job_from_row
from node.database.plain import findings_to_plain, reason_to_plain
from node.database.statements import insert_new
from node.database.tables import job as jobs
from node.database.tables import setting
from node.database.types import UtcDateTime
from node.database.unit_of_work import UnitOfWork
from node.domain.job import JOB_TRANSITIONS, Completion, Job, JobState, Lease, NewJob, Priority
from node.errors import AinodeError, InvalidTransition, NotFound, WorkerLost
from node.jobs.claim import PAUSED, due, postgresql_claim, sqlite_claim
from node.ports import Clock

DELIVERY_ATTEMPTS = 100
RELEASED: Mapping[str, Any] = {"owner": None, "lease_until": None}


class SqlJobQueue:
    """``max_attempts`` is the budget of a new job, ``delivery_attempts`` that of its deliveries, by destination."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        max_attempts: int = 3,
        delivery_attempts: Mapping[str, int] | None = None,
    ) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._max_attempts = max_attempts
        self._delivery_attempts = dict(delivery_attempts or {})
        self._claim_statement = postgresql_claim if engine.dialect.name == "postgresql" else sqlite_claim

    def enqueue(self, job: NewJob) -> int:
        now = self._clock.now()
        return self._work.write(lambda connection: insert_job(connection, job, now, self._max_attempts))

    def claim(self, owner: str, lease_s: float, models: Sequence[str] | None = None) -> Job | None:
        now = self._clock.now()
        # Looked at first without the right to write: an idle worker must not hold up the receivers.
        with self._work.read() as connection:
            if connection.execute(due(now, models)).first() is None:
                return None
        statement = self._claim_statement(owner, lease_s, models, now)
        row = self._work.write(lambda connection: connection.execute(statement).first())
        return None if row is None else job_from_row(row)

    def heartbeat(self, job: Job, lease_s: float) -> Lease:
        until = self._clock.now() + timedelta(seconds=lease_s)
        statement = update(jobs).where(_held(job)).values(lease_until=until).returning(jobs.c.cancel_requested)
        cancel = self._work.write(lambda connection: connection.execute(statement).scalar())
        if cancel is None:
            return Lease.LOST
        return Lease.CANCEL if cancel else Lease.HELD

    def complete(self, job: Job, completion: Completion) -> bool:
        return self._work.write(lambda connection: self._complete(connection, job, completion))

    def _complete(self, connection: Connection, job: Job, completion: Completion) -> bool:
        now = self._clock.now()
        done = {
            "state": JobState.COMPLETED,
            "finished_at": now,
            "error_code": None,
            "error": None,
            "outcome": completion.result.outcome,
            "reason": reason_to_plain(completion.result.reason),
            "findings": findings_to_plain(completion.result.findings),
            "provenance": completion.provenance,
        }
        if not self._save(connection, job, done):
            return False
        for written in completion.objects:
            result_id = insert_result(connection, job.id, written, now)
            for destination in job.destinations:
                attempts = self._delivery_attempts.get(destination, DELIVERY_ATTEMPTS)
                insert_delivery(connection, job.id, result_id, destination, attempts, now)
        return True

    def fail(self, job: Job, error: AinodeError, retry_after_s: float | None) -> bool:
        now = self._clock.now()
        facts: dict[str, Any] = {"error_code": error.code, "error": error.message}
        if retry_after_s is None:
            facts |= {"state": JobState.FAILED, "finished_at": now}
        else:
            facts |= _rescheduled() | {"run_after": now + timedelta(seconds=retry_after_s)}
            facts |= {"finished_at": _when(jobs.c.cancel_requested, now)}
        return self._work.write(lambda connection: self._save(connection, job, facts))

    def cancel_claimed(self, job: Job) -> bool:
        facts = {"state": JobState.CANCELED, "finished_at": self._clock.now()}
        return self._work.write(lambda connection: self._save(connection, job, facts))

    def hand_back(self, job: Job) -> bool:
        """The attempt stays counted, for it fences saves; the budget grows by one instead."""
        now = self._clock.now()
        facts = _rescheduled() | {
            "finished_at": _when(jobs.c.cancel_requested, now),
            "started_at": None,
            "max_attempts": jobs.c.max_attempts + 1,
        }
        return self._work.write(lambda connection: self._save(connection, job, facts))

    def rescue(self) -> Sequence[int]:
        now = self._clock.now()
        lost = and_(jobs.c.state == JobState.IN_PROGRESS, jobs.c.lease_until <= now)
        with self._work.read() as connection:
            if connection.execute(select(jobs.c.id).where(lost).limit(1)).first() is None:
                return []
        used_up = jobs.c.attempt >= jobs.c.max_attempts
        error = WorkerLost("the process that ran the job is gone")
        statement = update(jobs).where(lost)
        statement = statement.values(
            **RELEASED,
            state=case(
                (jobs.c.cancel_requested, JobState.CANCELED.value),
                (used_up, JobState.FAILED.value),
                else_=JobState.SCHEDULED.value,
            ),
            finished_at=_when(or_(jobs.c.cancel_requested, used_up), now),
            run_after=now,
            error_code=error.code,
            error=error.message,
            updated_at=now,
        )
        return self._work.write(lambda connection: sorted(connection.execute(statement.returning(jobs.c.id)).scalars()))

    def get(self, job_id: int) -> Job:
        with self._work.read() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).first()
        if row is None:
            raise NotFound(f"no job {job_id}")
        return job_from_row(row)

    def cancel(self, job_id: int) -> None:
        self._work.write(lambda connection: self._cancel(connection, job_id))

    def _cancel(self, connection: Connection, job_id: int) -> None:
        state = _locked_state(connection, job_id)
        if JobState.CANCELED not in JOB_TRANSITIONS[state]:
            raise InvalidTransition(f"job {job_id} is {state} and cannot be canceled")
        if state is JobState.IN_PROGRESS:
            self._change(connection, job_id, {"cancel_requested": True})
        else:
            self._change(connection, job_id, {"state": JobState.CANCELED, "finished_at": self._clock.now()})

    def retry(self, job_id: int) -> None:
        self._work.write(lambda connection: self._retry(connection, job_id))

    def _retry(self, connection: Connection, job_id: int) -> None:
        state = _locked_state(connection, job_id)
        if state not in {JobState.FAILED, JobState.CANCELED}:
            raise InvalidTransition(f"job {job_id} is {state}; only a failed or canceled one is run again")
        fresh = {
            "state": JobState.SCHEDULED,
            "run_after": self._clock.now(),
            "finished_at": None,
            "cancel_requested": False,
            "max_attempts": jobs.c.attempt + self._max_attempts,
            "budget": self._max_attempts,
        }
        self._change(connection, job_id, fresh)

    def prioritise(self, job_id: int, priority: Priority) -> None:
        """Also of a finished job: its deliveries go in the order of its priority.

        Raises:
            NotFound: there is no such job.
        """
        self._work.write(lambda connection: self._change(connection, job_id, {"priority": int(priority)}))

    def pause(self) -> None:
        values = {"name": PAUSED, "set_at": self._clock.now()}
        self._work.write(lambda connection: insert_new(connection, setting, ("name",), values))

    def resume(self) -> None:
        self._work.write(lambda connection: connection.execute(delete(setting).where(setting.c.name == PAUSED)))

    def paused(self) -> bool:
        with self._work.read() as connection:
            return bool(connection.execute(select(exists().where(setting.c.name == PAUSED))).scalar())

    def _save(self, connection: Connection, job: Job, facts: Mapping[str, Any]) -> bool:
        """Change the row if it is still this owner's, at this attempt, and let it go."""
        changes = {**RELEASED, "cancel_requested": False, "updated_at": self._clock.now(), **facts}
        return connection.execute(update(jobs).where(_held(job)).values(**changes)).rowcount == 1

    def _change(self, connection: Connection, job_id: int, changes: Mapping[str, Any]) -> None:
        changed = update(jobs).where(jobs.c.id == job_id).values(updated_at=self._clock.now(), **changes)
        if not connection.execute(changed).rowcount:
            raise NotFound(f"no job {job_id}")


def _held(job: Job) -> ColumnElement[bool]:
    return and_(
        jobs.c.id == job.id,
        jobs.c.state == JobState.IN_PROGRESS,
        jobs.c.owner == job.owner,
        jobs.c.attempt == job.attempt,
    )


def _rescheduled() -> dict[str, Any]:
    """SCHEDULED again; but what an operator wanted canceled does not run once more."""
    return {"state": case((jobs.c.cancel_requested, JobState.CANCELED.value), else_=JobState.SCHEDULED.value)}


def _when(condition: ColumnElement[bool], now: datetime) -> ColumnElement[datetime | None]:
    return case((condition, literal(now, UtcDateTime)))


def _locked_state(connection: Connection, job_id: int) -> JobState:
    state = connection.execute(select(jobs.c.state).where(jobs.c.id == job_id).with_for_update()).scalar()
    if state is None:
        raise NotFound(f"no job {job_id}")
    return JobState(state)
