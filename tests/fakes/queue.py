"""An in-memory ``JobQueue``: states, fencing by attempt and owner, leases; time comes from outside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from node.domain.job import Completion, Job, JobState, Lease, NewJob, Priority
from node.errors import AinodeError, InvalidTransition, NotFound, StoreUnavailable, WorkerLost


class FakeJobQueue:
    """``fail_with`` is raised by every call as long as it is set."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC), max_attempts: int = 3) -> None:
        self._now = now
        self._max_attempts = max_attempts
        self._lock = threading.RLock()
        self._paused = False
        self.jobs: dict[int, Job] = {}
        self.completions: dict[int, Completion] = {}
        self.announced: dict[int, list[str]] = {}
        self.heartbeats = 0
        self.refusals = 0
        self.fail_with: Exception | None = None

    def enqueue(self, job: NewJob) -> int:
        for known in self.jobs.values():
            if known.key == job.key:
                return known.id
        number = len(self.jobs) + 1
        self.jobs[number] = Job(
            id=number,
            key=job.key,
            state=JobState.SCHEDULED,
            model=job.model,
            model_version=job.model_version,
            study_instance_uid=job.study_instance_uid,
            series_instance_uids=job.series_instance_uids,
            revision=job.revision,
            accession_number=job.accession_number,
            destinations=job.destinations,
            priority=job.priority,
            attempt=0,
            max_attempts=self._max_attempts,
            created_at=self._now(),
            unfit=job.unfit,
        )
        return number

    def claim(self, owner: str, lease_s: float, models: Sequence[str] | None = None) -> Job | None:
        with self._lock:
            self._trouble()
            due = [job for job in self.jobs.values() if self._due(job, models)]
            if self._paused or not due:
                return None
            job = min(due, key=lambda each: (each.priority, each.id))
            self.jobs[job.id] = replace(
                job,
                state=JobState.IN_PROGRESS,
                attempt=job.attempt + 1,
                owner=owner,
                run_after=None,
                lease_until=self._now() + timedelta(seconds=lease_s),
            )
            return self.jobs[job.id]

    def heartbeat(self, job: Job, lease_s: float) -> Lease:
        with self._lock:
            self.heartbeats += 1
            self._trouble()
            if not self._mine(job):
                return Lease.LOST
            self._change(job.id, lease_until=self._now() + timedelta(seconds=lease_s))
            return Lease.CANCEL if self.jobs[job.id].cancel_requested else Lease.HELD

    def announce(self, job: Job, keys: Sequence[str]) -> bool:
        with self._lock:
            self._trouble()
            if self._mine(job):
                self.announced.setdefault(job.id, []).extend(keys)
            return self._mine(job)

    def complete(self, job: Job, completion: Completion) -> bool:
        if not self._save(job, state=JobState.COMPLETED, outcome=completion.result.outcome):
            return False
        self.completions[job.id] = completion
        return True

    def fail(self, job: Job, error: AinodeError, retry_after_s: float | None) -> bool:
        again = None if retry_after_s is None else self._now() + timedelta(seconds=retry_after_s)
        state = JobState.FAILED if again is None else JobState.SCHEDULED
        more = 1 if isinstance(error, StoreUnavailable) and again else 0
        attempts = job.max_attempts + more
        return self._save(
            job, state=state, run_after=again, error_code=error.code, error=error.message, max_attempts=attempts
        )

    def cancel_claimed(self, job: Job) -> bool:
        return self._save(job, state=JobState.CANCELED)

    def hand_back(self, job: Job) -> bool:
        return self._save(job, state=JobState.SCHEDULED, attempt=job.attempt - 1)

    def rescue(self) -> Sequence[int]:
        with self._lock:
            lost = [job for job in self.jobs.values() if job.lease_until is not None and job.lease_until <= self._now()]
            for job in lost:
                self.fail(job, WorkerLost("the lease is over"), 0.0 if job.attempt < job.max_attempts else None)
            return [job.id for job in lost]

    def get(self, job_id: int) -> Job:
        if job_id not in self.jobs:
            raise NotFound("no such job")
        return self.jobs[job_id]

    def cancel(self, job_id: int) -> None:
        job = self.get(job_id)
        if job.state in (JobState.SCHEDULED, JobState.FAILED):
            self._change(job_id, state=JobState.CANCELED)
        elif job.state is JobState.IN_PROGRESS:
            self._change(job_id, cancel_requested=True)
        else:
            raise InvalidTransition(f"{job.state} jobs cannot be canceled")

    def retry(self, job_id: int) -> None:
        job = self.get(job_id)
        if job.state not in (JobState.FAILED, JobState.CANCELED):
            raise InvalidTransition(f"{job.state} jobs cannot be retried")
        self._change(
            job_id, state=JobState.SCHEDULED, cancel_requested=False, max_attempts=job.attempt + self._max_attempts
        )

    def prioritise(self, job_id: int, priority: Priority) -> None:
        self._change(job_id, priority=priority)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def paused(self) -> bool:
        return self._paused

    def take_away(self, job_id: int) -> None:
        """As if another worker had claimed the job after its lease was over."""
        job = self.get(job_id)
        self._change(job_id, owner="another worker", attempt=job.attempt + 1)

    def _due(self, job: Job, models: Sequence[str] | None) -> bool:
        wanted = models is None or job.model in models
        return wanted and job.state is JobState.SCHEDULED and (job.run_after is None or job.run_after <= self._now())

    def _mine(self, job: Job) -> bool:
        row = self.jobs[job.id]
        return (row.state, row.owner, row.attempt) == (JobState.IN_PROGRESS, job.owner, job.attempt)

    def _save(self, job: Job, **changes: object) -> bool:
        with self._lock:
            self._trouble()
            if not self._mine(job):
                return False
            self._change(job.id, owner=None, lease_until=None, **changes)
            return True

    def _change(self, job_id: int, **changes: object) -> None:
        self.jobs[job_id] = replace(self.jobs[job_id], **changes)  # type: ignore[arg-type]

    def _trouble(self) -> None:
        if self.fail_with is not None:
            self.refusals += 1
            raise self.fail_with
