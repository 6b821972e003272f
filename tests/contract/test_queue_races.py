"""The job table over both databases, asked by many at once: threads, processes and operators."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from node.database import tallies
from node.database.unit_of_work import UnitOfWork
from node.domain.job import JobState, Priority
from node.domain.retry import RetryPolicy
from node.errors import InferenceTimeout, InvalidTransition
from node.jobs.queue import SqlJobQueue
from node.show.worklist import Worklist
from tests.contract.rows import new_job
from tests.fakes.outbox import StandingClock
from tests.peers import REPOSITORY

AT_ONCE = RetryPolicy(base_s=0.0)
# A process that claims until nothing is left, and prints the ids.
CLAIMER = """
import sys, time
from node.app.clock import SystemClock
from node.database.engine import make_engine
from node.jobs.queue import SqlJobQueue
from node.show.worklist import Worklist
engine = make_engine(sys.argv[1], sys.stdin.readline().strip() or None)
queue = SqlJobQueue(engine, SystemClock())
while (job := queue.claim(sys.argv[2], 600.0)) is not None or queue.paused():
    if job is None:
        time.sleep(0.01)
    else:
        print(job.id)
engine.dispose()
"""


class MovingClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@contextmanager
def meanwhile(*works: Callable[[], object]) -> Iterator[None]:
    """Do each work again and again while the block runs; an error of any is an error here."""
    over = threading.Event()

    def repeat(work: Callable[[], object]) -> None:
        while not over.is_set():
            work()

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(repeat, work) for work in works]
        try:
            yield
        finally:
            over.set()
        for one in running:
            one.result(30)


def test_processes_and_operators_at_once(engine: Engine) -> None:
    """Each job is claimed once or was canceled before; nothing is lost."""
    queue = SqlJobQueue(engine, MovingClock())
    jobs = [queue.enqueue(new_job(f"job-{number}")) for number in range(60)]
    lucky = random.Random(5)
    password = engine.url.password or ""
    canceled: set[int] = set()

    def cancel() -> None:
        # Not of all: where the processes are slow to start, none would be left for them.
        one = lucky.choice(jobs[:30])
        with suppress(InvalidTransition):
            queue.cancel(one)
            if queue.get(one).state is JobState.CANCELED:
                canceled.add(one)
        time.sleep(0.02)

    def prioritise() -> None:
        queue.prioritise(lucky.choice(jobs), lucky.choice(list(Priority)))

    def pause() -> None:
        queue.pause()
        time.sleep(0.01)
        queue.resume()
        time.sleep(0.03)

    url = str(engine.url.set(password=None))
    command = [sys.executable, "-c", CLAIMER, url]
    processes = [
        subprocess.Popen(
            [*command, f"w{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for number in range(3)
    ]
    with meanwhile(cancel, prioritise, pause, queue.rescue), ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda process: process.communicate(f"{password}\n", timeout=120), processes))
    assert [process.returncode for process in processes] == [0, 0, 0], [error for _, error in answers]
    claimed = Counter(int(line) for output, _ in answers for line in output.splitlines())
    # What was changed by an operator when everybody looked for the last time.
    while (job := queue.claim("w9", 600.0)) is not None:
        claimed[job.id] += 1
    assert set(claimed.values()) <= {1}
    assert canceled.isdisjoint(claimed)
    assert canceled | set(claimed) == set(jobs)
    assert {queue.get(one).attempt for one in claimed} == {1}


def test_a_job_that_kills_every_worker_runs_as_often_as_it_may_and_no_more(engine: Engine) -> None:
    """Workers that die at once, and several that rescue."""
    queue = SqlJobQueue(engine, MovingClock(), max_attempts=3, retry=AT_ONCE)
    jobs = [queue.enqueue(new_job(f"job-{number}")) for number in range(6)]
    claimed: list[int] = []

    def work() -> None:
        job = queue.claim(threading.current_thread().name, 0.0)
        if job is not None:
            claimed.append(job.id)

    deadline = time.monotonic() + 200
    with meanwhile(work, work, work, queue.rescue, queue.rescue):
        while any(queue.get(one).state is not JobState.FAILED for one in jobs):
            assert time.monotonic() < deadline, "every job is given up"
            time.sleep(0.02)
    assert Counter(claimed) == dict.fromkeys(jobs, 3)
    assert {(queue.get(one).error_code, queue.get(one).attempt) for one in jobs} == {("WorkerLost", 3)}


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)  # SQLite has one writer at a time
@pytest.mark.parametrize("overdue", [False, True])
def test_a_job_that_somebody_changes_is_passed_over(engine: Engine, clock: StandingClock, overdue: bool) -> None:
    """Whoever cancels, prioritises or rescues holds the row: the claim takes the next one and waits for nobody."""
    queue = SqlJobQueue(engine, clock, max_wait_s=100.0)
    first, second = queue.enqueue(new_job("first")), queue.enqueue(new_job("second"))
    clock.advance(200.0 if overdue else 1.0)
    with ThreadPoolExecutor(1) as pool:

        def step(connection: object) -> None:
            queue._change(connection, first, {"priority": 0})  # type: ignore[arg-type]
            claimed = pool.submit(queue.claim, "w1", 6.0).result(30)
            assert claimed is not None
            assert claimed.id == second

        UnitOfWork(engine).write(step)
    claimed = queue.claim("w1", 6.0)
    assert claimed is not None
    assert (claimed.id, claimed.priority) == (first, Priority.HIGH)


@pytest.mark.parametrize("seed", range(3))
def test_no_job_starves_under_a_stream_of_urgent_ones(engine: Engine, clock: StandingClock, seed: int) -> None:
    """More urgent jobs than one worker can do: a LOW one starts ``max_wait_s`` and one job later at the latest."""
    lucky = random.Random(seed)
    max_wait_s, longest_s = 120.0, 15.0
    queue = SqlJobQueue(engine, clock, max_wait_s=max_wait_s)
    low: dict[int, datetime] = {}
    waited_s: dict[int, float] = {}
    for number in range(90):
        queue.enqueue(new_job(f"high-{number}", priority=Priority.HIGH))
        if number % 12 == 0 and number < 70:
            low[queue.enqueue(new_job(f"low-{number}", priority=Priority.LOW))] = clock.now()
        job = queue.claim("w1", 60.0)
        assert job is not None
        waited_s[job.id] = (clock.now() - job.created_at) / timedelta(seconds=1)
        assert queue.cancel_claimed(job)
        clock.advance(lucky.uniform(5.0, longest_s))
    assert set(low) <= set(waited_s), "every LOW job had its turn"
    for one in low:
        assert max_wait_s <= waited_s[one] <= max_wait_s + longest_s
    assert max(waited for one, waited in waited_s.items() if one not in low) <= (len(low) + 1) * longest_s


def test_counts_stay_exact_while_many_write_and_fold(engine: Engine) -> None:
    queue, worklist = SqlJobQueue(engine, MovingClock()), Worklist(engine, MovingClock())
    work, numbers = UnitOfWork(engine), itertools.count()

    def enqueue() -> None:
        queue.enqueue(new_job(f"job-{next(numbers)}"))

    def fail() -> None:
        job = queue.claim(threading.current_thread().name, 60.0)
        if job is not None:
            assert queue.fail(job, InferenceTimeout(), None)

    def fold() -> None:
        work.write(tallies.fold_rows)

    def look() -> None:
        """A count is never less than nothing, and every job is in one state."""
        made = len(worklist.jobs(limit=100_000))
        counted = worklist.counts()[0]
        assert min(counted.values()) >= 0
        assert sum(counted.values()) >= made

    deadline = time.monotonic() + 200
    with meanwhile(enqueue, enqueue, fail, fold, fold, look):
        while worklist.counts()[0]["FAILED"] < 15:
            assert time.monotonic() < deadline, "jobs are done"
            time.sleep(0.02)
    states = Counter(row["state"] for row in worklist.jobs(limit=100_000))
    assert {state: count for state, count in worklist.counts()[0].items() if count} == states
