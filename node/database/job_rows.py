"""Jobs as rows: how one is written and read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from node.database import supersession
from node.database.plain import reason_from_plain, reason_to_plain
from node.database.statements import insert_new
from node.database.tables import job as jobs
from node.domain.job import Job, JobState, NewJob, Priority
from node.domain.result import Outcome


def insert_job(connection: Connection, new: NewJob, now: datetime, max_attempts: int) -> int:
    """The id of the job with this key, made if it did not exist; a new one replaces what is unfinished of the same."""
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
            "run_after": now,
            "cancel_requested": False,
            "created_at": now,
            "updated_at": now,
        },
    )
    job_id: int = connection.execute(select(jobs.c.id).where(jobs.c.key == new.key)).scalar_one()
    if made:
        supersession.replace_unfinished(connection, job_id, new, now)
    return job_id


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
    )
