"""The read-only queries over both databases, with CONTRACT's keys."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine

from node.database.catalogue import SqlCatalogue
from node.database.outbox import SqlOutbox
from node.database.roles import SqlRoleBoard
from node.domain.admission import Admission, Condition, Verdict
from node.domain.delivery import CommitmentReport, DeliveryState
from node.domain.document import Failure, failure_reason
from node.domain.job import JobState
from node.domain.result import Outcome, Reason
from node.domain.study import CloseReason, Closure
from node.errors import DestinationUnreachable, InvalidModelOutput, NotFound, ObjectMissing
from node.jobs.documents import SqlDueDocuments
from node.jobs.queue import SqlJobQueue
from node.show.outcome import Finality
from node.show.worklist import Worklist
from tests.contract.rows import SERIES, SR, STUDY, completion, new_job, stored, written
from tests.fakes.outbox import StandingClock

JOB_KEYS = {
    *("id", "state", "model", "model_version", "study_instance_uid", "series_instance_uids", "accession_number"),
    *("priority", "attempt", "error_code", "error", "created_at", "started_at", "finished_at"),
}
STUDY_KEYS = {
    *("study_instance_uid", "accession_number", "series", "instances", "state", "outcome", "received_at"),
}
DELIVERY_KEYS = {
    *("id", "destination", "state", "job", "study_instance_uid", "attempt", "error_code", "error", "updated_at"),
}


class Node:
    """Every record over one database."""

    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.clock = clock
        self.catalogue = SqlCatalogue(engine, clock)
        self.queue = SqlJobQueue(engine, clock)
        self.outbox = SqlOutbox(engine, clock)
        self.documents = SqlDueDocuments(engine, clock)
        self.roles = SqlRoleBoard(engine, clock)
        self.worklist = Worklist(engine, clock, committing=["pacs"])

    def receive(self, *verdicts: tuple[str, Verdict], series: str = SERIES, uid: str = "1.9.1") -> None:
        """One image of a series, closed, judged and, where it is wanted, with a job for each model."""
        self.catalogue.record(stored(uid, self.clock.now(), series=series))
        (found,) = self.catalogue.open_series()
        condition = Condition("modality", "selection", "MR", "CT", False)
        admissions = [Admission(model, "1.0", verdict, (condition,)) for model, verdict in verdicts]
        jobs = [
            new_job(
                f"{model}/{series}/{found.revision}",
                model=model,
                revision=found.revision,
                series_instance_uids=(series,),
            )
            for model, verdict in verdicts
            if verdict is not Verdict.NOT_WANTED
        ]
        closure = Closure(CloseReason.QUIET, {"quiet_s": 60.0})
        assert self.catalogue.close_series(found.series_id, found.revision, closure, admissions, jobs)

    def run(self, prefix: str = "9.1", outcome: Outcome = Outcome.POSITIVE) -> int:
        job = self.queue.claim("w1", 6.0)
        assert job is not None
        reason = Reason("SliceGap", "Slice gap of 10 mm") if outcome is Outcome.NOT_EVALUABLE else None
        assert self.queue.complete(job, completion(prefix, outcome, reason))
        return job.id

    def deliver(self, transaction_uid: str) -> None:
        """Everything due for the PACS, stored and committed."""
        while claimed := self.outbox.claim("pacs", "s1", 30.0):
            for one in claimed:
                assert self.outbox.stored(one)
        waiting = self.outbox.uncommitted("pacs")
        self.outbox.request_commitment(transaction_uid, waiting, self.clock.now())
        committed = tuple(one.sop_instance_uid for one in waiting)
        assert self.outbox.apply_report(CommitmentReport(transaction_uid, committed, {}))

    def outcomes(self) -> dict[str, str]:
        outcome: dict[str, str] = self.worklist.study(STUDY)["outcome"]
        return outcome

    def finality(self) -> tuple[bool, bool]:
        found = self.worklist.finality(STUDY)
        return found.final, found.failed


@pytest.fixture
def node(engine: Engine, clock: StandingClock) -> Node:
    return Node(engine, clock)


def test_an_empty_node(node: Node) -> None:
    worklist = node.worklist
    assert (worklist.jobs(), worklist.deliveries(), worklist.studies()) == ([], [], [])
    jobs, deliveries = worklist.counts()
    assert jobs == dict.fromkeys([state.value for state in JobState], 0)
    assert deliveries == dict.fromkeys([state.value for state in DeliveryState], 0)
    assert worklist.finality(STUDY) == Finality(known=False, final=False, failed=False)
    for question in (worklist.study, worklist.series_ids, worklist.why):
        with pytest.raises(NotFound):
            question(STUDY)
    with pytest.raises(NotFound):
        worklist.job(1)


def test_an_empty_accession_number_is_no_question(node: Node) -> None:
    node.catalogue.record(stored("1.9.1", node.clock.now(), attributes={"AccessionNumber": ""}))
    with pytest.raises(NotFound):
        node.worklist.why("")


def test_the_whole_life_of_a_study(node: Node) -> None:
    node.catalogue.record(stored("1.9.0", node.clock.now()))
    assert node.worklist.study(STUDY)["state"] == "RECEIVING"
    assert node.finality() == (False, False)
    node.receive(("hippocampus", Verdict.ADMITTED), ("lung", Verdict.NOT_WANTED))
    assert node.worklist.study(STUDY)["state"] == "PROCESSING"
    assert node.outcomes() == {"hippocampus": "PENDING", "lung": "NOT WANTED"}
    assert node.finality() == (False, False)
    node.run()
    assert node.worklist.study(STUDY)["state"] == "DELIVERING"
    assert node.outcomes()["hippocampus"] == "POSITIVE"
    assert node.finality() == (False, False)
    for one in node.outbox.claim("pacs", "s1", 30.0):
        node.outbox.stored(one)
    assert node.finality() == (False, False), "stored, but the destination commits"
    node.deliver("2.25.1")
    assert node.worklist.study(STUDY)["state"] == "COMPLETED"
    assert node.finality() == (True, False)


def test_stored_is_final_where_nobody_commits(node: Node) -> None:
    node.catalogue.record(stored("1.9.1", node.clock.now()))
    (found,) = node.catalogue.open_series()
    closure = Closure(CloseReason.QUIET, {})
    node.catalogue.close_series(found.series_id, 1, closure, [], [new_job("a", destinations=("folder",))])
    node.run()
    for one in node.outbox.claim("folder", "s1", 30.0):
        node.outbox.stored(one)
    assert node.finality() == (True, False)


def test_documents_have_contracts_keys(node: Node) -> None:
    node.receive(("hippocampus", Verdict.ADMITTED))
    job_id = node.run()
    (job,) = node.worklist.jobs()
    assert job.keys() >= JOB_KEYS
    assert (job["id"], job["state"], job["priority"], job["outcome"]) == (job_id, "COMPLETED", "MEDIUM", "POSITIVE")
    assert node.worklist.studies()[0].keys() >= STUDY_KEYS
    assert node.worklist.deliveries()[0].keys() >= DELIVERY_KEYS
    assert node.worklist.deliveries()[0]["sop_instance_uid"]
    detail = node.worklist.job(job_id)
    assert detail.keys() >= {*JOB_KEYS, "findings", "objects", "deliveries", "provenance", "reason", "outcome"}
    study = node.worklist.study(STUDY)
    assert [len(study[part]) for part in ("series", "jobs", "results", "deliveries")] == [1, 1, 2, 2]
    for document in (job, detail, study, node.worklist.why(STUDY)):
        json.dumps(document, default=lambda time: time.isoformat())


def test_lists_are_chosen_and_limited(node: Node) -> None:
    node.receive(("hippocampus", Verdict.ADMITTED), ("lung", Verdict.ADMITTED))
    first = node.run()
    assert [job["id"] for job in node.worklist.jobs(state=JobState.COMPLETED)] == [first]
    assert len(node.worklist.jobs(limit=1)) == 1
    assert node.worklist.jobs(study="7.7") == []
    assert len(node.worklist.deliveries(state=DeliveryState.SCHEDULED, study=STUDY)) == 2
    assert node.worklist.deliveries(state=DeliveryState.STORED) == []
    assert len(node.worklist.deliveries(limit=1)) == 1


def test_studies_come_newest_first(node: Node) -> None:
    for number, uid in enumerate(("5.1", "5.2", "5.3")):
        node.catalogue.record(stored(f"1.9.{number}", node.clock.now(), study=uid, series=f"{uid}.1"))
        node.clock.advance(1)
    assert [row["study_instance_uid"] for row in node.worklist.studies(limit=2)] == ["5.3", "5.2"]


def test_counts(node: Node) -> None:
    node.receive(("hippocampus", Verdict.ADMITTED), ("lung", Verdict.ADMITTED))
    node.run()
    jobs, deliveries = node.worklist.counts()
    assert (jobs["COMPLETED"], jobs["SCHEDULED"], jobs["FAILED"]) == (1, 1, 0)
    assert (deliveries["SCHEDULED"], deliveries["COMMITTED"]) == (2, 0)


def test_a_failed_job_is_final_and_failed(node: Node) -> None:
    node.receive(("hippocampus", Verdict.ADMITTED))
    job = node.queue.claim("w1", 6.0)
    assert job is not None
    node.queue.fail(job, InvalidModelOutput("no mask"), None)
    assert node.outcomes() == {"hippocampus": "FAILED"}
    assert node.finality() == (False, True), "the destinations are still to be told"
    assert node.worklist.jobs()[0]["document"] == "DUE"
    assert node.worklist.documents() == {"due": 1, "given_up": 0}
    tell(node, "9.9")
    assert node.finality() == (False, True), "the document is on its way"
    node.deliver("2.25.1")
    assert node.finality() == (True, True)
    assert node.worklist.study(STUDY)["state"] == "FAILED"
    assert node.worklist.jobs()[0]["document"] == "WRITTEN"
    assert node.worklist.documents() == {"due": 0, "given_up": 0}
    node.queue.retry(job.id)
    assert node.finality() == (False, False)


def tell(node: Node, uid: str) -> None:
    """The document that is due is written."""
    due = node.documents.claim(30.0)
    assert due is not None
    failure = Failure(failure_reason(str(due.job.error_code)), {"model": "hippocampus"})
    assert node.documents.complete(due, [written(SR, uid)], failure)


def test_a_document_that_cannot_be_written_is_given_up_and_told_of(node: Node) -> None:
    node.receive(("hippocampus", Verdict.ADMITTED))
    job = node.queue.claim("w1", 6.0)
    assert job is not None
    node.queue.fail(job, InvalidModelOutput("no mask"), None)
    due = node.documents.claim(30.0)
    assert due is not None
    assert node.documents.fail(due, ObjectMissing(), None)
    assert node.finality() == (True, True)
    assert node.worklist.jobs()[0]["document"] == "GIVEN UP"
    assert node.worklist.documents() == {"due": 0, "given_up": 1}
    (alert,) = node.worklist.why(STUDY)["studies"][0]["alerts"]
    assert (alert["kind"], alert["detail"]["error"]) == ("document_given_up", "ObjectMissing")
    node.queue.retry(job.id)
    assert node.worklist.documents() == {"due": 0, "given_up": 0}


def test_a_result_that_did_not_arrive_is_a_failure(node: Node) -> None:
    node.receive(("hippocampus", Verdict.ADMITTED))
    node.run()
    for one in node.outbox.claim("pacs", "s1", 30.0):
        node.outbox.fail(one, DestinationUnreachable(), None)
    assert node.outcomes() == {"hippocampus": "POSITIVE"}
    assert node.finality() == (True, True)


def test_not_evaluable_tells_its_reason(node: Node) -> None:
    node.receive(("hippocampus", Verdict.NOT_EVALUABLE))
    job_id = node.run(outcome=Outcome.NOT_EVALUABLE)
    detail = node.worklist.job(job_id)
    assert (detail["outcome"], detail["reason"], detail["reason_code"], detail["findings"]) == (
        *("NOT EVALUABLE", "Slice gap of 10 mm", "SliceGap"),
        [],
    )
    assert node.outcomes() == {"hippocampus": "NOT EVALUABLE"}


def test_a_failure_is_not_hidden_behind_a_negative_series(node: Node) -> None:
    node.receive(("hippocampus", Verdict.ADMITTED))
    node.run(outcome=Outcome.NEGATIVE)
    assert node.outcomes() == {"hippocampus": "NEGATIVE"}
    node.receive(("hippocampus", Verdict.ADMITTED), series="1.2.3.5", uid="1.9.2")
    assert node.outcomes() == {"hippocampus": "PENDING"}
    job = node.queue.claim("w1", 6.0)
    assert job is not None
    node.queue.fail(job, InvalidModelOutput("no mask"), None)
    assert node.outcomes() == {"hippocampus": "FAILED"}


def test_a_late_image_makes_the_outcome_pending_until_the_new_revision_ran(node: Node) -> None:
    node.receive(("hippocampus", Verdict.ADMITTED))
    node.run(outcome=Outcome.NEGATIVE)
    node.catalogue.record(stored("1.9.2", node.clock.now()))
    assert node.outcomes() == {"hippocampus": "PENDING"}
    node.receive(("hippocampus", Verdict.ADMITTED), uid="1.9.3")
    assert node.outcomes() == {"hippocampus": "PENDING"}
    node.run("9.2", Outcome.POSITIVE)
    assert node.outcomes() == {"hippocampus": "POSITIVE"}
    (series,) = node.worklist.why(STUDY)["studies"][0]["series"]
    assert [(one["model"], one["revision"]) for one in series["models"]] == [("hippocampus", 2)]


def test_why_finds_every_study_of_an_accession_number(node: Node) -> None:
    node.receive(("lung", Verdict.NOT_WANTED))
    node.catalogue.record(stored("1.9.8", node.clock.now(), study="5.5", series="5.5.5"))
    found = node.worklist.why("A1")["studies"]
    assert {one["study_instance_uid"] for one in found} == {STUDY, "5.5"}
    (judged,) = node.worklist.why(STUDY)["studies"]
    assert judged.keys() >= {"series", "jobs", "deliveries", "alerts"}
    (series,) = judged["series"]
    assert series["completeness"]["reason"] == CloseReason.QUIET.value
    assert series["models"][0] | {"decided_at": None} == {
        "model": "lung",
        "model_version": "1.0",
        "verdict": "NOT WANTED",
        "revision": 1,
        "route": None,
        "priority": "MEDIUM",
        "destinations": [],
        "conditions": [{"name": "modality", "kind": "selection", "wanted": "MR", "found": "CT", "met": False}],
        "decided_at": None,
    }


def test_roles_are_up_until_they_fall_silent(node: Node) -> None:
    start = node.clock.now()
    node.roles.beat("work", "work-cpu", 10, "h1", {"device": "cpu"})
    node.roles.beat("work", "work-cpu", 11, "h2", {"device": "cuda:0"})
    node.roles.beat("deliver", "deliver", 12, "h1", {})
    node.roles.beat("web", "web", 13, "h1", {})
    node.roles.leave("web", "web")
    node.clock.advance(60)
    node.roles.beat("work", "work-cpu", 10, "h1", {"device": "cpu"})
    assert node.worklist.roles() == {
        "deliver": {"state": "stale", "processes": 0, "heartbeat_at": start},
        "work": {"state": "up", "processes": 1, "heartbeat_at": node.clock.now()},
    }
    assert node.worklist.devices() == [{"host": "h1", "worker": "work-cpu", "device": "cpu"}]
    node.clock.advance(2 * 86400)
    node.roles.beat("timers", "timers", 14, "h1", {})
    assert list(node.worklist.roles()) == ["timers"]
