"""The lines of the worklist over both databases: kept up to date, found, and in their order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, delete, select

from node.database.catalogue import SqlCatalogue
from node.database.outbox import SqlOutbox
from node.database.tables import (
    admission,
    instance,
    series,
    series_closing,
    study,
    study_change,
    worklist_line,
    worklist_term,
)
from node.domain.admission import Admission, Verdict
from node.domain.job import Priority
from node.domain.result import Outcome
from node.domain.study import CloseReason, Closure, Value
from node.errors import InferenceTimeout
from node.jobs.queue import SqlJobQueue
from node.show.choices import Choices
from node.show.listing import Listing
from node.show.projection import Projection
from node.show.waiting import Waiting
from node.show.wanted import Wanted
from node.show.worklist import Worklist
from tests.contract.rows import completion, new_job, stored
from tests.fakes.outbox import StandingClock


class Node:
    def __init__(self, engine: Engine, clock: StandingClock) -> None:
        self.engine = engine
        self.clock = clock
        self.catalogue = SqlCatalogue(engine, clock)
        self.queue = SqlJobQueue(engine, clock)
        self.outbox = SqlOutbox(engine, clock)
        self.projection = Projection(engine, clock, Worklist(engine, clock, committing=["pacs"]))
        self.listing = Listing(engine)

    def receive(self, uid: str, *models: str, priority: Priority = Priority.MEDIUM, **attributes: Value) -> None:
        self.clock.advance(1)
        part = f"{uid}.1"
        self.catalogue.record(stored(f"{part}.1", self.clock.now(), study=uid, series=part, attributes=attributes))
        (found,) = [one for one in self.catalogue.open_series() if one.study_instance_uid == uid]
        jobs = [
            new_job(
                f"{model}/{uid}", study_instance_uid=uid, series_instance_uids=(part,), model=model, priority=priority
            )
            for model in models
        ]
        admissions = [Admission(model, "1.0", Verdict.ADMITTED, ()) for model in models]
        admissions.append(Admission("breast", "1.0", Verdict.NOT_WANTED, ()))
        assert self.catalogue.close_series(found.series_id, 1, Closure(CloseReason.QUIET, {}), admissions, jobs)

    def run(self, prefix: str, outcome: Outcome = Outcome.POSITIVE) -> None:
        job = self.queue.claim("w1", 60.0)
        assert job is not None
        assert self.queue.complete(job, completion(prefix, outcome))

    def fail(self) -> None:
        job = self.queue.claim("w1", 60.0)
        assert job is not None
        assert self.queue.fail(job, InferenceTimeout("too long"), None)

    def uids(self, limit: int = 100, by_age: bool = False, **wanted: object) -> list[str]:
        """Of every page, one after the other; what is not projected yet is."""
        self.projection.project_all()
        found: list[str] = []
        cursor = None
        while True:
            page = self.listing.page(Wanted(**wanted), limit, cursor, by_age)  # type: ignore[arg-type]
            found += [one["study_instance_uid"] for one in page.studies]
            cursor = page.following
            if cursor is None:
                return found


@pytest.fixture
def node(engine: Engine, clock: StandingClock) -> Node:
    return Node(engine, clock)


def test_a_line_follows_its_study(node: Node) -> None:
    def line() -> dict[str, object]:
        assert node.projection.project_all() > 0, "something changed"
        found = node.listing.study("1.2.1")
        assert found is not None
        return found

    node.catalogue.record(stored("1.2.1.1.1", node.clock.now(), study="1.2.1", series="1.2.1.1"))
    assert (line()["state"], line_models(node)) == ("RECEIVING", {})
    node.receive("1.2.1", "tumour")
    assert (line()["state"], line_models(node)) == ("PROCESSING", {"tumour": "PENDING", "breast": "NOT WANTED"})
    node.run("9.1")
    found = line()
    assert (found["state"], line_models(node)["tumour"]) == ("DELIVERING", "POSITIVE")
    assert found["models"][1]["finding"]["value"] == 3.25  # type: ignore[index]
    for one in node.outbox.claim("pacs", "s", 30.0):
        node.outbox.stored(one)
    delivery = line()["delivery"]
    assert {key: delivery[key] for key in ("wanted", "stored", "to_commit", "committed")} == {  # type: ignore[index]
        **{"wanted": 2, "stored": 2},
        **{"to_commit": 2, "committed": 0},
    }
    assert node.projection.project() == 0, "nothing changed any more"


def line_models(node: Node) -> dict[str, str]:
    found = node.listing.study("1.2.1")
    assert found is not None
    return {one["model"]: one["outcome"] for one in found["models"]}


def test_heartbeats_and_claims_of_nothing_change_no_line(node: Node) -> None:
    node.receive("1.2.1", "tumour")
    job = node.queue.claim("w1", 60.0)
    assert job is not None
    node.projection.project_all()
    node.queue.heartbeat(job, 60.0)
    assert node.projection.project() == 0


def test_a_study_that_is_gone_is_listed_no_more(node: Node) -> None:
    node.receive("1.2.1")
    assert node.uids() == ["1.2.1"]
    with node.engine.begin() as connection:
        for table in (admission, series_closing, instance, series, study):
            connection.execute(delete(table))
    assert node.uids() == []
    with node.engine.connect() as connection:
        assert connection.execute(select(worklist_term.c.term)).first() is None


def test_lines_can_be_thrown_away(node: Node) -> None:
    """They are computed from the other tables alone."""
    for number in range(5):
        node.receive(f"1.2.{number}", "tumour")
    node.run("9.1")
    before = node.uids()
    with node.engine.begin() as connection:
        connection.execute(delete(worklist_line))
        connection.execute(delete(worklist_term))
        connection.execute(study_change.insert(), [{"study_instance_uid": f"1.2.{number}"} for number in range(5)])
    assert node.uids() == before


def test_the_most_urgent_first_and_of_these_the_newest(node: Node) -> None:
    node.receive("1.2.1", "tumour", priority=Priority.LOW)
    node.receive("1.2.2", "tumour")
    node.receive("1.2.3", "tumour")
    node.receive("1.2.4")
    node.receive("1.2.5", "tumour", priority=Priority.HIGH)
    node.receive("1.2.6", "tumour", priority=Priority.LOW)
    node.run("9.1")  # of high priority
    node.fail()
    node.run("9.3", Outcome.NEGATIVE)
    node.run("9.4")
    assert node.uids() == ["1.2.5", "1.2.1", "1.2.2", "1.2.6", "1.2.3", "1.2.4"]
    assert node.uids(by_age=True) == ["1.2.6", "1.2.5", "1.2.4", "1.2.3", "1.2.2", "1.2.1"]


@pytest.mark.parametrize("few", [0, 2, 2000])
@pytest.mark.parametrize("by_age", [False, True])
def test_every_way_finds_the_same_on_pages_of_any_length(node: Node, few: int, by_age: bool) -> None:
    for number in range(12):
        modality, name = ("MR", "CT", "DX")[number % 3], ("Doe^Jane", "Roe^John")[number % 2]
        node.receive(f"1.2.{number}", "tumour", Modality=modality, PatientName=name, AccessionNumber=f"ACC{number}")
    for number in range(8):
        node.run(f"9.{number}", (Outcome.POSITIVE, Outcome.NEGATIVE)[number % 2])
    node.listing = Listing(node.engine, few)
    everything = node.uids(by_age=by_age)
    assert len(everything) == 12
    lines = {one.document["study_instance_uid"]: one for one in node.listing.changed(node.clock.now())}
    for wanted in (
        {"modality": "MR"},
        {"modality": "MR", "outcome": "POSITIVE"},
        {"text": "doe"},
        {"text": "jan ACC1"},
        {"text": "acc", "unassessed": True},
        {"model": "tumour", "outcome": "PENDING"},
        {"since": node.clock.now() - timedelta(seconds=4)},
        {"text": "1.2.3.4.5"},
        {"outcome": "FAILED"},
    ):
        asked = Wanted(**wanted)  # type: ignore[arg-type]
        expected = [uid for uid in everything if asked.fits(lines[uid].terms, lines[uid].arrived)]
        for limit in (1, 5, 100):
            assert node.uids(limit, by_age, **wanted) == expected, wanted
    assert node.uids(text="1.2.3") == []
    assert node.uids(1, by_age) == everything


def test_a_cursor_that_nobody_gave_is_the_first_page(node: Node) -> None:
    node.receive("1.2.1")
    node.projection.project_all()
    for cursor in ("", "x", "9", "99-", "1-", "-", "1-\x00" + "0" * 20, "²-" + "0" * 20):
        assert len(node.listing.page(Wanted(), 10, cursor).studies) == 1, cursor


def test_words_of_other_scripts_are_found(node: Node) -> None:
    node.receive("1.2.1", PatientName="Wang^XiaoDong=王^小东", StudyDescription="头颅平扫")
    node.receive("1.2.2", PatientName="Müller^Jürgen")
    for text, expected in (("小", "1.2.1"), ("平扫", "1.2.1"), ("MÜLL", "1.2.2"), ("jürgen müller", "1.2.2")):
        assert node.uids(text=text) == [expected], text
    assert node.uids(text="üller") == []
    assert node.uids(text="  ^^ ") == ["1.2.2", "1.2.1"], "no word is no condition"


def test_only_changes_are_told(node: Node) -> None:
    node.receive("1.2.1")
    node.receive("1.2.2", "tumour")
    node.projection.project_all()
    first = node.listing.changed(node.clock.now())
    assert sorted((one.document["study_instance_uid"], one.new) for one in first) == [("1.2.1", True), ("1.2.2", True)]
    node.clock.advance(3600)
    node.run("9.1")
    node.projection.project_all()
    (one,) = node.listing.changed(node.clock.now())
    assert (one.document["study_instance_uid"], one.new) == ("1.2.2", False)


def test_what_can_be_chosen(node: Node) -> None:
    node.receive("1.2.1", "tumour", Modality="MR")
    node.receive("1.2.2", "nodule", Modality="CT")
    node.projection.project_all()
    found = Choices(node.engine, node.clock).found()
    assert (found.modalities, found.models) == (("CT", "MR"), ("nodule", "tumour"))


def test_how_long_a_job_will_take(node: Node) -> None:
    waiting = Waiting(node.engine, node.clock)
    node.receive("1.2.1", "tumour")
    assert waiting.done_at(1) == {}, "no run, no estimate"
    job = node.queue.claim("w1", 600.0)
    assert job is not None
    node.clock.advance(40)
    node.queue.complete(job, completion("9.1"))
    for number in (2, 3):
        node.receive(f"1.2.{number}", "tumour")
    node.clock.advance(5)
    now = node.clock.now()
    after = sorted((at - now).total_seconds() for at in waiting.done_at(1).values())
    assert after == [40.0, 80.0]
