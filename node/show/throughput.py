"""How much the node did in the last day and in the day before it: the numbers of the charts."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select

from node.database.tables import job, series, study
from node.database.unit_of_work import UnitOfWork
from node.domain.job import JobState
from node.ports import Clock

STEP = timedelta(minutes=15)
STEPS = int(timedelta(days=1) / STEP)
FRESH_FOR = timedelta(seconds=30)
# The newest; where more was done in two days, the older end of the chart is empty rather than the page slow.
MOST_ROWS = 20_000
CHARTS = ("received", "waiting", "seconds_to_result", "failures")

# Of each step of a day a number, None where there is none.
Curve = list[float | None]


@dataclass(frozen=True, slots=True)
class Run:
    """Of one job: when it was made, taken and finished, and when the last image that it is about had come."""

    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    state: str
    last_image_at: datetime | None


class Throughput:
    """Reckoned at most every half minute. Of several threads."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._lock = threading.Lock()
        self._made_at: datetime | None = None
        self._document: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """``{"from", "step_s", "charts": {name: {"today": [...], "yesterday": [...]}}}``; the last step is now."""
        with self._lock:
            now = self._clock.now()
            if self._made_at is None or now - self._made_at >= FRESH_FOR:
                with self._work.read() as connection:
                    received, runs = _received(connection, now - 2 * STEPS * STEP), _runs(connection, now)
                self._document = curves(now, received, runs)
                self._made_at = now
            return self._document


def curves(now: datetime, received: Sequence[datetime], runs: Sequence[Run]) -> dict[str, Any]:
    """Pure. ``received``: studies; a result is a job's whatever it says."""
    start = now - 2 * STEPS * STEP
    minutes = STEP.total_seconds() / 60
    finished = [run for run in runs if run.finished_at is not None]
    to_result = [
        (run.finished_at, (run.finished_at - run.last_image_at).total_seconds())
        for run in finished
        if run.finished_at is not None and run.state == JobState.COMPLETED and run.last_image_at is not None
    ]
    failed = [(run.finished_at, 1.0) for run in finished if run.finished_at and run.state == JobState.FAILED]
    found: dict[str, Curve] = {
        "received": _steps(start, ((at, 1.0) for at in received), lambda values: sum(values) / minutes, 0.0),
        "waiting": [float(_waiting(runs, start + (index + 1) * STEP)) for index in range(2 * STEPS)],
        "seconds_to_result": _steps(start, to_result, statistics.median, None),
        "failures": _steps(start, failed, sum, 0.0),
    }
    charts = {name: {"yesterday": curve[:STEPS], "today": curve[STEPS:]} for name, curve in found.items()}
    return {"from": now - STEPS * STEP, "step_s": STEP.total_seconds(), "charts": charts}


def _steps(
    start: datetime,
    events: Iterable[tuple[datetime, float]],
    joined: Callable[[list[float]], float],
    nothing: float | None,
) -> Curve:
    held: list[list[float]] = [[] for _ in range(2 * STEPS)]
    for at, value in events:
        index = int((at - start) / STEP)
        if 0 <= index < len(held):
            held[index].append(value)
    return [joined(values) if values else nothing for values in held]


def _waiting(runs: Sequence[Run], at: datetime) -> int:
    return sum(run.created_at <= at and ((run.started_at or run.finished_at) or at) >= at for run in runs)


def _received(connection: Connection, since: datetime) -> list[datetime]:
    newest = select(study.c.received_at).where(study.c.received_at >= since)
    return list(connection.execute(newest.order_by(study.c.received_at.desc()).limit(MOST_ROWS)).scalars())


def _runs(connection: Connection, now: datetime) -> list[Run]:
    """Of the newest jobs; the last image is that of the series of their study that had come when they were made."""
    columns = (job.c.id, job.c.created_at, job.c.started_at, job.c.finished_at, job.c.state)
    since = now - 2 * STEPS * STEP
    newest = select(*columns, job.c.study_instance_uid).order_by(job.c.id.desc()).limit(MOST_ROWS).subquery()
    recent = (
        select(newest, series.c.last_instance_at)
        .outerjoin(series, series.c.study_instance_uid == newest.c.study_instance_uid)
        .where((newest.c.created_at >= since) | (newest.c.state == JobState.SCHEDULED))
    )
    found: dict[int, Run] = {}
    for row in connection.execute(recent):
        last = row.last_instance_at
        last = last if last is not None and last <= row.created_at else None
        known = found.get(row.id)
        if known is not None and known.last_image_at is not None:
            last = max(known.last_image_at, last) if last is not None else known.last_image_at
        found[row.id] = Run(row.created_at, row.started_at, row.finished_at, row.state, last)
    return list(found.values())
