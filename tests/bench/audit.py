"""``python -m tests.bench.audit``: what the log of uses costs, with it and without it in turns.

On SQLite and PostgreSQL as ``tests.bench.claim`` has them, with their durability: claim (which writes no entry),
complete (which writes one) by one worker, and completions by several workers at once, who wait for one head.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import Engine

from node.database.audit import SqlAudit
from node.database.migrations import upgrade
from node.domain.job import Job
from node.jobs.queue import SqlJobQueue
from tests.bench.claim import DATABASES
from tests.contract.rows import completion, new_job

WITH, WITHOUT = "with", "without"


class MovingClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@contextmanager
def logging(kind: str) -> Iterator[None]:
    with nullcontext() if kind == WITH else patch("node.jobs.queue.audit.append", lambda *_: None):
        yield


def one_worker(queue: SqlJobQueue, jobs: int) -> dict[tuple[str, str], list[float]]:
    """Seconds of each call, by call and kind."""
    times: dict[tuple[str, str], list[float]] = {}
    for number in range(jobs):
        kind = (WITH, WITHOUT)[number % 2]
        queue.enqueue(new_job(f"one-{number}", study_instance_uid=f"1.9.{number}"))
        with logging(kind):
            begin = time.perf_counter()
            job = queue.claim("w1", 600.0)
            claimed = time.perf_counter()
            assert job is not None
            assert queue.complete(job, completion(f"9.{job.id}"))
            completed = time.perf_counter()
        times.setdefault(("claim", kind), []).append(claimed - begin)
        times.setdefault(("complete", kind), []).append(completed - claimed)
    return times


def several_workers(queue: SqlJobQueue, jobs: int, workers: int, kind: str, numbers: Iterator[int]) -> float:
    """Completions in a second."""
    waiting: list[Job] = []
    for number in itertools.islice(numbers, jobs):
        queue.enqueue(new_job(f"many-{number}", study_instance_uid=f"1.8.{number}"))
        job = queue.claim("w1", 600.0)
        assert job is not None
        waiting.append(job)
    with logging(kind), ThreadPoolExecutor(workers) as pool:
        begin = time.perf_counter()
        done = list(pool.map(lambda job: queue.complete(job, completion(f"9.{job.id}")), waiting))
        took = time.perf_counter() - begin
    assert all(done)
    return jobs / took


def measure(name: str, engine: Engine, jobs: int, workers: int) -> None:
    """Print what was found."""
    upgrade(engine)
    queue = SqlJobQueue(engine, MovingClock())
    times = one_worker(queue, jobs)
    for call in ("claim", "complete"):
        half = {kind: statistics.median(times[call, kind]) * 1e3 for kind in (WITH, WITHOUT)}
        ratio = half[WITH] / half[WITHOUT]
        print(f"{name:11} {call:9} p50 {half[WITH]:.2f} ms with, {half[WITHOUT]:.2f} ms without: ratio {ratio:.2f}")
    numbers = itertools.count()
    rates: dict[str, list[float]] = {WITH: [], WITHOUT: []}
    for kind in (WITH, WITHOUT) * 3:
        rates[kind].append(several_workers(queue, jobs // 3, workers, kind, numbers))
    best = {kind: statistics.median(found) for kind, found in rates.items()}
    print(
        f"{name:11} complete  by {workers} workers {best[WITH]:.0f}/s with, {best[WITHOUT]:.0f}/s without: "
        f"ratio of time {best[WITHOUT] / best[WITH]:.2f}"
    )
    audit = SqlAudit(engine, MovingClock(), "bench")
    begin = time.perf_counter()
    found = audit.verify()
    assert found.broken is None
    print(f"{name:11} verify    {found.entries} entries in {time.perf_counter() - begin:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.audit")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where SQLite's files lie")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ainode-audit-", dir=chosen.folder) as folder:
        for name in chosen.databases:
            with DATABASES[name](Path(folder), 0) as (engine, _):
                measure(name, engine, chosen.jobs, chosen.workers)


if __name__ == "__main__":
    main()
