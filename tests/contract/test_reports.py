"""What destinations of messages are told, from the rows of both databases: of each run one document."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from node.database.report_rows import FAILED_BEFORE, SqlReports
from node.database.tables import delivery, result
from node.domain.document import Failure, RejectionTitle, ResultKind, Withdrawal, failure_reason
from node.domain.job import Completion, Job
from node.domain.rendition import Rendition, Wishes
from node.domain.result import CodedConcept, Outcome, Quality, Reason
from node.domain.study import SopRef
from node.errors import InferenceTimeout, NotFound
from node.jobs.documents import SqlDueDocuments
from node.jobs.queue import SqlJobQueue
from node.jobs.withdrawals import SqlWithdrawals
from tests.contract.rows import HIPPOCAMPUS, ML, SEG, SR, VOLUME, completion, new_job, written
from tests.contract.test_renditions import KOS, OBJECTS
from tests.fakes.outbox import StandingClock

WISHES = {"ris": Wishes(main_report_only=True), "modern": Wishes(segmentation=Rendition.LABELMAP)}


@pytest.fixture
def queue(engine: Engine, clock: StandingClock) -> SqlJobQueue:
    return SqlJobQueue(engine, clock, max_attempts=1, wishes=WISHES)


@pytest.fixture
def documents(engine: Engine, clock: StandingClock) -> SqlDueDocuments:
    return SqlDueDocuments(engine, clock, wishes=WISHES)


def claimed(queue: SqlJobQueue, key: str = "k") -> Job:
    queue.enqueue(new_job(key, destinations=("pacs", *WISHES)))
    job = queue.claim("w1", 6.0)
    assert job is not None
    return job


def sent_to(engine: Engine, destination: str) -> list[str]:
    statement = select(result.c.sop_instance_uid).join(delivery).where(delivery.c.destination == destination)
    with engine.connect() as connection:
        return list(connection.execute(statement.order_by(result.c.id)).scalars())


def test_a_result(engine: Engine, queue: SqlJobQueue, clock: StandingClock) -> None:
    done = completion()
    margin = Quality(CodedConcept("111037", "DCM", "Margins"), CodedConcept("129738007", "SCT", "Spiculated"))
    found = replace(done.result.findings[0], qualities=(margin,), site=HIPPOCAMPUS)
    job = claimed(queue)
    assert queue.complete(job, Completion(replace(done.result, findings=(found,)), OBJECTS, {}))
    assert sent_to(engine, "ris") == ["9.6"]
    facts = SqlReports(engine).facts("9.6")
    assert (facts.kind, facts.job_id, facts.model, facts.model_version) == (
        ResultKind.RESULT, job.id, "hippocampus", "1.0",
    )  # fmt: skip
    assert (facts.outcome, facts.reason, facts.written_at) == (Outcome.POSITIVE, None, clock.now())
    assert facts.subject == SopRef(SR, "9.6")
    assert facts.objects == (SopRef(SEG, "9.4"), SopRef(KOS, "9.5"))
    (finding,) = facts.findings
    assert (finding.concept, finding.probability, finding.present, finding.site) == (
        HIPPOCAMPUS,
        0.9,
        True,
        "Hippocampus",
    )
    assert [(one.concept, one.value, one.unit) for one in finding.measurements] == [(VOLUME, 3.25, ML)]
    assert finding.qualities == (margin,)


@pytest.mark.parametrize("outcome", [Outcome.NEGATIVE, Outcome.NOT_EVALUABLE])
def test_what_is_not_positive_is_told_too(engine: Engine, queue: SqlJobQueue, outcome: Outcome) -> None:
    reason = None if outcome is Outcome.NEGATIVE else Reason("MissingSlices", "slices are missing")
    done = completion(outcome=outcome, reason=reason)
    assert queue.complete(claimed(queue), Completion(done.result, (written(SR, "9.1"),), {}))
    assert sent_to(engine, "ris") == ["9.1"]
    facts = SqlReports(engine).facts("9.1")
    assert (facts.outcome, facts.reason, facts.findings) == (outcome, reason, ())


def test_a_failure_stays_one_when_the_job_is_run_again(
    engine: Engine, queue: SqlJobQueue, documents: SqlDueDocuments
) -> None:
    job = claimed(queue)
    queue.fail(job, InferenceTimeout("too long"), None)
    due = documents.claim(10.0)
    assert due is not None
    reason = failure_reason("InferenceTimeout")
    assert documents.complete(due, (written(SR, "9.7"),), Failure(reason, {}))
    assert sent_to(engine, "ris") == ["9.7"]
    facts = SqlReports(engine).facts("9.7")
    assert (facts.kind, facts.outcome, facts.reason) == (ResultKind.FAILED, Outcome.FAILED, reason)
    queue.retry(job.id)
    again = queue.claim("w1", 6.0)
    assert again is not None
    assert queue.complete(again, completion())
    facts = SqlReports(engine).facts("9.7")
    assert (facts.outcome, facts.reason, facts.findings) == (Outcome.FAILED, FAILED_BEFORE, ())


def test_a_withdrawal_is_about_the_main_report(
    engine: Engine, queue: SqlJobQueue, documents: SqlDueDocuments, clock: StandingClock
) -> None:
    job = claimed(queue)
    assert queue.complete(job, Completion(completion().result, OBJECTS, {}))
    SqlWithdrawals(engine).withdraw([job.id], Withdrawal(clock.now(), "op", "movement", RejectionTitle.QUALITY))
    due = documents.claim(10.0)
    assert due is not None
    notes = [
        replace(written(KOS, f"9.8.{n}"), rendition=form)
        for n, form in enumerate((Rendition.LABELMAP, Rendition.AS_DECLARED))
    ]
    assert documents.complete(due, notes)
    assert sent_to(engine, "ris")[-1] == "9.8.1"
    facts = SqlReports(engine).facts("9.8.1")
    assert (facts.kind, facts.outcome, facts.subject) == (ResultKind.REJECTION, Outcome.WITHDRAWN, SopRef(SR, "9.6"))
    assert [one.concept for one in facts.findings] == [HIPPOCAMPUS]  # what is wrong is named
    assert facts.reason == Reason("113001", "Rejected for Quality Reasons: movement")


def test_what_nobody_wrote(engine: Engine) -> None:
    with pytest.raises(NotFound):
        SqlReports(engine).facts("1.2.3")
