"""What persons say of results, as rows: over both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from node.database.audit import SqlAudit
from node.database.catalogue import SqlCatalogue
from node.database.history import SqlResultHistory
from node.database.retention import SqlRetentionRecord
from node.database.tables import assessment
from node.domain.assessment import Assessment, AssessmentState, Decision, DueAssessment, Word
from node.domain.document import RejectionTitle, Withdrawal
from node.domain.job import Job
from node.domain.result import Outcome
from node.domain.retention import Step, Verdict
from node.errors import (
    AlreadyWithdrawn,
    InvalidAssessment,
    InvalidTransition,
    NotFound,
    StoreUnavailable,
    Superseded,
)
from node.jobs.assessments import GIVEN_UP, SqlAssessments
from node.jobs.queue import SqlJobQueue
from node.jobs.withdrawals import SqlWithdrawals
from node.show.worklist import Worklist
from tests.contract.rows import SR, STUDY, completion, new_job, stored, written
from tests.fakes.outbox import StandingClock

LEASE_S = 30.0


class Node:
    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.clock = clock
        self.queue = SqlJobQueue(engine, clock)
        self.book = SqlAssessments(engine, clock)
        self.withdrawals = SqlWithdrawals(engine)
        self.history = SqlResultHistory(engine)
        self.worklist = Worklist(engine, clock, committing=[])
        self.audit = SqlAudit(engine, clock, "test")

    def completed(self, key: str = "k", outcome: Outcome = Outcome.POSITIVE, prefix: str = "9.1") -> Job:
        self.queue.enqueue(new_job(key))
        job = self.queue.claim("w1", 60.0)
        assert job is not None
        assert self.queue.complete(job, completion(prefix, outcome))
        return job

    def word(self, decision: Decision = Decision.ACCEPT, **changes: object) -> Word:
        return replace(Word(decision, "reader", self.clock.now()), **changes)  # type: ignore[arg-type]

    def says(self, job: int, decision: Decision = Decision.ACCEPT, **changes: object) -> Assessment:
        return self.book.record(job, self.word(decision, **changes))

    def due(self) -> DueAssessment:
        self.clock.advance(11)
        due = self.book.claim(LEASE_S)
        assert due is not None
        return due

    def write(self) -> DueAssessment:
        due = self.due()
        assert self.book.complete(due, [written(SR, f"9.9.{due.assessment.id}")])
        return due


@pytest.fixture
def node(engine: Engine, clock: StandingClock) -> Node:
    return Node(engine, clock)


def test_nothing_is_due_before_it_cannot_be_undone(node: Node) -> None:
    job = node.completed()
    said = node.says(job.id)
    node.clock.advance(9.9)
    assert node.book.claim(LEASE_S) is None
    assert node.book.undo(said.id, "reader").state is AssessmentState.UNDONE
    node.clock.advance(60)
    assert node.book.claim(LEASE_S) is None, "an undone word is never written"
    assert [one.state for one in node.book.of_study(STUDY)] == [AssessmentState.UNDONE]


def test_a_word_becomes_a_report_and_its_delivery(node: Node) -> None:
    job = node.completed()
    node.says(job.id)
    due = node.write()
    assert (due.job.id, due.before, due.findings[0]["measurements"][0]["value"]) == (job.id, None, 3.25)
    assert [one.sop_instance_uid for one in due.objects] == ["9.1.1", "9.1.2"]
    kinds = {one["sop_instance_uid"]: one["kind"] for one in node.worklist.job(job.id)["objects"]}
    assert kinds == {"9.1.1": "RESULT", "9.1.2": "RESULT", "9.9.1": "ASSESSMENT"}
    assert len(node.worklist.deliveries(state="SCHEDULED")) == 3
    (kept,) = node.book.of_study(STUDY)
    assert kept.state is AssessmentState.WRITTEN
    with pytest.raises(InvalidTransition, match="cannot be undone"):
        node.book.undo(kept.id, "reader")


def test_a_later_word_follows_the_earlier_one(node: Node) -> None:
    job = node.completed()
    first = node.says(job.id)
    with pytest.raises(InvalidTransition, match="a moment ago"):
        node.says(job.id)
    node.write()
    node.says(job.id, by="another")
    due = node.due()
    assert due.before is not None
    assert due.before.id == first.id


def test_a_dead_writer_is_followed_by_another_and_saves_nothing(node: Node) -> None:
    job = node.completed()
    said = node.says(job.id)
    lost = node.due()
    with pytest.raises(InvalidTransition):
        node.book.undo(said.id, "reader")
    assert node.book.claim(LEASE_S) is None
    node.clock.advance(LEASE_S)
    again = node.book.claim(LEASE_S)
    assert again is not None
    assert not node.book.complete(lost, [written(SR, "9.9.9")])
    assert node.book.complete(again, [written(SR, "9.9.9")])


def test_what_fails_is_tried_again_and_given_up_with_an_alert(node: Node) -> None:
    job = node.completed()
    node.says(job.id)
    assert node.book.fail(node.due(), StoreUnavailable(), 5.0)
    assert node.book.claim(LEASE_S) is None
    node.clock.advance(5)
    due = node.book.claim(LEASE_S)
    assert due is not None
    assert due.attempt == 2
    assert node.book.fail(due, StoreUnavailable(), None)
    (kept,) = node.book.of_study(STUDY)
    assert (kept.state, kept.error) == (AssessmentState.FAILED, "StoreUnavailable")
    assert GIVEN_UP == "assessment_given_up"


def test_what_cannot_be_assessed(node: Node) -> None:
    with pytest.raises(NotFound):
        node.says(77)
    waiting = node.queue.enqueue(new_job("waiting", study_instance_uid="7.7"))
    with pytest.raises(InvalidTransition, match="SCHEDULED"):
        node.says(waiting)
    node.queue.cancel(waiting)
    job = node.completed()
    newer = node.completed("newer", prefix="9.2")
    with pytest.raises(Superseded):
        node.says(job.id)
    node.withdrawals.withdraw([newer.id], Withdrawal(node.clock.now(), "o", "why", RejectionTitle.QUALITY))
    with pytest.raises(AlreadyWithdrawn):
        node.says(newer.id)
    with pytest.raises(NotFound):
        node.book.undo(99, "reader")


def test_a_word_that_does_not_fit_is_not_kept(node: Node) -> None:
    job = node.completed()
    with pytest.raises(InvalidAssessment):
        node.says(job.id, Decision.REJECT)
    assert node.book.of_study(STUDY) == []


def test_nobody_undoes_another_persons_word(node: Node) -> None:
    said = node.says(node.completed().id)
    with pytest.raises(InvalidTransition, match="another person"):
        node.book.undo(said.id, "somebody")


def test_agreement_counts_the_latest_word_on_each_result(node: Node) -> None:
    first = node.completed("1")
    node.says(first.id)
    node.write()
    node.says(first.id, Decision.REJECT, reason="vessel")
    node.book.complete(node.due(), ())
    undone = node.says(first.id)
    node.book.undo(undone.id, "reader")
    (found,) = node.book.agreement()
    assert (found.model, found.scanner) == ("hippocampus", "unknown")
    assert (found.accepted, found.rejected, found.positive_predictive.value) == (0, 1, 0.0)


def test_the_assessed_report_is_no_earlier_result(node: Node) -> None:
    """What follows it names the algorithm's own report, and a repeated run is told from another by that alone."""
    job = node.completed()
    node.says(job.id)
    node.write()
    node.queue.enqueue(new_job("again"))
    again = node.queue.claim("w1", 60.0)
    assert again is not None
    reports = [report.sop_instance_uid for one in node.history.earlier(again) for report in one.reports]
    assert reports == ["9.1.1"]
    assert node.queue.complete(again, completion())
    assert node.worklist.job(job.id)["superseded_at"] is None, "the very same result was made twice"


