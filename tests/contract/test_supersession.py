"""A newer revision, or another version of the model, takes the place of an older job: over both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError

from node.database.catalogue import SqlCatalogue
from node.database.history import SqlResultHistory
from node.database.outbox import SqlOutbox
from node.database.tables import result
from node.domain.admission import Admission, Verdict
from node.domain.delivery import DeliveryState
from node.domain.job import Completion, Job, JobState, Lease, NewJob, Priority
from node.domain.result import DocumentRef, EarlierResult, Outcome
from node.domain.study import CloseReason, Closure
from node.errors import DestinationUnreachable, InvalidTransition, Superseded, WorkerLost
from node.jobs.queue import SqlJobQueue
from node.show.worklist import Worklist
from tests.contract.rows import SERIES, STUDY, completion, new_job, stored, written
from tests.fakes.outbox import StandingClock

REPORT = "1.2.840.10008.5.1.4.1.1.88.34"


class Node:
    """Every record over one database. A series is received and closed as often as a test wants."""

    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.engine, self.clock = engine, clock
        self.catalogue = SqlCatalogue(engine, clock)
        self.queue = SqlJobQueue(engine, clock, max_attempts=2)
        self.outbox = SqlOutbox(engine, clock)
        self.history = SqlResultHistory(engine)
        self.worklist = Worklist(engine, clock, committing=[])
        self.images = 0

    def receive(self, series: str = SERIES) -> None:
        self.images += 1
        self.catalogue.record(stored(f"1.9.{self.images}", self.clock.now(), series=series))

    def close(self, *models: str, version: str = "1.0", series: str = SERIES, priority: Priority = Priority.LOW) -> int:
        """One image more, and the series closes: the job of the first model, 0 where there is none."""
        self.receive(series)
        (found,) = self.catalogue.open_series()
        verdict = Verdict.ADMITTED if models else Verdict.NOT_WANTED
        admissions = [Admission(model, version, verdict, ()) for model in models or ("hippocampus",)]
        jobs = [self.new(model, found.revision, version, series, priority) for model in models]
        closure = Closure(CloseReason.QUIET, {})
        assert self.catalogue.close_series(found.series_id, found.revision, closure, admissions, jobs)
        return self.queue.enqueue(jobs[0]) if jobs else 0

    def new(
        self, model: str, revision: int, version: str = "1.0", series: str = SERIES, priority: Priority = Priority.LOW
    ) -> NewJob:
        return new_job(
            f"{model}/{version}/{series}/{revision}", model=model, model_version=version, revision=revision,
            series_instance_uids=(series,), priority=priority,
        )  # fmt: skip

    def claim(self, wanted: int) -> Job:
        job = self.queue.claim("w1", 6.0)
        assert job is not None
        assert job.id == wanted
        return job

    def run(self, wanted: int, prefix: str) -> None:
        assert self.queue.complete(self.claim(wanted), said(prefix))

    def state(self, job: int) -> tuple[JobState, int | None]:
        found = self.queue.get(job)
        assert found.superseded_by is None or found.superseded_at is not None
        return found.state, found.superseded_by

    def results(self) -> int:
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(result)).scalar_one()


def said(prefix: str) -> Completion:
    return completion(prefix)


@pytest.fixture
def node(engine: Engine, clock: StandingClock) -> Node:
    return Node(engine, clock)


# ---------------------------------------------------------------- when a newer job is made


def test_a_job_that_waits_is_canceled_when_the_series_closes_anew(node: Node) -> None:
    first = node.close("hippocampus")
    node.receive()
    assert node.state(first) == (JobState.SCHEDULED, None), "nothing stands for it yet"
    second = node.close("hippocampus")
    assert node.state(first) == (JobState.CANCELED, second)
    old = node.queue.get(first)
    assert old.error_code == "Superseded"
    assert f"job {second}" in str(old.error)
    assert old.finished_at == old.superseded_at == node.clock.now()
    assert node.claim(second).revision == 2
    assert node.queue.claim("w2", 6.0) is None


def test_a_job_that_runs_is_stopped_and_never_completed(node: Node) -> None:
    first = node.close("hippocampus")
    running = node.claim(first)
    node.receive()
    assert node.queue.heartbeat(running, 6.0) is Lease.HELD
    second = node.close("hippocampus")
    assert node.queue.heartbeat(running, 6.0) is Lease.CANCEL
    assert node.queue.complete(running, said("9.1")) is False, "its worker was faster than its heartbeat"
    assert node.state(first) == (JobState.CANCELED, second)
    assert node.queue.get(first).error_code == "Superseded"
    assert node.results() == 0
    assert node.worklist.deliveries() == []
    node.run(second, "9.2")
    assert node.state(second) == (JobState.COMPLETED, None)


def lost(node: Node) -> None:
    node.clock.advance(7)
    node.queue.rescue()


ENDINGS: dict[str, Callable[[Node, Job], object]] = {
    "canceled by its worker": lambda node, job: node.queue.cancel_claimed(job),
    "handed back": lambda node, job: node.queue.hand_back(job),
    "an attempt failed": lambda node, job: node.queue.fail(job, WorkerLost(), 0.0),
    "its worker died": lambda node, job: lost(node),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_however_its_run_ends_it_is_not_run_again(node: Node, ending: str) -> None:
    first = node.close("hippocampus")
    running = node.claim(first)
    second = node.close("hippocampus")
    ENDINGS[ending](node, running)
    assert node.state(first) == (JobState.CANCELED, second)
    with pytest.raises(Superseded, match=f"job {second}"):
        node.queue.retry(first)
    node.claim(second)


def test_a_failed_one_is_not_run_again_either(node: Node) -> None:
    first = node.close("hippocampus")
    node.queue.fail(node.claim(first), WorkerLost(), None)
    assert node.worklist.quarantined() == 1
    second = node.close("hippocampus")
    assert node.state(first) == (JobState.FAILED, second)
    assert node.worklist.quarantined() == 0, "its series has another job now"
    with pytest.raises(Superseded):
        node.queue.retry(first)


def test_another_version_takes_over_what_waits(node: Node) -> None:
    first = node.close("hippocampus")
    second = node.queue.enqueue(node.new("hippocampus", 1, version="2.0"))
    assert node.state(first) == (JobState.CANCELED, second)


def test_a_job_that_is_asked_for_twice_takes_over_nothing(node: Node) -> None:
    first = node.close("hippocampus")
    assert node.queue.enqueue(node.new("hippocampus", 1)) == first
    again = node.queue.enqueue(replace(node.new("hippocampus", 1), key="rerun"))
    assert node.state(first) == (JobState.SCHEDULED, None)
    assert node.state(again) == (JobState.SCHEDULED, None)


def test_other_models_series_and_studies_are_left_alone(node: Node) -> None:
    first = node.close("hippocampus", "lung")
    other_series = node.close("hippocampus", series="1.2.3.5")
    other_study = node.queue.enqueue(new_job("x", study_instance_uid="7.7"))
    lung = node.queue.enqueue(node.new("lung", 1))
    second = node.close("hippocampus", "lung")
    new_lung = node.queue.enqueue(node.new("lung", 2))
    assert node.state(first) == (JobState.CANCELED, second)
    assert node.state(lung) == (JobState.CANCELED, new_lung)
    assert {node.state(job) for job in (other_series, other_study)} == {(JobState.SCHEDULED, None)}


# ---------------------------------------------------------------- when the model does not want the series any more


def test_what_is_not_wanted_any_more_is_out_of_date_with_nothing_in_its_place(node: Node) -> None:
    first = node.close("hippocampus", "lung")
    lung = node.queue.enqueue(node.new("lung", 1))
    node.run(first, "9.1")
    node.close()
    assert node.state(lung) == (JobState.CANCELED, None)
    assert "not wanted" in str(node.queue.get(lung).error)
    for job in (first, lung):
        assert node.queue.get(job).superseded_at == node.clock.now()
    assert node.state(first) == (JobState.COMPLETED, None)
    assert node.worklist.study(STUDY)["outcome"]["hippocampus"] == "NOT WANTED"
    with pytest.raises(Superseded, match="reprocess"):
        node.queue.retry(lung)
    third = node.close("hippocampus")
    assert node.history.earlier(node.claim(third)) == [EarlierResult((document("9.1"),))]


# ---------------------------------------------------------------- when a newer job is completed


def test_completing_supersedes_in_the_same_transaction(node: Node) -> None:
    first = node.close("hippocampus")
    node.run(first, "9.1")
    second = node.close("hippocampus")
    assert node.state(first) == (JobState.COMPLETED, None), "the latest that there is"
    running = node.claim(second)
    twice = replace(said("9.2"), objects=(written(REPORT, "9.2.1"), written(REPORT, "9.2.1")))
    with pytest.raises(IntegrityError):
        node.queue.complete(running, twice)
    assert node.state(first) == (JobState.COMPLETED, None)
    assert node.queue.complete(running, said("9.2"))
    assert node.state(first) == (JobState.COMPLETED, second)
    assert node.queue.get(first).superseded_at == node.clock.now()
    assert node.state(second) == (JobState.COMPLETED, None)


def test_a_chain_of_revisions_is_a_chain_of_jobs(node: Node) -> None:
    jobs = []
    for number in range(3):
        jobs.append(node.close("hippocampus"))
        node.run(jobs[-1], f"9.{number}")
    assert [node.state(job)[1] for job in jobs] == [jobs[1], jobs[2], None]


def test_the_same_objects_made_twice_supersede_nothing(node: Node) -> None:
    first = node.close("hippocampus")
    node.run(first, "9.1")
    again = node.queue.enqueue(replace(node.new("hippocampus", 1), key="rerun"))
    node.run(again, "9.1")
    assert node.state(first) == (JobState.COMPLETED, None)
    second = node.close("hippocampus")
    node.run(second, "9.2")
    assert [node.state(job)[1] for job in (first, again)] == [second, second]


def test_a_rerun_that_succeeds_stands_for_the_one_that_failed(node: Node) -> None:
    first = node.close("hippocampus")
    node.queue.fail(node.claim(first), WorkerLost(), None)
    again = node.queue.enqueue(replace(node.new("hippocampus", 1), key="rerun"))
    assert node.worklist.quarantined() == 1
    node.run(again, "9.1")
    assert node.state(first) == (JobState.FAILED, again)
    assert node.worklist.quarantined() == 0


def test_completing_an_old_job_and_closing_anew_at_the_same_time(node: Node) -> None:
    """Whoever is first: the old result either is a predecessor, or it never comes to be."""
    results = 0
    for turn in range(8):
        series = f"1.2.3.{turn}"
        first = node.close("hippocampus", series=series)
        running = node.claim(first)
        with ThreadPoolExecutor(2) as pool:
            done = pool.submit(node.queue.complete, running, said(f"9.{turn}"))
            closing = pool.submit(node.close, "hippocampus", series=series)
            completed, second = done.result(), closing.result()
        results += 4 if completed else 2
        if not completed:
            assert node.state(first) == (JobState.CANCELED, second)
        new = node.claim(second)
        assert bool(node.history.earlier(new)) == completed
        assert node.queue.complete(new, said(f"8.{turn}"))
        assert node.state(first) == (JobState.COMPLETED if completed else JobState.CANCELED, second)
        assert node.results() == results


# ---------------------------------------------------------------- what was said before


def document(prefix: str) -> DocumentRef:
    return DocumentRef(STUDY, "1.2.3.99", "1.2.840.10008.5.1.4.1.1.88.33", f"{prefix}.1")


def test_the_history_of_a_job(node: Node) -> None:
    first = node.close("hippocampus", "lung")
    node.run(first, "9.1")
    node.run(node.queue.enqueue(node.new("lung", 1)), "9.9")
    node.run(node.close("hippocampus", series="1.2.3.5"), "9.8")
    second = node.close("hippocampus")
    running = node.claim(second)
    assert node.history.earlier(running) == [EarlierResult((document("9.1"),))]
    report = written(REPORT, "9.2.2")
    main = replace(written(REPORT, "9.2.3"), predecessors=(document("9.1"),))
    assert node.queue.complete(running, replace(said("9.2"), objects=(written("1.2.840.1", "9.2.1"), report, main)))
    assert len(node.history.earlier(running)) == 1, "what came before, not itself"
    third = node.claim(node.close("hippocampus"))
    assert node.history.earlier(third) == [
        EarlierResult((document("9.1"),)),
        EarlierResult(
            (DocumentRef(STUDY, "1.2.3.99", REPORT, "9.2.3"), DocumentRef(STUDY, "1.2.3.99", REPORT, "9.2.2")),
            (document("9.1"),),
        ),
    ]
    (row,) = [one for one in node.worklist.job(second)["objects"] if one["predecessors"]]
    assert row["predecessors"][0]["sop_instance_uid"] == "9.1.1"


def test_a_result_of_another_version_belongs_to_the_history(node: Node) -> None:
    node.run(node.close("hippocampus"), "9.1")
    second = node.queue.enqueue(node.new("hippocampus", 1, version="2.0"))
    running = node.claim(second)
    assert node.history.earlier(running) == [EarlierResult((document("9.1"),))]
    assert node.queue.complete(running, said("9.2"))
    assert node.worklist.jobs()[1]["superseded_by"] == second


# ---------------------------------------------------------------- deliveries


def sent(node: Node) -> list[int]:
    """The jobs whose objects are claimed for the PACS, in their order; each is stored."""
    order = []
    while claimed := node.outbox.claim("pacs", "s1", 30.0):
        order.append(claimed[0].job_id)
        for one in claimed:
            assert one.job_id == claimed[0].job_id
            assert node.outbox.stored(one)
    return order


@pytest.mark.parametrize("priority", list(Priority))
def test_what_is_not_sent_yet_goes_before_its_successor(node: Node, priority: Priority) -> None:
    first = node.close("hippocampus")
    node.run(first, "9.1")
    for one in node.outbox.claim("pacs", "s1", 30.0):
        node.outbox.fail(one, DestinationUnreachable(), 3600.0)
    second = node.close("hippocampus", priority=priority)
    node.clock.advance(1)
    node.run(second, "9.2")
    assert sent(node) == [first, second]
    assert {one["state"] for one in node.worklist.deliveries()} == {DeliveryState.STORED}


def test_a_predecessor_that_is_not_taken_keeps_no_successor_away(node: Node) -> None:
    first = node.close("hippocampus")
    node.run(first, "9.1")
    node.run(node.close("hippocampus"), "9.2")
    for one in node.outbox.claim("pacs", "s1", 30.0):
        assert one.job_id == first
        node.outbox.fail(one, DestinationUnreachable(), 3600.0)
    assert len(sent(node)) == 1
    assert [one["state"] for one in node.worklist.deliveries()].count(DeliveryState.SCHEDULED) == 2


# ---------------------------------------------------------------- what people see


def test_lists_and_the_study_show_what_is_superseded(node: Node) -> None:
    first = node.close("hippocampus")
    node.run(first, "9.1")
    second = node.close("hippocampus")
    assert node.queue.complete(node.claim(second), completion("9.2", Outcome.NEGATIVE))
    new, old = node.worklist.jobs()
    assert (old["superseded_by"], old["superseded_at"]) == (second, node.clock.now())
    assert (new["superseded_by"], new["superseded_at"]) == (None, None)
    study = node.worklist.study(STUDY)
    assert [row["superseded_by"] for row in study["results"]] == [second, second, None, None]
    assert study["outcome"] == {"hippocampus": "NEGATIVE"}
    assert node.worklist.why(STUDY)["studies"][0]["jobs"][0]["superseded_by"] == second


def test_an_operator_gives_up_a_quarantined_job(node: Node) -> None:
    first = node.close("hippocampus")
    node.queue.fail(node.claim(first), WorkerLost("ended by SIGSEGV"), None)
    assert node.worklist.quarantined() == 1
    node.queue.cancel(first)
    assert node.state(first) == (JobState.CANCELED, None)
    assert node.worklist.quarantined() == 0
    assert node.worklist.study(STUDY)["outcome"] == {"hippocampus": "FAILED"}
    with pytest.raises(InvalidTransition):
        node.queue.cancel(first)
    node.queue.retry(first)
    assert node.state(first) == (JobState.SCHEDULED, None)
