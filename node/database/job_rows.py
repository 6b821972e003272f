"""Jobs as rows: how one is written and read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from node.database import supersession
from node.database.plain import reason_from_plain, reason_to_plain
from node.database.priors import priors_from_plain
from node.database.statements import insert_new
from node.database.tables import job as jobs
from node.domain.identity import derive_uid
from node.domain.job import Job, JobState, NewJob, Priority
from node.domain.prior import PriorState
from node.domain.result import Outcome


class MadeJob(NamedTuple):
    """``new``: there was none with this key."""

    id: int
    new: bool


def insert_job(connection: Connection, new: NewJob, now: datetime, max_attempts: int) -> MadeJob:
    """The job with this key, made if it did not exist; a new one replaces what is unfinished of the same."""
    made = insert_new(
        connection,
        jobs,
        ("key",),
        {
            "key": new.key,
            "state": JobState.SCHEDULED,
            "model": new.model,
            "model_version": new.model_version,
            "study_instance_uid": new.study_instance_uid,
            "series_instance_uids": list(new.series_instance_uids),
            "revision": new.revision,
            "accession_number": new.accession_number,
            "destinations": list(dict.fromkeys(new.destinations)),
            "priority": int(new.priority),
            "unfit": reason_to_plain(new.unfit),
            "attempt": 0,
            "max_attempts": max_attempts,
            "budget": max_attempts,
            "run_after": now + timedelta(seconds=new.priors_wait_s or 0.0),
            "priors_state": None if new.priors_wait_s is None else PriorState.WANTED,
            "cancel_requested": False,
            "created_at": now,
            "updated_at": now,
            "workitem_uid": new.workitem_uid or workitem_uid(new.key, now),
        },
    )
    job_id: int = connection.execute(select(jobs.c.id).where(jobs.c.key == new.key)).scalar_one()
    if made:
        supersession.replace_unfinished(connection, job_id, new, now)
    return MadeJob(job_id, made)


def workitem_uid(key: str, made_at: datetime) -> str:
    """The SOP Instance UID of a job as a workitem; another node's job with this key is another workitem."""
    return derive_uid("workitem", key, made_at.isoformat())


def job_from_row(row: Row[*tuple[Any, ...]]) -> Job:
    """``row`` has every column of the job table."""
    fields = row._mapping
    return Job(
        id=fields["id"],
        key=fields["key"],
        state=JobState(fields["state"]),
        model=fields["model"],
        model_version=fields["model_version"],
        study_instance_uid=fields["study_instance_uid"],
        series_instance_uids=tuple(fields["series_instance_uids"]),
        revision=fields["revision"],
        accession_number=fields["accession_number"],
        destinations=tuple(fields["destinations"]),
        priority=Priority(fields["priority"]),
        attempt=fields["attempt"],
        max_attempts=fields["max_attempts"],
        created_at=fields["created_at"],
        unfit=reason_from_plain(fields["unfit"]),
        run_after=fields["run_after"],
        owner=fields["owner"],
        lease_until=fields["lease_until"],
        cancel_requested=fields["cancel_requested"],
        started_at=fields["started_at"],
        finished_at=fields["finished_at"],
        error_code=fields["error_code"],
        error=fields["error"],
        outcome=None if fields["outcome"] is None else Outcome(fields["outcome"]),
        reason=reason_from_plain(fields["reason"]),
        superseded_by=fields["superseded_by"],
        superseded_at=fields["superseded_at"],
        withdrawn_at=fields["withdrawn_at"],
        priors=priors_from_plain(fields["priors_state"], fields["priors"]),
    )
