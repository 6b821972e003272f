"""Documents of failed jobs and of withdrawn results, as the job table keeps them: over both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from node.database.history import SqlResultHistory
from node.database.outbox import SqlOutbox
from node.database.removals import SqlRemovals
from node.database.result_rows import SqlResults
from node.domain.delivery import DeliveryState
from node.domain.document import DueDocument, Failure, RejectionTitle, Withdrawal, failure_reason
from node.domain.job import Completion, Job, JobState
from node.domain.result import DocumentRef, EarlierResult
from node.errors import AlreadyWithdrawn, InferenceTimeout, InvalidTransition, NotFound, ObjectMissing, WorkerLost
from node.jobs.documents import SqlDueDocuments
from node.jobs.queue import SqlJobQueue
from node.jobs.withdrawals import SqlWithdrawals
from node.ports.retention import Kept
from node.show.worklist import Worklist
from tests.contract.rows import SERIES, SR, STUDY, completion, new_job, written
from tests.fakes.outbox import StandingClock

LEASE_S = 30.0


class Node:
    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.clock = clock
        self.queue = SqlJobQueue(engine, clock, max_attempts=1)
        self.documents = SqlDueDocuments(engine, clock)
        self.withdrawals = SqlWithdrawals(engine)
        self.outbox = SqlOutbox(engine, clock)
        self.history = SqlResultHistory(engine)
        self.results = SqlResults(engine)
        self.removals = SqlRemovals(engine)
        self.worklist = Worklist(engine, clock, committing=[])

    def claimed(self, key: str = "k", series: str = SERIES) -> Job:
        self.queue.enqueue(new_job(key, series_instance_uids=(series,)))
        return self.again()

    def again(self) -> Job:
        job = self.queue.claim("w1", 6.0)
        assert job is not None
        return job

    def failed(self, key: str = "k") -> Job:
        job = self.claimed(key)
        assert self.queue.fail(job, InferenceTimeout(), None)
        return job

    def due(self) -> DueDocument:
        document = self.documents.claim(LEASE_S)
        assert document is not None
        return document

    def tell(self, uid: str, document: DueDocument | None = None) -> bool:
        document = document or self.due()
        failure = Failure(failure_reason(str(document.job.error_code)), {"error_code": document.job.error_code})
        return self.documents.complete(document, [written(SR, uid)], failure)

    def withdraw(self, *jobs: int) -> None:
        word = Withdrawal(self.clock.now(), "operator@host", "the wrong side", RejectionTitle.SAFETY)
        self.withdrawals.withdraw(jobs, word)

    def objects(self, job: int) -> dict[str, str]:
        return {one["sop_instance_uid"]: one["kind"] for one in self.worklist.job(job)["objects"]}

    def states(self) -> list[str]:
        return [one["state"] for one in self.worklist.deliveries()]


@pytest.fixture
def node(engine: Engine, clock: StandingClock) -> Node:
    return Node(engine, clock)


def report(uid: str) -> DocumentRef:
    return DocumentRef(STUDY, "1.2.3.99", SR, uid)


# ---------------------------------------------------------------- when one is due


def test_whichever_way_a_job_fails_a_document_is_due(node: Node) -> None:
    failed = node.failed("by its error")
    lost = node.claimed("by its worker", "1.2.3.5")
    node.clock.advance(7)
    assert node.queue.rescue() == [lost.id]
    assert {node.due().job.id, node.due().job.id} == {failed.id, lost.id}
    assert node.documents.claim(LEASE_S) is None


def test_no_other_ending_makes_one_due(node: Node) -> None:
    assert node.queue.fail(node.claimed("again"), WorkerLost(), 3600.0)
    assert node.queue.cancel_claimed(node.claimed("canceled"))
    assert node.queue.complete(node.claimed("completed"), completion())
    node.queue.cancel(node.queue.enqueue(new_job("waiting", study_instance_uid="7.7")))
    assert node.documents.claim(LEASE_S) is None


def test_a_document_becomes_rows_and_deliveries_and_the_job_stays_failed(node: Node) -> None:
    job = node.failed()
    assert node.tell("9.1.1")
    row = node.worklist.job(job.id)
    assert (row["state"], row["outcome"], row["reason_code"]) == ("FAILED", "FAILED", "InferenceTimeout")
    assert "not finished in time" in row["reason"]
    assert node.objects(job.id) == {"9.1.1": "FAILED"}
    assert node.states() == ["SCHEDULED"]
    assert node.documents.claim(LEASE_S) is None
    node.queue.cancel(job.id)
    assert node.objects(job.id) == {"9.1.1": "FAILED"}, "who gives the job up leaves what was said"


def test_a_dead_writer_is_followed_by_another_and_saves_nothing(node: Node) -> None:
    node.failed()
    dead = node.due()
    assert node.documents.claim(LEASE_S) is None
    node.clock.advance(LEASE_S)
    living = node.due()
    assert (dead.attempt, living.attempt) == (1, 2)
    assert not node.tell("9.1.1", dead)
    assert not node.documents.announce(dead, ["k"])
    assert not node.documents.fail(dead, ObjectMissing(), 1.0)
    assert node.tell("9.1.1", living)
    assert node.states() == ["SCHEDULED"]


def test_a_try_that_failed_is_repeated_later(node: Node) -> None:
    node.failed()
    assert node.documents.fail(node.due(), ObjectMissing(), 5.0)
    assert node.documents.claim(LEASE_S) is None
    node.clock.advance(5)
    assert node.due().attempt == 2


def test_what_a_try_announced_is_freed_where_it_came_to_nothing(node: Node) -> None:
    job, freed = node.failed(), []
    first = node.due()
    assert node.documents.announce(first, ["key-9.1.1"])

    def free() -> list[str]:
        node.removals.free(Kept.RESULTS, lambda key, _: freed.append(key), 10)
        return freed

    assert free() == [], "it is about to be put"
    node.clock.advance(LEASE_S)
    second = node.due()
    assert node.documents.announce(second, ["key-9.1.1"])
    assert free() == []
    node.queue.retry(job.id)
    assert free() == ["key-9.1.1"], "the run that follows says something else"


# ---------------------------------------------------------------- when the job is run again


def test_a_job_that_is_run_again_tells_how_that_ended(node: Node) -> None:
    job = node.failed()
    untold = node.due()
    node.queue.retry(job.id)
    assert not node.tell("9.1.1", untold)
    assert node.queue.complete(node.again(), completion("9.2"))
    assert node.documents.claim(LEASE_S) is None
    assert set(node.objects(job.id).values()) == {"RESULT"}


def test_a_success_follows_the_failure_that_was_told(node: Node) -> None:
    job = node.failed()
    assert node.tell("9.1.1")
    for one in node.outbox.claim("pacs", "s1", 30.0):
        node.outbox.fail(one, ObjectMissing(), 3600.0)
    assert node.history.earlier(job) == [], "an attempt does not follow itself"
    node.queue.retry(job.id)
    running = node.again()
    assert node.history.earlier(running) == [EarlierResult((report("9.1.1"),))]
    assert node.queue.complete(running, completion("9.2"))
    assert node.objects(job.id) == {"9.1.1": "FAILED", "9.2.1": "RESULT", "9.2.2": "RESULT"}
    claimed = {one.sop_instance_uid for one in node.outbox.claim("pacs", "s1", 30.0)}
    assert claimed == {"9.1.1", "9.2.1", "9.2.2"}, "what is replaced is sent with what replaces it"


def test_the_same_failure_again_is_the_same_document(node: Node) -> None:
    job = node.failed()
    assert node.tell("9.1.1")
    node.queue.retry(job.id)
    assert node.queue.fail(node.again(), InferenceTimeout(), None)
    assert node.tell("9.1.1")
    assert node.objects(job.id) == {"9.1.1": "FAILED"}
    assert len(node.states()) == 1


def test_a_newer_job_tells_instead(node: Node) -> None:
    node.failed()
    untold = node.due()
    assert node.queue.enqueue(new_job("rerun"))
    assert not node.tell("9.1.1", untold)
    node.clock.advance(LEASE_S)
    assert node.documents.claim(LEASE_S) is None


def test_a_failure_of_another_job_belongs_to_the_history(node: Node) -> None:
    node.failed()
    assert node.tell("9.1.1")
    rerun = node.claimed("rerun")
    assert node.history.earlier(rerun) == [EarlierResult((report("9.1.1"),))]


# ---------------------------------------------------------------- withdrawal


def done(node: Node, key: str = "k", prefix: str = "9.1") -> int:
    job = node.claimed(key)
    assert node.queue.complete(job, completion(prefix))
    return job.id


def test_a_withdrawn_result_is_told_of_and_not_sent_any_more(node: Node) -> None:
    job = done(node)
    node.withdraw(job)
    assert node.states() == [DeliveryState.CANCELED] * 2
    document = node.due()
    assert document.withdrawal is not None
    assert (document.withdrawal.reason, document.withdrawal.title) == ("the wrong side", RejectionTitle.SAFETY)
    assert {one.sop_instance_uid for one in document.objects} == {"9.1.1", "9.1.2"}
    assert node.documents.complete(document, [written(SR, "9.1.3")])
    assert node.objects(job) == {"9.1.1": "RESULT", "9.1.2": "RESULT", "9.1.3": "REJECTION"}
    assert node.states()[0] == DeliveryState.SCHEDULED
    row = node.worklist.job(job)
    assert (row["state"], row["outcome"], row["withdrawn_by"]) == ("COMPLETED", "POSITIVE", "operator@host")


def test_twice_is_refused_unless_the_note_was_given_up(node: Node) -> None:
    job = done(node)
    node.withdraw(job)
    with pytest.raises(AlreadyWithdrawn):
        node.withdraw(job)
    assert node.documents.fail(node.due(), ObjectMissing(), None)
    node.withdraw(job)
    assert node.documents.complete(node.due(), [written(SR, "9.1.3")])
    with pytest.raises(AlreadyWithdrawn):
        node.withdraw(job)


def test_what_cannot_be_withdrawn(node: Node) -> None:
    job = node.failed()
    for none in ((), (job.id,), (999,)):
        with pytest.raises(NotFound):
            node.withdraw(*none)
    assert node.tell("9.1.1")
    node.queue.retry(job.id)
    with pytest.raises(InvalidTransition, match="SCHEDULED"):
        node.withdraw(job.id)
    assert node.queue.fail(node.again(), WorkerLost(), None)
    with pytest.raises(InvalidTransition, match="still to be written"):
        node.withdraw(job.id)
    assert node.tell("9.1.4")
    node.withdraw(job.id)
    with pytest.raises(AlreadyWithdrawn):
        node.queue.retry(job.id)


def test_who_comes_after_a_withdrawal_knows_of_it(node: Node) -> None:
    job = done(node)
    early = node.claimed("early")
    node.clock.advance(1)
    node.withdraw(job)
    node.clock.advance(1)
    assert [one.withdrawn for one in node.history.earlier(early)] == [False], "it was made before"
    assert node.documents.complete(node.due(), [written("1.2.840.10008.5.1.4.1.1.88.59", "9.1.3")])
    node.queue.cancel_claimed(early)
    late = node.claimed("late")
    assert node.history.earlier(late) == [EarlierResult((report("9.1.1"),), withdrawn=True)]


# ---------------------------------------------------------------- what is listed


def test_results_are_found_by_object_series_and_study(node: Node) -> None:
    first = done(node)
    node.clock.advance(1)
    main = replace(written(SR, "8.1.1"), series_instance_uid="8.8", predecessors=(report("9.1.1"),))
    other = node.claimed("other")
    assert node.queue.complete(other, Completion(completion().result, (main,), {"device": "cpu"}))
    for uid, jobs in (("9.1.2", {first}), ("8.8", {other.id}), (STUDY, {first, other.id}), ("7.7", set())):
        assert {row["job_id"] for row in node.results.of(uid)} == jobs
    assert [row["sop_instance_uid"] for row in node.results.newest(STUDY, 2)] == ["8.1.1", "9.1.2"]
    assert node.results.newest("7.7", 5) == []
    assert node.results.successors(STUDY, ["9.1.1"]) == ["8.1.1"]
    assert {one["sop_instance_uid"] for one in node.results.deliveries([first])} == {"9.1.1", "9.1.2"}
    assert node.results.job(first).state is JobState.COMPLETED
