"""The job table as a store of workitems (``ports.WorkitemStore``).

Whoever claims a job from outside becomes its owner like a worker, with an attempt and a lease; every change is made in
the transaction that has looked at the row and locked it, so that nobody's look is out of date.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from node.database import audit
from node.database.job_rows import insert_job
from node.database.plain import reason_to_plain
from node.database.subscription_rows import note
from node.database.tables import delivery, study
from node.database.tables import job as jobs
from node.database.unit_of_work import UnitOfWork
from node.database.workitem_rows import WORKITEMS, inputs_of, keep, outputs_of, wanted, workitem_from_row
from node.domain.audit import Action, Use
from node.domain.job import JobState
from node.domain.result import Outcome, Reason
from node.domain.workitem import (
    OUTSIDE,
    Change,
    Claim,
    NewWorkitem,
    Referenced,
    StepState,
    Workitem,
    WorkitemQuery,
)
from node.errors import DuplicateWorkitem, NoSuchWorkitem
from node.jobs.uses import job_subject
from node.ports import Clock

RELEASED = {"owner": None, "lease_until": None, "cancel_requested": False}
# What a job says that was performed elsewhere: this node has evaluated nothing.
ELSEWHERE = Reason("PerformedElsewhere", "Another system performed the analysis: see its own results in the archive")


class SqlWorkitems:
    """``lease_s`` is how long a performer from outside may be silent, ``max_attempts`` the budget of a new job."""

    def __init__(self, engine: Engine, clock: Clock, lease_s: float, max_attempts: int = 3) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._lease_s = lease_s
        self._max_attempts = max_attempts

    def get(self, uid: str) -> Workitem:
        with self._work.read() as connection:
            row = connection.execute(WORKITEMS.where(jobs.c.workitem_uid == uid)).first()
        if row is None:
            raise NoSuchWorkitem("there is no such workitem")
        return workitem_from_row(row)

    def find(self, query: WorkitemQuery, after: int, limit: int) -> Sequence[Workitem]:
        statement = WORKITEMS.where(wanted(query), jobs.c.id > after).order_by(jobs.c.id).limit(limit)
        with self._work.read() as connection:
            return [workitem_from_row(row) for row in connection.execute(statement)]

    def inputs(self, workitem: Workitem) -> Sequence[Referenced]:
        with self._work.read() as connection:
            return inputs_of(connection, workitem)

    def outputs(self, workitem: Workitem) -> Sequence[Referenced]:
        with self._work.read() as connection:
            return outputs_of(connection, workitem)

    def patient_id(self, study_instance_uid: str) -> str:
        """Whose study it is; empty where nothing of it was received."""
        wanted = select(study.c.patient_id).where(study.c.study_instance_uid == study_instance_uid)
        with self._work.read() as connection:
            return connection.execute(wanted).scalar() or ""

    def create(self, new: NewWorkitem, actor: str) -> Workitem:
        uid = new.job.workitem_uid
        assert uid is not None, "who creates a workitem names it"

        def step(connection: Connection) -> None:
            now = self._clock.now()
            if connection.execute(select(jobs.c.id).where(jobs.c.workitem_uid == uid)).first() is not None:
                raise DuplicateWorkitem("there is a workitem with this SOP Instance UID")
            made = insert_job(connection, new.job, now, self._max_attempts)
            keep(connection, made.id, {"attributes": dict(new.attributes)})
            detail = {"model": new.job.model, "model_version": new.job.model_version, "revision": new.job.revision}
            use = Use(Action.JOB_REQUESTED, job_subject(made.id), new.job.study_instance_uid, detail)
            audit.append(connection, actor, now, [use])

        self._work.write(step)
        return self.get(uid)

    def change(self, uid: str, actor: str, decide: Callable[[Workitem], Change]) -> Workitem:
        locked = WORKITEMS.where(jobs.c.workitem_uid == uid).with_for_update(of=jobs)

        def step(connection: Connection) -> None:
            row = connection.execute(locked).first()
            if row is None:
                raise NoSuchWorkitem("there is no such workitem")
            workitem = workitem_from_row(row)
            self._apply(connection, workitem, decide(workitem), actor)

        self._work.write(step)
        return self.get(uid)

    def _apply(self, connection: Connection, workitem: Workitem, change: Change, actor: str) -> None:
        now, job_id = self._clock.now(), workitem.job.id
        if change.report is not None:
            note(connection, workitem.uid, *change.report, now)
        values, said = self._values(workitem, change, now)
        if change.attributes is not None:
            said["attributes"] = dict(change.attributes)
        if said:
            keep(connection, job_id, said)
        if values or said:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(updated_at=now, **values))
        if change.priority is not None:
            of_job = update(delivery).where(delivery.c.job_id == job_id)
            connection.execute(of_job.values(priority=int(change.priority)))
        audit.append(connection, actor, now, list(_uses(workitem, change)))

    def _values(self, workitem: Workitem, change: Change, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
        """Columns of the job, and of what is said of it."""
        values: dict[str, Any] = {}
        said: dict[str, Any] = {}
        if change.priority is not None:
            values["priority"] = int(change.priority)
        if change.claim is not None:
            values |= _claimed(workitem, change.claim, now)
            said = {
                "performer": change.claim.performer,
                "transaction_digest": change.claim.digest,
                "transaction_attempt": workitem.job.attempt + 1,
            }
        if change.becomes is not None:
            values |= _ended(change.becomes, workitem.performer, now)
        elif change.cancel and workitem.job.state is JobState.IN_PROGRESS:
            values["cancel_requested"] = True
        elif change.cancel:
            values |= _ended(StepState.CANCELED, None, now)
        elif change.claim is not None or (workitem.is_performed_outside and not workitem.job.cancel_requested):
            # Whoever is asked to stop may still end it in the time that is left, and gets no more of it.
            values["lease_until"] = now + timedelta(seconds=self._lease_s)
        return values, said


def _claimed(workitem: Workitem, claim: Claim, now: datetime) -> dict[str, Any]:
    return {
        "state": JobState.IN_PROGRESS,
        "attempt": workitem.job.attempt + 1,
        "owner": f"{OUTSIDE}{claim.performer}",
        "started_at": now,
    }


def _ended(becomes: StepState, performer: str | None, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {**RELEASED, "finished_at": now}
    if becomes is StepState.CANCELED:
        return values | {"state": JobState.CANCELED}
    return values | {
        "state": JobState.COMPLETED,
        "error_code": None,
        "error": None,
        "outcome": Outcome.NOT_EVALUABLE,
        "reason": reason_to_plain(ELSEWHERE),
        "findings": [],
        "provenance": {"performed_by": performer},
    }


def _uses(workitem: Workitem, change: Change) -> Sequence[Use]:
    job = workitem.job
    told = {"model": job.model, "model_version": job.model_version}
    use = Use(Action.JOB_CANCELED, job_subject(job.id), job.study_instance_uid, told)
    if change.becomes is StepState.COMPLETED:
        detail = {**told, "attempt": job.attempt, "performed_by": workitem.performer}
        return [replace(use, action=Action.JOB_COMPLETED, detail=detail)]
    return [use] if change.cancel or change.becomes is StepState.CANCELED else []
