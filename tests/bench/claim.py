"""``python -m tests.bench.claim``: what the job table costs at 10,000, 100,000 and 1,000,000 finished jobs.

SQLite as the node uses it (a file, WAL, ``synchronous=FULL``) and a PostgreSQL server of its own with its defaults of
durability, both with a thousand jobs that wait. Claims by the node and by hand take turns: by hand is one statement
through the bare driver, on the same tables. A figure is the time of one call, with its commit.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, insert

from node.database.engine import make_engine
from node.database.migrations import upgrade
from node.database.outbox import SqlOutbox
from node.database.tables import job
from node.domain.job import JobState, Priority
from node.jobs.queue import SqlJobQueue
from node.show.worklist import Worklist
from tests.bench.facts import machine_facts, write_json
from tests.contract.rows import completion, new_job
from tests.fakes.outbox import StandingClock
from tests.filling import fill, study_uid
from tests.postgres import running_postgres

SIZES = (10_000, 100_000, 1_000_000)
WAITING = 1_000
# shared_buffers as PostgreSQL's manual advises for a small server; everything else, fsync above all, as it comes.
POSTGRESQL = ("unix_socket_directories=", "shared_buffers=512MB", "log_min_messages=fatal")
LEASE_S = 6.0
BY_HAND = """
UPDATE job SET state = 'IN_PROGRESS', attempt = attempt + 1, owner = 'hand', lease_until = {p}, started_at = {p},
updated_at = {p} WHERE id = (SELECT id FROM job WHERE state = 'SCHEDULED' AND run_after <= {p}
ORDER BY priority, run_after, id LIMIT 1{lock}) RETURNING *
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """Milliseconds of one call."""

    database: str
    jobs: int
    operation: str
    calls: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def measure(database: str, engine: Engine, jobs: int, by_hand: Callable[[], object], rounds: int) -> list[Figure]:
    """``engine`` is empty."""
    upgrade(engine)
    begin = time.monotonic()
    fill(engine, jobs)
    print(f"{database}: {jobs} jobs in {time.monotonic() - begin:.0f} s", file=sys.stderr)
    clock = StandingClock()
    _make_waiting(engine, clock)
    queue, outbox, worklist = SqlJobQueue(engine, clock), SqlOutbox(engine, clock), Worklist(engine, clock)
    idle = SqlJobQueue(engine, StandingClock(clock.now() - timedelta(days=1)))
    numbers = itertools.count()

    def done() -> None:
        claimed = queue.claim("w1", LEASE_S)
        assert claimed is not None
        times["complete"].append(_ms(lambda: queue.complete(claimed, completion(f"9.{claimed.id}"))))

    operations: dict[str, Callable[[], object]] = {
        "claim": lambda: queue.claim("w1", LEASE_S),
        "claim by hand": by_hand,
        "claim, none due": lambda: idle.claim("w1", LEASE_S) is None,
        "enqueue": lambda: queue.enqueue(new_job(f"new-{next(numbers)}")),
        "rescue, nothing lost": lambda: queue.rescue() == [],
        "claim deliveries, none due": lambda: outbox.claim("pacs", "s1", LEASE_S) == [],
        "queue list": worklist.jobs,
        "queue list --state FAILED": lambda: worklist.jobs(state="FAILED"),
        "queue list --state COMPLETED": lambda: worklist.jobs(state="COMPLETED"),
        "queue list --study": lambda: worklist.jobs(study=study_uid(7)),
        "queue show": lambda: worklist.job(7),
        "studies list": lambda: worklist.studies(limit=100),
        "why": lambda: worklist.why(study_uid(7)),
        "wait, one look": lambda: worklist.finality(study_uid(7)),
        "status, its counts": worklist.counts,
    }
    times: dict[str, list[float]] = {name: [] for name in (*operations, "complete")}
    for pair in (("claim", "claim by hand"), *((name,) for name in list(operations)[2:])):
        for _ in range(rounds):
            for name in pair:
                times[name].append(_ms(operations[name]))
    for _ in range(rounds // 4):
        done()
    return [_figure(database, jobs, name, found) for name, found in times.items()]


def _ms(operation: Callable[[], object]) -> float:
    begin = time.perf_counter()
    answer = operation()
    took = (time.perf_counter() - begin) * 1e3
    assert answer, "the operation found what it was to find"
    return took


def _figure(database: str, jobs: int, operation: str, times: Sequence[float]) -> Figure:
    ordered = sorted(times)
    p50, p95, p99 = (round(ordered[int(len(ordered) * part)], 3) for part in (0.5, 0.95, 0.99))
    return Figure(database, jobs, operation, len(ordered), p50, p95, p99, round(ordered[-1], 3))


def _make_waiting(engine: Engine, clock: StandingClock) -> None:
    """Enough for every claim of a run, of every priority and age."""
    now, lucky = clock.now(), random.Random(1)
    plain = {"model": "m", "model_version": "1", "revision": 1, "accession_number": "", "destinations": ["pacs"]}
    numbers = {"attempt": 0, "max_attempts": 3, "budget": 3, "cancel_requested": False}
    rows = [
        {
            **plain,
            **numbers,
            "key": f"waiting/{number}",
            "state": JobState.SCHEDULED,
            "study_instance_uid": f"1.9.{number}",
            "series_instance_uids": [f"1.9.{number}.1"],
            "priority": int(lucky.choice(list(Priority))),
            "run_after": now - timedelta(seconds=lucky.uniform(0, 500)),
            "created_at": now,
            "updated_at": now,
        }
        for number in range(WAITING)
    ]
    with engine.begin() as connection:
        connection.execute(insert(job), rows)


# ---------------------------------------------------------------- the two databases


@contextlib.contextmanager
def sqlite(folder: Path, jobs: int) -> Iterator[tuple[Engine, Callable[[], object]]]:
    path = folder / f"{jobs}.db"
    engine = make_engine(f"sqlite:///{path}")
    now, until = (f"{at:%Y-%m-%d %H:%M:%S.%f}" for at in _times())
    bare: list[sqlite3.Connection] = []

    def by_hand() -> object:
        if not bare:
            bare.append(sqlite3.connect(path, isolation_level=None))
            bare[0].execute("PRAGMA synchronous = FULL")
        bare[0].execute("BEGIN IMMEDIATE")
        rows = bare[0].execute(BY_HAND.format(p="?", lock=""), (until, now, now, now)).fetchall()
        bare[0].execute("COMMIT")
        return rows

    try:
        yield engine, by_hand
    finally:
        for connection in bare:
            connection.close()
        engine.dispose()
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextlib.contextmanager
def postgresql(_: Path, jobs: int) -> Iterator[tuple[Engine, Callable[[], object]]]:
    with running_postgres(POSTGRESQL) as server, server.database() as name:
        engine = make_engine(server.url(name), server.password)
        bare: psycopg.Connection[Any] = server.connect(name)
        now, until = _times()
        statement = BY_HAND.format(p="%s", lock=" FOR UPDATE SKIP LOCKED")
        try:
            yield engine, lambda: bare.execute(statement, (until, now, now, now)).fetchall()
        finally:
            bare.close()
            engine.dispose()


def _times() -> tuple[datetime, datetime]:
    """When jobs are claimed by hand, and when their leases end: after the run."""
    now = StandingClock().now()
    return now, now + timedelta(days=1)


DATABASES = {"sqlite": sqlite, "postgresql": postgresql}


def flush_ms(folder: Path, calls: int) -> Figure:
    """What the disk takes for the least there is: 4 KiB at the end of a file, flushed."""
    path, times = folder / "flushed", []
    with path.open("wb", buffering=0) as file:
        for _ in range(calls):
            begin = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begin) * 1e3)
    path.unlink()
    return _figure("disk", 0, "4 KiB and fdatasync", times)


def table(figures: Sequence[Figure]) -> str:
    """For a person."""
    lines = [f"{'database':11} {'jobs':>9}  {'call':30} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'max ms':>8}"]
    lines += [
        f"{one.database:11} {one.jobs:>9}  {one.operation:30} {one.p50_ms:8.2f} {one.p95_ms:8.2f} {one.p99_ms:8.2f} "
        f"{one.max_ms:8.2f}"
        for one in figures
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.claim")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="finished jobs")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--rounds", type=int, default=200, help="calls of each kind")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where SQLite's files lie")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ainode-claim-", dir=chosen.folder) as name:
        folder = Path(name)
        figures = [flush_ms(folder, chosen.rounds)]
        for database, jobs in itertools.product(chosen.databases, chosen.sizes):
            with DATABASES[database](folder, jobs) as (engine, by_hand):
                figures += measure(database, engine, jobs, by_hand, chosen.rounds)
        facts = machine_facts(folder)
    print(table(figures))
    if chosen.json is not None:
        command = " ".join(["python -m tests.bench.claim", *sys.argv[1:]])
        write_json(chosen.json, {"machine": facts, "command": command, "figures": [asdict(one) for one in figures]})


if __name__ == "__main__":
    main()
