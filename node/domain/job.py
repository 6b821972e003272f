"""Jobs, in the words of the Unified Procedure Step (PS3.4 CC.1.1)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from node.domain.prior import Priors
from node.domain.result import InferenceResult, Outcome, Reason, ResultObject


class JobState(enum.StrEnum):
    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


# A retry goes IN_PROGRESS -> SCHEDULED with run_after; an operator's retry makes FAILED or CANCELED SCHEDULED again,
# and his cancel gives a FAILED one up.
JOB_TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.SCHEDULED: frozenset({JobState.IN_PROGRESS, JobState.CANCELED}),
    JobState.IN_PROGRESS: frozenset(
        {JobState.COMPLETED, JobState.FAILED, JobState.CANCELED, JobState.SCHEDULED},
    ),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset({JobState.SCHEDULED, JobState.CANCELED}),
    JobState.CANCELED: frozenset({JobState.SCHEDULED}),
}


class Priority(enum.IntEnum):
    """Smaller is more urgent, so that the claim's index is ascending."""

    HIGH = 0
    MEDIUM = 1
    LOW = 2


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be enqueued; ``key`` is unique: enqueueing the same key twice makes one job.

    ``unfit`` is set when admission found the series outside the model's limits: the job then writes that down.
    ``priors_wait_s`` is how long the job waits for earlier studies, None where its model wants none.
    ``workitem_uid`` is the SOP Instance UID of the job as a workitem, where somebody else has chosen it.
    """

    key: str
    model: str
    model_version: str
    study_instance_uid: str
    series_instance_uids: tuple[str, ...]
    revision: int
    accession_number: str
    destinations: tuple[str, ...]
    priority: Priority = Priority.MEDIUM
    unfit: Reason | None = None
    priors_wait_s: float | None = None
    workitem_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the job table. ``owner`` and ``attempt`` fence every save: see ``JobQueue``."""

    id: int
    key: str
    state: JobState
    model: str
    model_version: str
    study_instance_uid: str
    series_instance_uids: tuple[str, ...]
    revision: int
    accession_number: str
    destinations: tuple[str, ...]
    priority: Priority
    attempt: int
    max_attempts: int
    created_at: datetime
    unfit: Reason | None = None
    run_after: datetime | None = None
    owner: str | None = None
    lease_until: datetime | None = None
    cancel_requested: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error_code: str | None = None
    error: str | None = None
    outcome: Outcome | None = None
    reason: Reason | None = None
    superseded_by: int | None = None
    superseded_at: datetime | None = None
    withdrawn_at: datetime | None = None
    priors: Priors | None = None


class Lease(enum.StrEnum):
    """What a heartbeat answers."""

    HELD = "HELD"
    CANCEL = "CANCEL"  # an operator wants it canceled
    LOST = "LOST"  # no longer ours: drop everything quietly


@dataclass(frozen=True, slots=True)
class Completion:
    """What COMPLETED writes in one transaction: the result, its objects, and one delivery for each destination."""

    result: InferenceResult
    objects: tuple[ResultObject, ...]
    provenance: dict[str, object]