@pytest.mark.parametrize("limit", [1, 100])
def test_retention_keeps_the_count_and_forgets_the_rest(node: Node, engine: Engine, limit: int) -> None:
    SqlCatalogue(engine, node.clock).record(stored("1.9.1", node.clock.now()))
    job = node.completed()
    node.says(job.id)
    node.write()
    node.says(job.id, Decision.REJECT, reason="a vessel")
    assert node.book.complete(node.due(), ())
    before = node.book.agreement()
    retention = SqlRetentionRecord(engine, node.clock)
    while retention.remove_rows(STUDY, lambda facts: Verdict(Step.REMOVE_ROWS, node.clock.now()), limit):
        pass
    assert node.book.agreement() == before
    assert node.book.of_study(STUDY) == []
    with engine.connect() as connection:
        (kept,) = connection.execute(select(assessment)).all()
    assert (kept.job_id, kept.said_by, kept.reason, kept.decision) == (None, "", "", "REJECT")


def test_every_word_is_in_the_log_of_uses(node: Node) -> None:
    job = node.completed()
    said = node.says(job.id, Decision.REJECT, reason="a vessel")
    node.book.undo(said.id, "reader")
    node.says(job.id)
    node.write()
    logged = [(one.action, one.actor) for one in reversed(node.audit.newest(10)) if "ASSESS" in one.action]
    assert logged == [
        ("RESULT_ASSESSED", "user:reader"),
        ("ASSESSMENT_UNDONE", "user:reader"),
        ("RESULT_ASSESSED", "user:reader"),
        ("ASSESSMENT_WRITTEN", "system"),
    ]
    assert not any("vessel" in one.detail for one in node.audit.newest(10)), "a person's words stay out of it"
