"""When what waits will be done, as far as that can be told: from how long the last runs of each model took."""

from __future__ import annotations

import heapq
import statistics
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from node.database.statements import in_state
from node.database.tables import job
from node.database.unit_of_work import UnitOfWork
from node.domain.job import JobState
from node.ports import Clock

# Runs that the estimate rests on, and waiting jobs that it is made for: of those further behind nothing is said.
RUNS, AHEAD = 200, 300
FRESH_FOR = timedelta(seconds=2)


class Waiting:
    """Estimates for every listener and page together, made at most every two seconds. Of several threads."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._lock = threading.Lock()
        self._made_at: datetime | None = None
        self._done_at: Mapping[int, datetime] = {}

    def done_at(self, workers: int) -> Mapping[int, datetime]:
        """When each waiting or running job will be done, if ``workers`` go on as before; only where that is known."""
        with self._lock:
            now = self._clock.now()
            if self._made_at is None or now - self._made_at >= FRESH_FOR:
                with self._work.read() as connection:
                    self._done_at = _estimates(connection, now, workers)
                self._made_at = now
            return self._done_at


def _estimates(connection: Connection, now: datetime, workers: int) -> dict[int, datetime]:
    columns = (job.c.id, job.c.model, job.c.started_at, job.c.finished_at)
    waiting = select(*columns).where(in_state(job.c.state, JobState.SCHEDULED), job.c.run_after <= now)
    ahead = connection.execute(waiting.order_by(job.c.priority, job.c.run_after, job.c.id).limit(AHEAD)).all()
    running = connection.execute(select(*columns).where(in_state(job.c.state, JobState.IN_PROGRESS))).all()
    if not ahead and not running:
        return {}
    finished = select(*columns).where(job.c.state == JobState.COMPLETED).order_by(job.c.id.desc()).limit(RUNS)
    return estimate(now, workers, running, ahead, _durations(connection.execute(finished).all()))


def _durations(runs: Sequence[Row[*tuple[Any, ...]]]) -> dict[str, timedelta]:
    """The median of each model."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        if run.started_at is not None and run.finished_at is not None:
            seconds[run.model].append((run.finished_at - run.started_at).total_seconds())
    return {model: timedelta(seconds=statistics.median(found)) for model, found in seconds.items()}


def estimate(
    now: datetime, workers: int, running: Sequence[Any], ahead: Sequence[Any], durations: Mapping[str, timedelta]
) -> dict[int, datetime]:
    """Each worker takes the next waiting job when it is free. Behind a job of a model that never ran nothing is known.

    ``running`` and ``ahead``, in the order in which they are claimed, have ``id``, ``model`` and ``started_at``.
    """
    if not workers:
        return {}
    found: dict[int, datetime] = {}
    free: list[datetime] = []
    for one in running:
        if one.model in durations and one.started_at is not None:
            found[one.id] = one.started_at + durations[one.model]
            free.append(max(found[one.id], now))
    free = (free + [now] * workers)[: max(workers, len(free))]
    heapq.heapify(free)
    for one in ahead:
        if one.model not in durations:
            break
        found[one.id] = heapq.heappop(free) + durations[one.model]
        heapq.heappush(free, found[one.id])
    return found
