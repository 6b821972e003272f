"""The job table as a queue (``ports.JobQueue``)."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, case, delete, exists, literal, select, update

from node.database import audit, supersession
from node.database.job_rows import insert_job, job_from_row
from node.database.plain import findings_to_plain, reason_to_plain
from node.database.removals import announce
from node.database.sending import Sending
from node.database.statements import in_state, insert_new
from node.database.subscription_rows import note
from node.database.tables import delivery, setting
from node.database.tables import job as jobs
from node.database.types import UtcDateTime
from node.database.unit_of_work import UnitOfWork
from node.database.workitem_rows import renewed
from node.domain.audit import SYSTEM, Action, Use
from node.domain.job import JOB_TRANSITIONS, Completion, Job, JobState, Lease, NewJob, Priority
from node.domain.rendition import Wishes
from node.domain.retry import RetryPolicy
from node.domain.workitem import OUTSIDE, EventType, cancel_information
from node.errors import AinodeError, AlreadyWithdrawn, InvalidTransition, NotFound, StoreUnavailable, WorkerLost
from node.jobs.claim import PAUSED, ClaimStatements, parameters
from node.jobs.uses import completed, failed, job_subject
from node.ports import Clock

MAX_WAIT_S = 600.0
RETRY = RetryPolicy()
RELEASED: Mapping[str, Any] = {"owner": None, "lease_until": None}
QUEUE = "queue"
_TOLD = (jobs.c.model, jobs.c.model_version, jobs.c.study_instance_uid)


class SqlJobQueue:
    """``max_attempts`` is the budget of a new job, ``delivery_attempts`` that of its deliveries, by destination, and
    ``wishes`` what each destination is sent.

    A job that has been due for ``max_wait_s`` goes before every priority. ``retry`` says how long a job waits whose
    worker was lost; ``chance`` is uniform in 0..1. ``actor`` is who does all this, for the log of uses, and
    ``ae_title`` in whose name performers from outside are asked to stop.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        max_attempts: int = 3,
        delivery_attempts: Mapping[str, int] | None = None,
        max_wait_s: float = MAX_WAIT_S,
        retry: RetryPolicy = RETRY,
        chance: Callable[[], float] = random.random,
        wishes: Mapping[str, Wishes] | None = None,
        actor: str = SYSTEM,
        ae_title: str = "",
    ) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._actor = actor
        self._ae_title = ae_title
        self._max_attempts = max_attempts
        self._sending = Sending(dict(delivery_attempts or {}), {} if wishes is None else wishes)
        self._max_wait_s = max_wait_s
        self._after_loss = retry
        self._chance = chance
        self._dialect = engine.dialect.name
        self._any_model = ClaimStatements(self._dialect, None)

    def acting(self, actor: str) -> SqlJobQueue:
        """This queue, used by somebody else."""
        other = copy.copy(self)
        other._actor = actor
        return other

    def enqueue(self, job: NewJob) -> int:
        return self._work.write(lambda connection: self._enqueue(connection, job))

    def _enqueue(self, connection: Connection, job: NewJob) -> int:
        made = insert_job(connection, job, self._clock.now(), self._max_attempts)
        if made.new:
            detail = {"model": job.model, "model_version": job.model_version, "revision": job.revision}
            use = Use(Action.JOB_REQUESTED, job_subject(made.id), job.study_instance_uid, detail)
            self._log(connection, use)
        return made.id

    def claim(self, owner: str, lease_s: float, models: Sequence[str] | None = None) -> Job | None:
        statements = self._any_model if models is None else ClaimStatements(self._dialect, models)
        values = parameters(owner, lease_s, self._max_wait_s, self._clock.now())
        # Looked at first without the right to write: an idle worker must not hold up the receivers.
        with self._work.read() as connection:
            if connection.execute(statements.look, values).scalar() is None:
                return None
        row = self._work.write(lambda connection: connection.execute(statements.claim, values).first())
        return None if row is None else job_from_row(row)

    def heartbeat(self, job: Job, lease_s: float) -> Lease:
        until = self._clock.now() + timedelta(seconds=lease_s)
        statement = update(jobs).where(_held(job)).values(lease_until=until).returning(jobs.c.cancel_requested)
        cancel = self._work.write(lambda connection: connection.execute(statement).scalar())
        if cancel is None:
            return Lease.LOST
        return Lease.CANCEL if cancel else Lease.HELD

    def announce(self, job: Job, keys: Sequence[str]) -> bool:
        def step(connection: Connection) -> bool:
            if connection.execute(select(jobs.c.id).where(_held(job)).with_for_update()).first() is None:
                return False
            announce(connection, job.id, keys, self._clock.now())
            return True

        return self._work.write(step)

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
        if supersession.is_replaced(connection, job):
            self._save(connection, job, {"state": JobState.CANCELED, "finished_at": now})
            return False
        if not self._save(connection, job, done):
            return False
        supersession.take_over(connection, job, [written.sop_instance_uid for written in completion.objects], now)
        # An operator may have changed it since the claim.
        priority = connection.execute(select(jobs.c.priority).where(jobs.c.id == job.id)).scalar_one()
        self._sending.insert(connection, job, completion.objects, completion.result.outcome, priority, now)
        self._log(connection, completed(job, completion))
        return True

    def fail(self, job: Job, error: AinodeError, retry_after_s: float | None) -> bool:
        """As in the port; a disk that was full, or a database that was away, costs the job nothing of its budget."""
        now = self._clock.now()
        facts: dict[str, Any] = {"error_code": error.code, "error": error.message}
        if retry_after_s is None:
            facts |= _failed(now)
        else:
            facts |= _rescheduled() | {"run_after": now + timedelta(seconds=retry_after_s)}
            facts |= {"finished_at": _when(jobs.c.cancel_requested, now)}
        if isinstance(error, StoreUnavailable) and retry_after_s is not None:
            facts["max_attempts"] = jobs.c.max_attempts + 1

        def step(connection: Connection) -> bool:
            saved = self._save(connection, job, facts)
            if saved and retry_after_s is None:
                self._log(connection, failed(job, error.code))
            return saved

        return self._work.write(step)

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
        columns = (jobs.c.id, jobs.c.attempt, jobs.c.max_attempts, jobs.c.cancel_requested, *_TOLD)
        lost = select(*columns).where(in_state(jobs.c.state, JobState.IN_PROGRESS), jobs.c.lease_until <= now)
        with self._work.read() as connection:
            if connection.execute(lost.limit(1)).first() is None:
                return []
        locked = lost.order_by(jobs.c.id).with_for_update(skip_locked=True)

        def step(connection: Connection) -> list[int]:
            rows = connection.execute(locked).all()
            over = [row for row in rows if self._rescue(connection, row, now) is JobState.FAILED]
            self._log(connection, *(failed(row, WorkerLost.code) for row in over))
            return [row.id for row in rows]

        return self._work.write(step)

    def _rescue(self, connection: Connection, row: Row[*tuple[Any, ...]], now: datetime) -> JobState:
        """What becomes of the job, which a worker's death cost an attempt; perhaps the job is what killed it."""
        error = WorkerLost("the process that ran the job is gone")
        lost = {"error_code": error.code, "error": error.message}
        facts: dict[str, Any]
        if row.cancel_requested:
            facts = {"state": JobState.CANCELED, "finished_at": now, "cancel_requested": False}
        elif row.attempt >= row.max_attempts:
            facts = _failed(now) | lost
        else:
            delay_s = self._after_loss.delay_s(row.attempt, self._chance())
            facts = {"state": JobState.SCHEDULED, "run_after": now + timedelta(seconds=delay_s), **lost}
        self._change(connection, row.id, {**RELEASED, **facts})
        state: JobState = facts["state"]
        return state

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
            self._ask_performer(connection, job_id)
        else:
            self._change(connection, job_id, {"state": JobState.CANCELED, "finished_at": self._clock.now()})
        self._log_about(connection, Action.JOB_CANCELED, job_id)

    def _ask_performer(self, connection: Connection, job_id: int) -> None:
        """Whoever claimed it from outside is told like by any other request to cancel (PS3.4 section CC.2.2.3)."""
        columns = (jobs.c.workitem_uid, jobs.c.owner)
        row = connection.execute(select(*columns).where(jobs.c.id == job_id)).one()
        if row.workitem_uid is not None and str(row.owner).startswith(OUTSIDE):
            information = cancel_information(self._ae_title, "an operator of the node asks for it")
            note(connection, row.workitem_uid, EventType.CANCEL_REQUESTED, information, self._clock.now())

    def retry(self, job_id: int) -> None:
        self._work.write(lambda connection: self._retry(connection, job_id))

    def _retry(self, connection: Connection, job_id: int) -> None:
        state = _locked_state(connection, job_id)
        supersession.require_current(connection, job_id)
        _require_in_use(connection, job_id)
        if state not in {JobState.FAILED, JobState.CANCELED}:
            raise InvalidTransition(f"job {job_id} is {state}; only a failed or canceled one is run again")
        fresh = {
            "state": JobState.SCHEDULED,
            "run_after": self._clock.now(),
            "finished_at": None,
            "cancel_requested": False,
            "max_attempts": jobs.c.attempt + self._max_attempts,
            "budget": self._max_attempts,
            # How this run ends will be told.
            "document_due_at": None,
            "document_error": None,
            "outcome": None,
            "reason": None,
        }
        self._change(connection, job_id, fresh | renewed(connection, job_id, self._clock.now()))
        self._log_about(connection, Action.JOB_RETRIED, job_id)

    def prioritise(self, job_id: int, priority: Priority) -> None:
        """Also of a finished job: its deliveries go in the order of its priority.

        Raises:
            NotFound: there is no such job.
        """
        self._work.write(lambda connection: self._prioritise(connection, job_id, {"priority": int(priority)}))

    def _prioritise(self, connection: Connection, job_id: int, changes: Mapping[str, Any]) -> None:
        self._change(connection, job_id, changes)
        connection.execute(update(delivery).where(delivery.c.job_id == job_id).values(**changes))
        self._log_about(connection, Action.JOB_PRIORITISED, job_id, changes)

    def pause(self) -> None:
        self._work.write(self._pause)

    def _pause(self, connection: Connection) -> None:
        if insert_new(connection, setting, ("name",), {"name": PAUSED, "set_at": self._clock.now()}):
            self._log(connection, Use(Action.QUEUE_PAUSED, QUEUE))

    def resume(self) -> None:
        self._work.write(self._resume)

    def _resume(self, connection: Connection) -> None:
        if connection.execute(delete(setting).where(setting.c.name == PAUSED)).rowcount:
            self._log(connection, Use(Action.QUEUE_RESUMED, QUEUE))

    def paused(self) -> bool:
        with self._work.read() as connection:
            return bool(connection.execute(select(exists().where(setting.c.name == PAUSED))).scalar())

    def _log(self, connection: Connection, *uses: Use) -> None:
        """The last step of a transaction."""
        audit.append(connection, self._actor, self._clock.now(), uses)

    def _log_about(
        self, connection: Connection, action: Action, job_id: int, detail: Mapping[str, Any] | None = None
    ) -> None:
        study = connection.execute(select(jobs.c.study_instance_uid).where(jobs.c.id == job_id)).scalar_one()
        self._log(connection, Use(action, job_subject(job_id), study, detail))

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


def _failed(now: datetime) -> dict[str, Any]:
    """FAILED, and a document is due that says so: there is no other way into that state."""
    due = {"document_due_at": now, "document_attempt": 0, "document_error": None}
    return {"state": JobState.FAILED, "finished_at": now, **due}


def _require_in_use(connection: Connection, job_id: int) -> None:
    withdrawn = connection.execute(select(jobs.c.withdrawn_at).where(jobs.c.id == job_id)).scalar()
    if withdrawn is not None:
        raise AlreadyWithdrawn(f"what job {job_id} said is withdrawn: reprocess the study")


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
