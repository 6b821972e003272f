"""The job table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.domain.job import Completion, Job, Lease, NewJob, Priority
from node.errors import AinodeError


class JobQueue(Protocol):
    """The job table. Every save is fenced by state IN_PROGRESS, ``owner`` and ``attempt`` of the job as claimed:

    ``False`` means "no longer yours": drop the result quietly.
    """

    def enqueue(self, job: NewJob) -> int:
        """The id of the job with this key, made if it did not exist.

        A new one supersedes what is unfinished of the same model and series, of an older revision or another version:
        CANCELED at once, or by its worker.
        """
        ...

    def claim(self, owner: str, lease_s: float, models: Sequence[str] | None = None) -> Job | None:
        """The next due job, now IN_PROGRESS with ``attempt`` + 1 and a lease: the most urgent, the longest due first.

        But one that has been due (``run_after``) for too long goes before any priority. None when the queue is paused
        or nothing is due.
        """
        ...

    def heartbeat(self, job: Job, lease_s: float) -> Lease: ...

    def announce(self, job: Job, keys: Sequence[str]) -> bool:
        """The attempt is about to put result objects under these keys: where it ends without ``complete``, or that
        does not name them, they are freed. Before the first is put, so that none is ever left for nobody.
        """
        ...

    def complete(self, job: Job, completion: Completion) -> bool:
        """COMPLETED, result rows and one delivery per (object, destination) in one transaction (outbox).

        What the model said of the same series before is superseded with it. A job that is itself superseded becomes
        CANCELED instead, and is no longer yours.
        """
        ...

    def fail(self, job: Job, error: AinodeError, retry_after_s: float | None) -> bool:
        """SCHEDULED again with ``run_after`` when ``retry_after_s`` is given, else FAILED. Keeps code and message.

        An attempt that ended with ``StoreUnavailable`` does not count towards the budget.
        """
        ...

    def cancel_claimed(self, job: Job) -> bool:
        """IN_PROGRESS -> CANCELED after the run was stopped."""
        ...

    def hand_back(self, job: Job) -> bool:
        """SCHEDULED again as if never claimed (a worker that drains)."""
        ...

    def rescue(self) -> Sequence[int]:
        """Jobs whose lease is over lose their owner, as ``WorkerLost``; their ids.

        They are retried after a growing delay, or FAILED when the attempts are used up: a job that kills whatever
        runs it holds up no other.
        """
        ...

    def get(self, job_id: int) -> Job:
        """
        Raises:
            NotFound: there is no such job.
        """
        ...

    def cancel(self, job_id: int) -> None:
        """SCHEDULED -> CANCELED at once; IN_PROGRESS: ``cancel_requested``, its worker stops it.

        Raises:
            NotFound, InvalidTransition
        """
        ...

    def retry(self, job_id: int) -> None:
        """FAILED or CANCELED -> SCHEDULED with a fresh budget of attempts (``attempt`` itself never goes back).

        Raises:
            NotFound, InvalidTransition, Superseded
        """
        ...

    def prioritise(self, job_id: int, priority: Priority) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def paused(self) -> bool: ...
