"""``ports.JobQueue`` over both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from node.database.outbox import SqlOutbox
from node.domain.delivery import DeliveryState
from node.domain.job import Job, JobState, Lease, Priority
from node.domain.result import Outcome, Reason
from node.domain.retry import RetryPolicy
from node.errors import InferenceTimeout, InvalidModelOutput, InvalidTransition, NotFound, StoreUnavailable
from node.jobs.claim import ClaimStatements, parameters
from node.jobs.queue import SqlJobQueue
from node.ports import JobQueue
from node.show.worklist import Worklist
from tests.contract.rows import SEG, SR, completion, new_job
from tests.fakes.outbox import StandingClock

LEASE_S = 6.0
MAX_WAIT_S = 600.0
# How long a job waits after its first worker was lost; twice as long after the second.
BACKOFF_S = 2.0


@pytest.fixture
def queue(engine: Engine, clock: StandingClock) -> JobQueue:
    retry = RetryPolicy(base_s=BACKOFF_S)
    return SqlJobQueue(engine, clock, 2, {"pacs": 7}, MAX_WAIT_S, retry, chance=lambda: 1.0)


def claim(queue: JobQueue, owner: str = "w1") -> Job:
    job = queue.claim(owner, LEASE_S)
    assert job is not None
    return job


def test_enqueue_is_idempotent_by_key(queue: JobQueue) -> None:
    unfit = Reason("SliceGap", "Slice gap of 10 mm; this model needs at most 3 mm")
    first = queue.enqueue(new_job("a", unfit=unfit, destinations=("pacs", "other")))
    assert queue.enqueue(new_job("a", priority=Priority.HIGH)) == first
    assert queue.enqueue(new_job("b")) != first
    job = queue.get(first)
    assert (job.state, job.attempt, job.priority) == (JobState.SCHEDULED, 0, Priority.MEDIUM)
    assert (job.unfit, job.destinations, job.series_instance_uids) == (unfit, ("pacs", "other"), ("1.2.3.4",))


def test_enqueue_of_one_key_from_many_threads_makes_one_job(queue: JobQueue) -> None:
    with ThreadPoolExecutor(6) as pool:
        ids = set(pool.map(lambda _: queue.enqueue(new_job("same")), range(12)))
    assert len(ids) == 1


def test_claims_come_by_priority_then_age(queue: JobQueue, clock: StandingClock) -> None:
    for key, priority in (("m1", Priority.MEDIUM), ("low", Priority.LOW), ("m2", Priority.MEDIUM)):
        queue.enqueue(new_job(key, priority=priority))
        clock.advance(1)
    queue.enqueue(new_job("high", priority=Priority.HIGH))
    assert [claim(queue).key for _ in range(4)] == ["high", "m1", "m2", "low"]
    assert queue.claim("w1", LEASE_S) is None


def test_a_claim_is_in_progress_with_an_attempt_and_a_lease(queue: JobQueue, clock: StandingClock) -> None:
    queue.enqueue(new_job("a"))
    job = claim(queue)
    assert job == queue.get(job.id)
    assert (job.state, job.owner, job.attempt) == (JobState.IN_PROGRESS, "w1", 1)
    assert job.started_at == clock.now()
    assert job.lease_until == clock.now() + timedelta(seconds=LEASE_S)


def test_a_worker_claims_only_its_models(queue: JobQueue) -> None:
    queue.enqueue(new_job("a", model="other"))
    assert queue.claim("w1", LEASE_S, models=["hippocampus"]) is None
    assert queue.claim("w1", LEASE_S, models=[]) is None
    assert queue.claim("w1", LEASE_S, models=["other", "hippocampus"]) is not None


def test_no_two_claimers_get_the_same_job(queue: JobQueue) -> None:
    wanted = {queue.enqueue(new_job(f"job-{number}")) for number in range(24)}
    together = threading.Barrier(4)

    def worker(name: str) -> list[int]:
        together.wait(60)
        mine = []
        while (job := queue.claim(name, LEASE_S)) is not None:
            mine.append(job.id)
        return mine

    with ThreadPoolExecutor(4) as pool:
        claimed = [job for mine in pool.map(worker, "abcd") for job in mine]
    assert sorted(claimed) == sorted(wanted)
    assert {queue.get(job).attempt for job in wanted} == {1}


def test_complete_writes_result_and_deliveries_at_once(queue: JobQueue, engine: Engine, clock: StandingClock) -> None:
    queue.enqueue(new_job("a", destinations=("pacs", "folder", "pacs")))
    job = claim(queue)
    clock.advance(2)
    assert queue.complete(job, completion())
    done = queue.get(job.id)
    assert (done.state, done.outcome, done.finished_at) == (JobState.COMPLETED, Outcome.POSITIVE, clock.now())
    detail = Worklist(engine, clock).job(job.id)
    assert [row["sop_class_uid"] for row in detail["objects"]] == [SR, SEG]
    assert sorted(row["destination"] for row in detail["deliveries"]) == ["folder", "folder", "pacs", "pacs"]
    assert {row["max_attempts"] for row in detail["deliveries"] if row["destination"] == "pacs"} == {7}
    assert detail["findings"][0]["measurements"][0] | {"code": 0, "unit_code": 0} == {
        "concept": "Volume",
        "value": 3.25,
        "unit": "mL",
        "code": 0,
        "unit_code": 0,
    }
    assert detail["provenance"] == {"device": "cpu", "seconds": 1.5}


def test_complete_is_one_transaction(queue: JobQueue, engine: Engine, clock: StandingClock) -> None:
    """When the last delivery cannot be written, the job is not COMPLETED and no result exists."""
    queue.enqueue(new_job("a"))
    job = claim(queue)
    twice = completion()
    broken = type(twice)(twice.result, (*twice.objects, twice.objects[0]), twice.provenance)
    with pytest.raises(Exception, match=r"(?i)unique"):
        queue.complete(job, broken)
    assert queue.get(job.id) == job
    assert Worklist(engine, clock).job(job.id)["objects"] == []
    assert queue.complete(job, completion())


def test_a_late_complete_by_a_lost_owner_changes_nothing(queue: JobQueue, engine: Engine, clock: StandingClock) -> None:
    queue.enqueue(new_job("a"))
    lost = claim(queue, "dead")
    clock.advance(LEASE_S + 1)
    assert queue.rescue() == [lost.id]
    clock.advance(BACKOFF_S)
    taken = claim(queue, "alive")
    assert taken.attempt == 2
    assert not queue.complete(lost, completion("8.8"))
    assert not queue.fail(lost, InferenceTimeout("late"), None)
    assert not queue.fail(lost, InferenceTimeout("late"), 1.0)
    assert not queue.cancel_claimed(lost)
    assert not queue.hand_back(lost)
    assert queue.heartbeat(lost, LEASE_S) is Lease.LOST
    assert queue.get(lost.id) == taken
    assert queue.complete(taken, completion())
    assert not queue.complete(taken, completion("8.8"))
    objects = Worklist(engine, clock).job(lost.id)["objects"]
    assert [row["sop_instance_uid"] for row in objects] == ["9.1.1", "9.1.2"]


def test_the_same_owner_with_an_older_attempt_is_fenced_too(queue: JobQueue, clock: StandingClock) -> None:
    queue.enqueue(new_job("a"))
    old = claim(queue)
    clock.advance(LEASE_S + 1)
    queue.rescue()
    clock.advance(BACKOFF_S)
    new = claim(queue)
    assert (old.owner, old.attempt, new.owner, new.attempt) == ("w1", 1, "w1", 2)
    assert not queue.complete(replace(new, owner="another"), completion())
    assert not queue.complete(old, completion())
    assert queue.complete(new, completion())


def test_a_heartbeat_keeps_the_job(queue: JobQueue, clock: StandingClock) -> None:
    queue.enqueue(new_job("a"))
    job = claim(queue)
    clock.advance(LEASE_S - 1)
    assert queue.heartbeat(job, LEASE_S) is Lease.HELD
    clock.advance(LEASE_S - 1)
    assert queue.rescue() == []
    clock.advance(1)
    assert queue.rescue() == [job.id]


def test_a_job_that_kills_its_workers_is_quarantined(queue: JobQueue, clock: StandingClock) -> None:
    job_id = queue.enqueue(new_job("a", priority=Priority.HIGH))
    for _ in range(2):
        assert claim(queue).id == job_id
        clock.advance(LEASE_S + 1)
        assert queue.rescue() == [job_id]
        queue.enqueue(new_job(f"other-{clock.now()}", priority=Priority.LOW, series_instance_uids=("1.2.3.5",)))
        other = claim(queue)
        assert other.id != job_id, "it holds up no other job while it waits for its retry"
        assert queue.complete(other, completion(f"9.{other.id}"))
        clock.advance(BACKOFF_S)
    job = queue.get(job_id)
    assert (job.state, job.error_code, job.attempt) == (JobState.FAILED, "WorkerLost", 2)
    assert job.finished_at == clock.now() - timedelta(seconds=BACKOFF_S)
    clock.advance(MAX_WAIT_S * 2)
    assert queue.claim("w1", LEASE_S) is None
    assert job_id not in queue.rescue()


def test_a_lost_worker_makes_the_retry_wait_longer_each_time(engine: Engine, clock: StandingClock) -> None:
    queue = SqlJobQueue(engine, clock, max_attempts=4, retry=RetryPolicy(base_s=BACKOFF_S), chance=lambda: 1.0)
    job_id = queue.enqueue(new_job("a"))
    for delay_s in (BACKOFF_S, 2 * BACKOFF_S, 4 * BACKOFF_S):
        claim(queue)
        clock.advance(LEASE_S)
        queue.rescue()
        assert queue.get(job_id).run_after == clock.now() + timedelta(seconds=delay_s)
        clock.advance(delay_s - 0.001)
        assert queue.claim("w1", LEASE_S) is None
        clock.advance(0.001)


def test_a_failed_attempt_waits_for_its_time(queue: JobQueue, clock: StandingClock) -> None:
    queue.enqueue(new_job("a"))
    job = claim(queue)
    assert queue.fail(job, InferenceTimeout("900 s are over"), 30.0)
    waiting = queue.get(job.id)
    assert (waiting.state, waiting.owner, waiting.finished_at) == (JobState.SCHEDULED, None, None)
    assert (waiting.error_code, waiting.error) == ("InferenceTimeout", "900 s are over")
    clock.advance(29)
    assert queue.claim("w1", LEASE_S) is None
    clock.advance(1)
    again = claim(queue)
    assert again.attempt == 2
    assert queue.complete(again, completion())
    assert queue.get(job.id).error_code is None


def test_a_full_disk_costs_a_job_nothing_of_its_budget(queue: JobQueue) -> None:
    queue.enqueue(new_job("a"))
    left = []
    for _ in range(5):
        job = claim(queue)
        left.append(job.max_attempts - job.attempt)
        assert queue.fail(job, StoreUnavailable("the disk is full"), 0.0)
    assert set(left) == {left[0]}, "as at its first attempt"


def test_a_final_failure_keeps_its_words(queue: JobQueue, clock: StandingClock) -> None:
    queue.enqueue(new_job("a"))
    job = claim(queue)
    assert queue.fail(job, InvalidModelOutput("no mask", field="segmentation"), None)
    failed = queue.get(job.id)
    assert (failed.state, failed.error_code, failed.error) == (JobState.FAILED, "InvalidModelOutput", "no mask")
    assert failed.finished_at == clock.now()


def test_an_operators_retry_gives_a_fresh_budget_and_attempts_go_on(queue: JobQueue, clock: StandingClock) -> None:
    job_id = queue.enqueue(new_job("a"))
    for _ in range(2):
        claim(queue)
        clock.advance(LEASE_S + 1)
        queue.rescue()
        clock.advance(BACKOFF_S)
    queue.retry(job_id)
    job = claim(queue)
    assert (job.attempt, job.max_attempts, job.finished_at) == (3, 4, None)
    clock.advance(LEASE_S + 1)
    queue.rescue()
    assert queue.get(job_id).state is JobState.SCHEDULED
    with pytest.raises(InvalidTransition):
        queue.retry(job_id)


def test_cancel_of_a_waiting_job(queue: JobQueue, clock: StandingClock) -> None:
    job_id = queue.enqueue(new_job("a"))
    queue.cancel(job_id)
    assert (queue.get(job_id).state, queue.get(job_id).finished_at) == (JobState.CANCELED, clock.now())
    assert queue.claim("w1", LEASE_S) is None
    with pytest.raises(InvalidTransition):
        queue.cancel(job_id)
    queue.retry(job_id)
    assert claim(queue).id == job_id


def test_cancel_of_a_running_job_is_told_by_the_heartbeat(queue: JobQueue) -> None:
    queue.enqueue(new_job("a"))
    job = claim(queue)
    queue.cancel(job.id)
    assert queue.get(job.id).state is JobState.IN_PROGRESS
    assert queue.heartbeat(job, LEASE_S) is Lease.CANCEL
    assert queue.cancel_claimed(job)
    canceled = queue.get(job.id)
    assert (canceled.state, canceled.cancel_requested) == (JobState.CANCELED, False)


@pytest.mark.parametrize("way", ["fail", "hand_back", "rescue"])
def test_what_shall_be_canceled_does_not_run_again(queue: JobQueue, clock: StandingClock, way: str) -> None:
    queue.enqueue(new_job("a"))
    job = claim(queue)
    queue.cancel(job.id)
    match way:
        case "fail":
            assert queue.fail(job, InferenceTimeout(), 1.0)
        case "hand_back":
            assert queue.hand_back(job)
        case _:
            clock.advance(LEASE_S + 1)
            assert queue.rescue() == [job.id]
    assert (queue.get(job.id).state, queue.get(job.id).finished_at) == (JobState.CANCELED, clock.now())


def test_a_job_handed_back_costs_no_attempt_of_its_budget(queue: JobQueue) -> None:
    queue.enqueue(new_job("a"))
    first = claim(queue)
    assert queue.hand_back(first)
    back = queue.get(first.id)
    assert (back.state, back.owner, back.started_at) == (JobState.SCHEDULED, None, None)
    again = claim(queue)
    assert again.max_attempts - again.attempt == first.max_attempts - first.attempt
    assert not queue.complete(first, completion())


def test_pause_stops_claims_for_every_process(queue: JobQueue, engine: Engine, clock: StandingClock) -> None:
    queue.enqueue(new_job("a"))
    queue.pause()
    queue.pause()
    other = SqlJobQueue(engine, clock)
    assert other.paused()
    assert other.claim("w2", LEASE_S) is None
    other.resume()
    assert not queue.paused()
    assert queue.claim("w1", LEASE_S) is not None


def test_a_pause_between_the_look_and_the_claim_is_obeyed(
    queue: JobQueue, engine: Engine, clock: StandingClock
) -> None:
    queue.enqueue(new_job("a"))
    queue.pause()
    statements = ClaimStatements(engine.dialect.name, None)
    with engine.begin() as connection:
        values = parameters("w1", LEASE_S, MAX_WAIT_S, clock.now())
        assert connection.execute(statements.claim, values).first() is None


def test_prioritise(queue: JobQueue) -> None:
    queue.enqueue(new_job("first"))
    later = queue.enqueue(new_job("later", priority=Priority.LOW))
    queue.prioritise(later, Priority.HIGH)
    assert claim(queue).id == later


def test_prioritise_of_a_finished_job_moves_its_deliveries(
    queue: JobQueue, engine: Engine, clock: StandingClock
) -> None:
    for key in ("first", "later"):
        queue.enqueue(new_job(key, priority=Priority.LOW, series_instance_uids=(key,)))
        assert queue.complete(claim(queue), completion(key))
        clock.advance(1)
    later = Worklist(engine, clock).jobs()[0]["id"]
    queue.prioritise(later, Priority.MEDIUM)
    assert {one.job_id for one in SqlOutbox(engine, clock).claim("pacs", "s1", 30.0)} == {later}


def test_a_job_prioritised_while_it_runs_delivers_by_its_new_priority(
    queue: JobQueue, engine: Engine, clock: StandingClock
) -> None:
    for key in ("first", "later"):
        queue.enqueue(new_job(key, series_instance_uids=(key,)))
    first, later = claim(queue), claim(queue)
    queue.prioritise(later.id, Priority.HIGH)
    for job in (first, later):
        assert queue.complete(job, completion(job.key))
    assert {one.job_id for one in SqlOutbox(engine, clock).claim("pacs", "s1", 30.0)} == {later.id}


def test_what_has_waited_too_long_goes_before_every_priority(queue: JobQueue, clock: StandingClock) -> None:
    low = queue.enqueue(new_job("low", priority=Priority.LOW))
    clock.advance(1)
    medium = queue.enqueue(new_job("medium", priority=Priority.MEDIUM))
    clock.advance(MAX_WAIT_S - 1.001)
    queue.enqueue(new_job("high", priority=Priority.HIGH))
    assert claim(queue).key == "high", "nobody has waited too long yet"
    queue.enqueue(new_job("higher", priority=Priority.HIGH))
    clock.advance(0.001)
    assert claim(queue).id == low
    assert claim(queue).key == "higher"
    queue.enqueue(new_job("highest", priority=Priority.HIGH))
    clock.advance(1)
    assert [claim(queue).id, claim(queue).key] == [medium, "highest"]


def test_an_operators_retry_waits_anew(queue: JobQueue, clock: StandingClock) -> None:
    """It goes by its priority, however old the job is."""
    old = queue.enqueue(new_job("old", priority=Priority.LOW))
    queue.cancel(old)
    clock.advance(10 * MAX_WAIT_S)
    queue.retry(old)
    queue.enqueue(new_job("new", priority=Priority.MEDIUM))
    assert claim(queue).key == "new"
    assert claim(queue).id == old


def test_a_job_handed_back_keeps_its_place(queue: JobQueue, clock: StandingClock) -> None:
    queue.enqueue(new_job("first"))
    clock.advance(1)
    queue.enqueue(new_job("second"))
    assert queue.hand_back(claim(queue))
    assert claim(queue).key == "first"


def test_unknown_jobs_are_not_found(queue: JobQueue) -> None:
    for operation in (queue.get, queue.cancel, queue.retry, lambda job: queue.prioritise(job, Priority.LOW)):
        with pytest.raises(NotFound):
            operation(404)


def test_a_completed_job_stays_so(queue: JobQueue) -> None:
    queue.enqueue(new_job("a"))
    job = claim(queue)
    queue.complete(job, completion())
    for operation in (queue.cancel, queue.retry):
        with pytest.raises(InvalidTransition):
            operation(job.id)


def test_deliveries_of_a_completed_job_are_due(queue: JobQueue, engine: Engine, clock: StandingClock) -> None:
    queue.enqueue(new_job("a"))
    queue.complete(claim(queue), completion())
    claimed = SqlOutbox(engine, clock).claim("pacs", "s1", 30.0)
    assert {one.state for one in claimed} == {DeliveryState.IN_PROGRESS}
