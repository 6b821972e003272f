"""``ports.WorkitemStore`` over both databases: the fencing of claims from outside, and the race of fifty."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from node.database.audit import SqlAudit
from node.domain.job import Job, JobState, Lease, Priority
from node.domain.result import Outcome
from node.domain.retry import RetryPolicy
from node.domain.workitem import (
    GLOBAL,
    Change,
    Claim,
    EventType,
    NewWorkitem,
    StepState,
    Subscription,
    Workitem,
    WorkitemQuery,
    digest_of,
    end_wanted,
    require_claimable,
    require_settable,
)
from node.errors import (
    ClaimLost,
    DuplicateWorkitem,
    InferenceTimeout,
    NoSuchWorkitem,
    WorkitemError,
    WorkitemFinal,
    WorkitemNotInProgress,
    WrongTransaction,
)
from node.jobs.queue import SqlJobQueue
from node.jobs.subscriptions import SqlSubscriptions
from node.jobs.workitems import ELSEWHERE, SqlWorkitems
from tests.contract.rows import SEG, SR, completion, new_job
from tests.fakes.outbox import StandingClock

LEASE_S, WORKER_LEASE_S = 60.0, 6.0
MINE, OTHER = digest_of("1.2.3"), digest_of("1.2.4")


@pytest.fixture
def queue(engine: Engine, clock: StandingClock) -> SqlJobQueue:
    return SqlJobQueue(engine, clock, 3, retry=RetryPolicy(base_s=1.0), chance=lambda: 1.0)


@pytest.fixture
def store(engine: Engine, clock: StandingClock) -> SqlWorkitems:
    return SqlWorkitems(engine, clock, LEASE_S)


def only(store: SqlWorkitems, **query: object) -> Workitem:
    [found] = store.find(WorkitemQuery(**query), -1, 10)  # type: ignore[arg-type]
    return found


def claim(store: SqlWorkitems, uid: str, performer: str = "PERFORMER", digest: str = MINE) -> Workitem:
    def decide(workitem: Workitem) -> Change:
        require_claimable(workitem)
        return Change(claim=Claim(performer, digest))

    return store.change(uid, performer, decide)


def end(store: SqlWorkitems, uid: str, wanted: StepState, digest: str | None = MINE) -> Workitem:
    def decide(workitem: Workitem) -> Change:
        warned = end_wanted(workitem, wanted, digest)
        return Change(becomes=wanted) if warned is None else Change(warned=warned)

    return store.change(uid, "PERFORMER", decide)


def say(store: SqlWorkitems, uid: str, digest: str | None, **attributes: object) -> Workitem:
    def decide(workitem: Workitem) -> Change:
        require_settable(workitem, digest)
        return Change(attributes={**workitem.attributes, **attributes})

    return store.change(uid, "PERFORMER", decide)


def run(queue: SqlJobQueue, owner: str = "host/work-0") -> Job:
    job = queue.claim(owner, WORKER_LEASE_S)
    assert job is not None
    return job


def test_every_job_is_a_workitem(queue: SqlJobQueue, store: SqlWorkitems, clock: StandingClock) -> None:
    queue.enqueue(new_job("a"))
    clock.advance(1)
    queue.enqueue(new_job("b", revision=1, series_instance_uids=("1.2.3.5",), priority=Priority.HIGH))
    first, second = store.find(WorkitemQuery(), -1, 10)
    assert (first.state, first.job.key, second.job.key) == (StepState.SCHEDULED, "a", "b")
    assert first.uid != second.uid
    assert store.get(first.uid) == first
    assert store.find(WorkitemQuery(), first.job.id, 10) == [second]
    assert only(store, priorities=(Priority.HIGH,)) == second
    assert only(store, uids=(first.uid,), states=(StepState.SCHEDULED,)) == first
    assert store.find(WorkitemQuery(models=("other",)), -1, 10) == []
    assert store.find(WorkitemQuery(patient_ids=("P1",)), -1, 10) == []
    with pytest.raises(NoSuchWorkitem):
        store.get("9.9.9")


def test_what_a_worker_does_is_seen(queue: SqlJobQueue, store: SqlWorkitems, clock: StandingClock) -> None:
    """And a workitem never goes back: what is tried again is IN PROGRESS until it is over."""
    queue.enqueue(new_job("a"))
    job = run(queue)
    uid = only(store).uid
    assert store.get(uid).state is StepState.IN_PROGRESS
    assert queue.fail(job, InferenceTimeout(), 5.0)
    assert queue.get(job.id).state is JobState.SCHEDULED
    assert only(store, states=(StepState.IN_PROGRESS,)).uid == uid
    with pytest.raises(ClaimLost):
        claim(store, uid)
    clock.advance(6)
    job = run(queue)
    assert queue.complete(job, completion())
    done = only(store, states=(StepState.COMPLETED,))
    assert done.uid == uid
    [told] = store.outputs(done)
    assert {(ref.sop_class_uid, ref.sop_instance_uid) for ref in told.instances} == {(SR, "9.1.1"), (SEG, "9.1.2")}
    with pytest.raises(WorkitemFinal):
        claim(store, uid)


def test_a_failed_job_run_again_is_another_workitem(queue: SqlJobQueue, store: SqlWorkitems) -> None:
    queue.enqueue(new_job("a"))
    job = run(queue)
    assert queue.fail(job, InferenceTimeout(), None)
    failed = only(store, states=(StepState.CANCELED,))
    queue.retry(job.id)
    again = only(store)
    assert (again.state, again.job.id) == (StepState.SCHEDULED, job.id)
    assert again.uid != failed.uid
    with pytest.raises(NoSuchWorkitem):
        store.get(failed.uid)


def test_a_claim_from_outside_keeps_workers_away(queue: SqlJobQueue, store: SqlWorkitems) -> None:
    queue.enqueue(new_job("a"))
    uid = only(store).uid
    claimed = claim(store, uid)
    assert (claimed.state, claimed.job.attempt, claimed.performer) == (StepState.IN_PROGRESS, 1, "PERFORMER")
    assert claimed.is_performed_outside
    assert queue.claim("host/work-0", WORKER_LEASE_S) is None
    with pytest.raises(ClaimLost):
        claim(store, uid, "OTHER", OTHER)
    for digest in (OTHER, None):
        with pytest.raises(WrongTransaction):
            say(store, uid, digest, x={})
        with pytest.raises(WrongTransaction):
            end(store, uid, StepState.COMPLETED, digest)
    say(store, uid, MINE, **{"00741204": {"vr": "LO", "Value": ["label"]}})
    done = end(store, uid, StepState.COMPLETED)
    assert (done.state, done.performer, done.transaction) == (StepState.COMPLETED, "PERFORMER", MINE)
    assert done.attributes["00741204"]["Value"] == ["label"]
    # Nobody takes it for a negative result.
    assert (done.job.outcome, done.job.reason) == (Outcome.NOT_EVALUABLE, ELSEWHERE)
    assert done.job.owner is None
    assert end(store, uid, StepState.COMPLETED) == done
    with pytest.raises(WorkitemFinal):
        end(store, uid, StepState.CANCELED)
    with pytest.raises(WorkitemFinal):
        say(store, uid, MINE, x={})


def test_what_is_scheduled_is_not_ended(queue: SqlJobQueue, store: SqlWorkitems) -> None:
    queue.enqueue(new_job("a"))
    uid = only(store).uid
    with pytest.raises(WorkitemNotInProgress):
        end(store, uid, StepState.COMPLETED)
    with pytest.raises(WorkitemNotInProgress):
        say(store, uid, MINE, x={})
    assert say(store, uid, None, x={}).attributes == {"x": {}}
    assert store.get(uid).state is StepState.SCHEDULED


def test_a_worker_that_was_first_keeps_the_job(queue: SqlJobQueue, store: SqlWorkitems) -> None:
    queue.enqueue(new_job("a"))
    job, uid = run(queue), only(store).uid
    with pytest.raises(ClaimLost):
        claim(store, uid)
    with pytest.raises(WrongTransaction):
        end(store, uid, StepState.COMPLETED)
    assert queue.heartbeat(job, WORKER_LEASE_S) is Lease.HELD
    assert queue.complete(job, completion())


def test_a_performer_that_is_silent_loses_the_job(
    queue: SqlJobQueue, store: SqlWorkitems, clock: StandingClock
) -> None:
    """Then a worker may do it, and the old Transaction UID is good for nothing."""
    queue.enqueue(new_job("a"))
    uid = only(store).uid
    claim(store, uid)
    clock.advance(LEASE_S - 1)
    say(store, uid, MINE, x={})
    clock.advance(LEASE_S - 1)
    assert queue.rescue() == []
    clock.advance(2)
    [rescued] = queue.rescue()
    assert store.get(uid).state is StepState.IN_PROGRESS
    _require_powerless(store, uid)
    clock.advance(5)
    job = run(queue)
    _require_powerless(store, uid)
    assert (job.id, job.attempt) == (rescued, 2)
    assert queue.complete(job, completion())


def _require_powerless(store: SqlWorkitems, uid: str) -> None:
    with pytest.raises(WrongTransaction):
        end(store, uid, StepState.COMPLETED)
    with pytest.raises(WrongTransaction):
        say(store, uid, MINE, x={})


def test_what_is_created_is_a_job_under_the_uid_that_was_wanted(
    queue: SqlJobQueue, store: SqlWorkitems, engine: Engine, clock: StandingClock
) -> None:
    new = NewWorkitem(new_job("a/ups-1.5", workitem_uid="1.5"), {"x": {}})
    made = store.create(new, "MANAGER")
    assert (made.uid, made.state, made.attributes) == ("1.5", StepState.SCHEDULED, {"x": {}})
    with pytest.raises(DuplicateWorkitem):
        store.create(NewWorkitem(new_job("b", workitem_uid="1.5"), {}), "MANAGER")
    assert run(queue).id == made.job.id
    [entry] = SqlAudit(engine, clock, "reader").newest(5)
    assert (entry.actor, entry.action) == ("MANAGER", "JOB_REQUESTED")


def test_of_many_who_create_one_workitem_one_does(store: SqlWorkitems) -> None:
    together = threading.Barrier(8)

    def create(number: int) -> str:
        together.wait(60)
        try:
            store.create(NewWorkitem(new_job(f"job-{number}", workitem_uid="1.5"), {}), "MANAGER")
        except WorkitemError as error:
            return error.code
        return "made"

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(create, range(8)))
    assert answers == {"made": 1, "DuplicateWorkitem": 7}


def test_canceling(queue: SqlJobQueue, store: SqlWorkitems) -> None:
    queue.enqueue(new_job("a"))
    queue.enqueue(new_job("b", series_instance_uids=("1.2.3.5",)))
    waiting, running = store.find(WorkitemQuery(), -1, 10)
    assert store.change(waiting.uid, "MANAGER", lambda _: Change(cancel=True)).state is StepState.CANCELED
    job = run(queue)
    assert job.id == running.job.id
    assert store.change(running.uid, "MANAGER", lambda _: Change(cancel=True)).state is StepState.IN_PROGRESS
    assert queue.heartbeat(job, WORKER_LEASE_S) is Lease.CANCEL
    assert queue.cancel_claimed(job)
    assert store.get(running.uid).state is StepState.CANCELED


def test_an_operator_cancels_what_somebody_else_performs(engine: Engine, clock: StandingClock) -> None:
    """The performer is told at once, may still end it in the time that is left, and gets no more of it."""
    queue, store = SqlJobQueue(engine, clock, 3, ae_title="NODE"), SqlWorkitems(engine, clock, LEASE_S)
    subscriptions = SqlSubscriptions(engine, clock)
    subscriptions.subscribe(Subscription("PERFORMER", GLOBAL))
    job_id = queue.enqueue(new_job("a"))
    uid = only(store).uid
    claim(store, uid)
    subscriptions.tell(subscriptions.happened(10), [])
    queue.cancel(job_id)
    [told] = subscriptions.happened(10)
    assert (told.workitem_uid, told.event_type, told.became) == (uid, EventType.CANCEL_REQUESTED, None)
    assert told.information["00741236"]["Value"] == ["NODE"]
    assert (queue.get(job_id).state, queue.get(job_id).cancel_requested) == (JobState.IN_PROGRESS, True)
    clock.advance(LEASE_S - 1)
    assert say(store, uid, MINE, progress="half").attributes == {"progress": "half"}
    clock.advance(1)
    assert queue.rescue() == [job_id]
    assert queue.get(job_id).state is JobState.CANCELED
    assert store.get(uid).state is StepState.CANCELED


def test_the_performer_decides_what_an_operator_only_asks_for(queue: SqlJobQueue, store: SqlWorkitems) -> None:
    job_id = queue.enqueue(new_job("a"))
    claim(store, only(store).uid)
    queue.cancel(job_id)
    assert end(store, only(store).uid, StepState.COMPLETED).state is StepState.COMPLETED
    assert not queue.get(job_id).cancel_requested


def test_a_worker_of_our_own_is_asked_by_its_heartbeat(
    queue: SqlJobQueue, store: SqlWorkitems, engine: Engine, clock: StandingClock
) -> None:
    subscriptions = SqlSubscriptions(engine, clock)
    subscriptions.subscribe(Subscription("WATCHER", GLOBAL))
    job_id = queue.enqueue(new_job("a"))
    run(queue)
    subscriptions.tell(subscriptions.happened(10), [])
    queue.cancel(job_id)
    assert subscriptions.happened(10) == []


def test_what_is_refused_changes_nothing(queue: SqlJobQueue, store: SqlWorkitems) -> None:
    queue.enqueue(new_job("a"))
    before = only(store)

    def decide(_: Workitem) -> Change:
        raise WrongTransaction("no")

    with pytest.raises(WrongTransaction):
        store.change(before.uid, "MANAGER", decide)
    assert store.get(before.uid) == before


def test_of_fifty_who_claim_one_workitem_one_wins(queue: SqlJobQueue, store: SqlWorkitems) -> None:
    """And four workers, who want it too."""
    queue.enqueue(new_job("a"))
    uid, people, workers = only(store).uid, 50, 4
    together = threading.Barrier(people + workers)

    def ask(number: int) -> str:
        together.wait(120)
        if number >= people:
            return "nothing due" if queue.claim(f"host/work-{number}", 600.0) is None else "won"
        try:
            claim(store, uid, f"P{number}", digest_of(f"1.2.{number}"))
        except WorkitemError as error:
            return f"{error.dimse_status:04X}"
        return "won"

    with ThreadPoolExecutor(people + workers) as pool:
        answers = Counter(pool.map(ask, range(people + workers)))
    assert answers["won"] == 1
    assert answers["C302"] in (people - 1, people)
    assert answers.total() == answers["won"] + answers["C302"] + answers["nothing due"]
    assert store.get(uid).job.attempt == 1


def test_events_are_written_while_somebody_subscribes(
    queue: SqlJobQueue, store: SqlWorkitems, engine: Engine, clock: StandingClock
) -> None:
    subscriptions = SqlSubscriptions(engine, clock)
    queue.enqueue(new_job("a"))
    assert subscriptions.happened(10) == []
    subscriptions.subscribe(Subscription("WATCHER", GLOBAL))
    queue.enqueue(new_job("b", series_instance_uids=("1.2.3.5",)))
    first, second = (workitem.uid for workitem in store.find(WorkitemQuery(), -1, 10))
    claim(store, first)
    report = (EventType.PROGRESS, {"00741004": {"vr": "DS", "Value": [50]}})
    store.change(first, "P", lambda _: Change(report=report))
    end(store, first, StepState.COMPLETED)
    job = run(queue)
    assert queue.fail(job, InferenceTimeout(), None)
    queue.retry(job.id)
    third = store.get(only(store, states=(StepState.SCHEDULED,)).uid).uid
    told = [(one.workitem_uid, one.was, one.became, one.event_type) for one in subscriptions.happened(20)]
    assert told == [
        (second, None, StepState.SCHEDULED, None),
        (first, StepState.SCHEDULED, StepState.IN_PROGRESS, None),
        (first, None, None, EventType.PROGRESS),
        (first, StepState.IN_PROGRESS, StepState.COMPLETED, None),
        (second, StepState.SCHEDULED, StepState.IN_PROGRESS, None),
        (second, StepState.IN_PROGRESS, StepState.CANCELED, None),
        (third, None, StepState.SCHEDULED, None),
    ]
