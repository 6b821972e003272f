"""A claimed job's lease, kept by heartbeats, and every reason for which its run must stop."""

from __future__ import annotations

import enum
import threading
import time
from types import TracebackType

import structlog

from node.domain.job import Job, Lease
from node.errors import AinodeError, JobCanceled
from node.ports import JobQueue

log = structlog.get_logger()

# Two beats may fail before the lease is over.
BEATS_IN_A_LEASE = 3.0
# Beats are how a worker learns that an operator cancels: he sees it done within two seconds.
BEAT_S = 1.0


class Ending(enum.StrEnum):
    """Why a run is stopped from outside."""

    LOST = "the lease was lost"
    CANCELED = "canceled by an operator"
    DRAINING = "the worker drains"


class KeptLease:
    """Context manager: a thread beats while the job is worked on.

    ``stop`` is for ``ModelExecutor.run``; ``ending`` says afterwards what it was.
    """

    def __init__(self, queue: JobQueue, job: Job, lease_s: float, draining: threading.Event, grace_s: float) -> None:
        self._queue = queue
        self._job = job
        self._lease_s = lease_s
        self._draining = draining
        self._grace_s = grace_s
        self._drain_by: float | None = None
        self._answered: Ending | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease of job {job.id}", daemon=True)

    def __enter__(self) -> KeptLease:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    @property
    def ending(self) -> Ending | None:
        """The first reason to stop; LOST before all others, for nothing may be saved then."""
        if self._answered is not None:
            return self._answered
        if self._draining.is_set():
            now = time.monotonic()
            self._drain_by = self._drain_by or now + self._grace_s
            if now >= self._drain_by:
                return Ending.DRAINING
        return None

    def stop(self) -> AinodeError | None:
        """The error that ends the run, None while it may go on."""
        ending = self.ending
        return None if ending is None else JobCanceled(ending.value)

    def _beat(self) -> None:
        held_until = time.monotonic() + self._lease_s
        while not self._done.wait(min(self._lease_s / BEATS_IN_A_LEASE, BEAT_S)):
            begin = time.monotonic()
            answer = self._ask()
            if answer is Lease.HELD:
                held_until = begin + self._lease_s
            elif answer is Lease.CANCEL:
                self._answered = Ending.CANCELED
                held_until = begin + self._lease_s
            elif answer is Lease.LOST or begin >= held_until:
                self._answered = Ending.LOST
                return

    def _ask(self) -> Lease | None:
        """The answer of the queue; None when it could not be asked."""
        try:
            return self._queue.heartbeat(self._job, self._lease_s)
        except Exception as error:  # noqa: BLE001  the worker loop's edge in its second thread: a database away is no end
            log.warning("job.heartbeat_failed", job=self._job.id, error=type(error).__name__)
            return None
