"""A destination that is told of some outcomes: what is left out says so, and is neither missing nor waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from node.database.outbox import SqlOutbox
from node.domain.assessment import Decision, Word
from node.domain.document import Failure, RejectionTitle, Withdrawal, failure_reason
from node.domain.job import Completion, Job
from node.domain.rendition import Wishes
from node.domain.result import DocumentRef, Outcome
from node.errors import InferenceTimeout
from node.jobs.assessments import SqlAssessments
from node.jobs.documents import SqlDueDocuments
from node.jobs.queue import SqlJobQueue
from node.jobs.withdrawals import SqlWithdrawals
from node.show.worklist import Worklist
from tests.contract.rows import SR, STUDY, completion, new_job, written
from tests.fakes.outbox import StandingClock

WISHES = {
    "pacs": Wishes(),
    "readers": Wishes(main_report_only=True, outcomes=frozenset({Outcome.POSITIVE, Outcome.FAILED})),
}
LEASE_S = 30.0


class Node:
    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.clock = clock
        self.queue = SqlJobQueue(engine, clock, max_attempts=1, wishes=WISHES)
        self.documents = SqlDueDocuments(engine, clock, wishes=WISHES)
        self.book = SqlAssessments(engine, clock, wishes=WISHES)
        self.withdrawals = SqlWithdrawals(engine)
        self.outbox = SqlOutbox(engine, clock)
        self.worklist = Worklist(engine, clock, committing=[])

    def claimed(self, key: str = "k", **changes: object) -> Job:
        self.queue.enqueue(new_job(key, destinations=tuple(WISHES), **changes))
        job = self.queue.claim("w1", 60.0)
        assert job is not None
        return job

    def says(self, outcome: Outcome, key: str = "k", uid: str = "9.1", after: str | None = None) -> Job:
        job = self.claimed(key, model_version=key)
        made = replace(written(SR, uid), predecessors=(DocumentRef("1.2.3", "1.2.3.99", SR, after),) if after else ())
        assert self.queue.complete(job, Completion(completion(outcome=outcome).result, (made,), {}))
        return job

    def readers(self) -> list[tuple[str, str, str | None]]:
        """What became of each document that the readers could be told of."""
        rows = [one for one in self.worklist.deliveries() if one["destination"] == "readers"]
        return [(one["sop_instance_uid"], one["state"], one["error_code"]) for one in reversed(rows)]

    def send(self) -> None:
        for name in WISHES:
            while claimed := self.outbox.claim(name, "s", LEASE_S):
                for one in claimed:
                    assert self.outbox.stored(one)


@pytest.fixture
def node(engine: Engine, clock: StandingClock) -> Node:
    return Node(engine, clock)


def withdraw(node: Node, job: Job) -> None:
    word = Withdrawal(node.clock.now(), "operator@host", "the wrong side", RejectionTitle.SAFETY)
    node.withdrawals.withdraw([job.id], word)
    document = node.documents.claim(LEASE_S)
    assert document is not None
    assert node.documents.complete(document, [written("1.2.840.10008.5.1.4.1.1.88.59", "9.8")])


def test_what_is_chosen_is_sent(node: Node) -> None:
    node.says(Outcome.POSITIVE)
    assert node.readers() == [("9.1", "SCHEDULED", None)]


@pytest.mark.parametrize("outcome", [Outcome.NEGATIVE, Outcome.NOT_EVALUABLE])
def test_what_is_not_chosen_says_so_and_can_be_sent_by_hand(node: Node, outcome: Outcome) -> None:
    node.says(outcome)
    assert node.readers() == [("9.1", "CANCELED", "OutcomeNotChosen")]
    node.send()
    assert [one["state"] for one in node.worklist.deliveries()] == ["CANCELED", "STORED"]
    (left_out,) = (one for one in node.worklist.deliveries() if one["state"] == "CANCELED")
    assert left_out["error"] == f"{outcome} is not among the outcomes that this destination is told"
    node.outbox.retry(left_out["id"])
    assert node.readers() == [("9.1", "SCHEDULED", "OutcomeNotChosen")]


def test_a_failure_is_told_and_what_follows_it(node: Node) -> None:
    job = node.claimed()
    assert node.queue.fail(job, InferenceTimeout(), None)
    document = node.documents.claim(LEASE_S)
    assert document is not None
    assert node.documents.complete(document, [written(SR, "9.7")], Failure(failure_reason("InferenceTimeout"), {}))
    node.queue.retry(job.id)
    again = node.queue.claim("w1", 60.0)
    assert again is not None
    assert node.queue.complete(
        again, Completion(completion(outcome=Outcome.NEGATIVE).result, (written(SR, "9.1"),), {})
    )
    assert [(uid, state) for uid, state, _ in node.readers()] == [("9.7", "SCHEDULED"), ("9.1", "SCHEDULED")]


def test_what_takes_back_something_that_was_told_is_told(node: Node) -> None:
    job = node.says(Outcome.POSITIVE)
    node.send()
    withdraw(node, job)
    assert node.readers() == [("9.1", "STORED", None), ("9.8", "SCHEDULED", None)]


@pytest.mark.parametrize("outcome", [Outcome.POSITIVE, Outcome.NEGATIVE])
def test_what_takes_back_something_that_nobody_heard_of_is_not(node: Node, outcome: Outcome) -> None:
    withdraw(node, node.says(outcome))
    assert [(uid, state) for uid, state, _ in node.readers()] == [("9.1", "CANCELED"), ("9.8", "CANCELED")]


def test_a_newer_result_in_place_of_one_that_was_told_is_told(node: Node) -> None:
    node.says(Outcome.POSITIVE)
    node.says(Outcome.NEGATIVE, "newer", "9.2", after="9.1")
    node.says(Outcome.NOT_EVALUABLE, "newest", "9.3", after="9.2")
    assert [state for _, state, _ in node.readers()] == ["SCHEDULED"] * 3


def test_what_a_person_corrects_counts_as_corrected(node: Node) -> None:
    job = node.says(Outcome.NEGATIVE)
    node.book.record(job.id, Word(Decision.CORRECT, "reader", node.clock.now(), outcome=Outcome.POSITIVE))
    node.clock.advance(11)
    due = node.book.claim(LEASE_S)
    assert due is not None
    assert node.book.complete(due, [written(SR, "9.9")])
    assert [(uid, state) for uid, state, _ in node.readers()] == [("9.1", "CANCELED"), ("9.9", "SCHEDULED")]


def test_what_is_left_out_is_not_missing(node: Node) -> None:
    """So nobody waits for it, and no study fails because of it."""
    node.says(Outcome.NEGATIVE)
    node.send()
    found = node.worklist.finality(STUDY)
    assert (found.failed, node.worklist.counts()[1]["CANCELED"]) == (False, 1)
