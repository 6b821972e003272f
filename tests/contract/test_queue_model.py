"""``ports.JobQueue`` over both databases against a model of a page: any order of what workers and operators may do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, delete

from node.database.tables import delivery, job, result, setting
from node.domain.job import JOB_TRANSITIONS, Job, JobState, Lease, Priority
from node.domain.retry import RetryPolicy
from node.errors import InferenceTimeout, InvalidTransition
from node.jobs.queue import SqlJobQueue
from node.show.worklist import Worklist
from tests.contract.rows import completion, new_job
from tests.fakes.outbox import StandingClock

LEASE_S, MAX_WAIT_S, BACKOFF_S, MAX_ATTEMPTS = 6.0, 20.0, 2.0, 2
WAITS_S = (0.0, BACKOFF_S, LEASE_S, MAX_WAIT_S)
FINISHED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELED})


@dataclass
class Expected:
    """What the row of a job should say."""

    id: int
    priority: Priority
    run_after: datetime
    state: JobState = JobState.SCHEDULED
    attempt: int = 0
    max_attempts: int = MAX_ATTEMPTS
    owner: str | None = None
    lease_until: datetime | None = None
    cancel_requested: bool = False

    def end(self, state: JobState) -> None:
        self.state, self.owner, self.lease_until, self.cancel_requested = state, None, None, False

    def again(self, run_after: datetime) -> None:
        """SCHEDULED, unless it shall be canceled."""
        self.end(JobState.CANCELED if self.cancel_requested else JobState.SCHEDULED)
        self.run_after = run_after

    def holds(self, held: Job) -> bool:
        return (self.state, self.owner, self.attempt) == (JobState.IN_PROGRESS, held.owner, held.attempt)


class QueueMachine(RuleBasedStateMachine):
    """Workers that may be slow, dead or told so; operators at any moment; one clock."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        with engine.begin() as connection:
            for table in (delivery, result, job, setting):
                connection.execute(delete(table))
        self.clock = StandingClock()
        policy = RetryPolicy(base_s=BACKOFF_S)
        self.queue = SqlJobQueue(engine, self.clock, MAX_ATTEMPTS, None, MAX_WAIT_S, policy, chance=lambda: 1.0)
        self.worklist = Worklist(engine, self.clock)
        self.rows: dict[int, Expected] = {}
        self.claims: list[Job] = []
        self.paused = False
        self.numbers = itertools.count()

    # ------------------------------------------------------------ workers

    @rule(priorities=st.lists(st.sampled_from(Priority), min_size=1, max_size=4))
    def enqueue(self, priorities: list[Priority]) -> None:
        for priority in priorities:
            number = next(self.numbers)
            job_id = self.queue.enqueue(new_job(f"{number}", priority=priority, series_instance_uids=(f"1.{number}",)))
            self.rows[job_id] = Expected(job_id, priority, self.clock.now())

    @rule(owners=st.lists(st.sampled_from(("w1", "w2")), min_size=1, max_size=4), after_s=st.sampled_from(WAITS_S))
    def claim(self, owners: list[str], after_s: float) -> None:
        self.clock.advance(after_s)
        for owner in owners:
            self._claim(owner)

    def _claim(self, owner: str) -> None:
        wanted = self._next()
        claimed = self.queue.claim(owner, LEASE_S)
        assert (claimed and claimed.id) == (wanted and wanted.id)
        if wanted is not None and claimed is not None:
            wanted.state, wanted.owner, wanted.attempt = JobState.IN_PROGRESS, owner, wanted.attempt + 1
            wanted.lease_until = self.clock.now() + timedelta(seconds=LEASE_S)
            self.claims.append(claimed)

    def _next(self) -> Expected | None:
        now = self.clock.now()
        due = [row for row in self.rows.values() if row.state is JobState.SCHEDULED and row.run_after <= now]
        if self.paused or not due:
            return None
        oldest = min(due, key=lambda row: (row.run_after, row.id))
        if oldest.run_after <= now - timedelta(seconds=MAX_WAIT_S):
            return oldest
        return min(due, key=lambda row: (row.priority, row.run_after, row.id))

    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        for held, row in self._a_claim(data):
            answer = self.queue.heartbeat(held, LEASE_S)
            if not row.holds(held):
                assert answer is Lease.LOST
            else:
                assert answer is (Lease.CANCEL if row.cancel_requested else Lease.HELD)
                row.lease_until = self.clock.now() + timedelta(seconds=LEASE_S)

    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        prefix = f"9.{next(self.numbers)}"
        self._save(
            data, lambda held: self.queue.complete(held, completion(prefix)), lambda row: row.end(JobState.COMPLETED)
        )

    @rule(data=st.data(), retry_after_s=st.sampled_from((None, 1.0, 90.0)))
    def fail(self, data: st.DataObject, retry_after_s: float | None) -> None:
        def expected(row: Expected) -> None:
            if retry_after_s is None:
                row.end(JobState.FAILED)
            else:
                row.again(self.clock.now() + timedelta(seconds=retry_after_s))

        self._save(data, lambda held: self.queue.fail(held, InferenceTimeout(), retry_after_s), expected)

    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        self._save(data, self.queue.cancel_claimed, lambda row: row.end(JobState.CANCELED))

    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        def expected(row: Expected) -> None:
            row.max_attempts += 1
            row.again(row.run_after)

        self._save(data, self.queue.hand_back, expected)

    def _save(self, data: st.DataObject, save: Callable[[Job], bool], expected: Callable[[Expected], None]) -> None:
        for held, row in self._a_claim(data):
            mine = row.holds(held)
            assert save(held) == mine
            if mine:
                expected(row)

    def _a_claim(self, data: st.DataObject) -> list[tuple[Job, Expected]]:
        """One that was given out, perhaps long ago; none where there was none."""
        if not self.claims:
            return []
        held = data.draw(st.sampled_from(self.claims))
        return [(held, self.rows[held.id])]

    # ------------------------------------------------------------ time and operators

    @rule(after_s=st.sampled_from(WAITS_S))
    def rescue(self, after_s: float) -> None:
        self.clock.advance(after_s)
        now = self.clock.now()
        lost = [row for row in self.rows.values() if row.lease_until is not None and row.lease_until <= now]
        assert self.queue.rescue() == [row.id for row in lost]
        for row in lost:
            if row.attempt >= row.max_attempts and not row.cancel_requested:
                row.end(JobState.FAILED)
            elif row.cancel_requested:
                row.end(JobState.CANCELED)
            else:
                row.again(now + timedelta(seconds=BACKOFF_S * 2 ** (row.attempt - 1)))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        for row in self._a_job(data):
            if JobState.CANCELED not in JOB_TRANSITIONS[row.state]:
                with pytest.raises(InvalidTransition):
                    self.queue.cancel(row.id)
                continue
            self.queue.cancel(row.id)
            if row.state is JobState.IN_PROGRESS:
                row.cancel_requested = True
            else:
                row.state = JobState.CANCELED

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        for row in self._a_job(data):
            if row.state not in {JobState.FAILED, JobState.CANCELED}:
                with pytest.raises(InvalidTransition):
                    self.queue.retry(row.id)
                continue
            self.queue.retry(row.id)
            row.again(self.clock.now())
            row.max_attempts = row.attempt + MAX_ATTEMPTS

    @rule(data=st.data(), priority=st.sampled_from(Priority))
    def prioritise(self, data: st.DataObject, priority: Priority) -> None:
        for row in self._a_job(data):
            self.queue.prioritise(row.id, priority)
            row.priority = priority

    def _a_job(self, data: st.DataObject) -> list[Expected]:
        return [data.draw(st.sampled_from(list(self.rows.values())))] if self.rows else []

    @rule(pause=st.booleans())
    def pause(self, pause: bool) -> None:
        if pause:
            self.queue.pause()
        else:
            self.queue.resume()
        self.paused = pause

    # ------------------------------------------------------------ what always holds

    @invariant()
    def every_row_is_as_expected(self) -> None:
        for wanted in self.rows.values():
            found = self.queue.get(wanted.id)
            told = {name: getattr(found, name) for name in vars(wanted)}
            assert Expected(**told) == replace(wanted)
            assert (found.finished_at is not None) == (wanted.state in FINISHED)

    @invariant()
    def the_counts_are_exact(self) -> None:
        counted = {state.value: 0 for state in JobState}
        for row in self.rows.values():
            counted[row.state.value] += 1
        assert self.worklist.counts()[0] == counted


def test_the_queue_does_as_the_model(engine: Engine) -> None:
    run_state_machine_as_test(
        lambda: QueueMachine(engine),
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
