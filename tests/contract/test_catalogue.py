"""``ports.Catalogue`` over both databases."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from node.database.catalogue import SqlCatalogue
from node.database.tables import alert, association, study
from node.domain.admission import Admission, Condition, Verdict
from node.domain.job import JobState
from node.domain.study import CloseReason, Closure, OpenSeries
from node.errors import NotFound
from node.jobs.queue import SqlJobQueue
from node.ports import Catalogue, Recorded
from node.show.worklist import Worklist
from tests.contract.arrivals import InBatches
from tests.contract.rows import SERIES, STUDY, new_job, stored
from tests.fakes.outbox import StandingClock

CLOSURE = Closure(CloseReason.ASSOCIATION_RELEASED, {"quiet_s": 5.0})
ADMISSION = Admission(
    model="hippocampus",
    model_version="1.0",
    verdict=Verdict.ADMITTED,
    conditions=(Condition("modality", "selection", "CT", "CT", True),),
    route=0,
    destinations=("pacs",),
)


@pytest.fixture(params=["at once", "in batches"])
def catalogue(request: pytest.FixtureRequest, engine: Engine, clock: StandingClock) -> Catalogue:
    """Instances get their rows at once, or from an ingest journal: the rows are the same."""
    if request.param == "in batches":
        return InBatches(engine, clock, max_attempts=5)
    return SqlCatalogue(engine, clock, max_attempts=5)


def only_open(catalogue: Catalogue) -> OpenSeries:
    (found,) = catalogue.open_series()
    return found


def close(catalogue: Catalogue, found: OpenSeries, key: str = "a") -> bool:
    return catalogue.close_series(found.series_id, found.revision, CLOSURE, [ADMISSION], [new_job(key)])


def test_a_new_instance_makes_study_and_series(catalogue: Catalogue, clock: StandingClock) -> None:
    first = clock.now()
    assert catalogue.record(stored("1.9.1", first)) is Recorded.NEW
    clock.advance(2)
    assert catalogue.record(stored("1.9.2", clock.now())) is Recorded.NEW
    found = only_open(catalogue)
    assert (found.study_instance_uid, found.series_instance_uid, found.revision) == (STUDY, SERIES, 1)
    assert (found.instances, found.last_instance_at, found.modality, found.calling_ae) == (2, clock.now(), "CT", "CT1")
    assert (found.open_associations, found.last_association_ended_at) == (0, None)


def test_instances_come_in_the_order_of_their_number(catalogue: Catalogue, clock: StandingClock) -> None:
    numbers = {"1.9.1": "10", "1.9.2": 9, "1.9.3": 10**30, "1.9.4": "abc", "1.9.5": None, "1.9.6": float("nan")}
    for uid, number in numbers.items():
        catalogue.record(stored(uid, clock.now(), attributes={"InstanceNumber": number}))
    series = catalogue.series(only_open(catalogue).series_id)
    uids = [one.instance.sop_instance_uid for one in series.instances]
    assert uids == ["1.9.2", "1.9.1", "1.9.3", "1.9.4", "1.9.5", "1.9.6"]
    assert (series.accession_number, series.calling_ae) == ("A1", "CT1")
    assert list(catalogue.instances(STUDY, [SERIES])) == list(series.instances)
    assert catalogue.instances(STUDY, ["7.7"]) == []


def test_what_comes_back_is_what_was_recorded(catalogue: Catalogue, clock: StandingClock) -> None:
    attributes = {"PixelSpacing": [0.5, 0.25], "Rows": 512, "Empty": None, "Deep": [["a"], [1, None]]}
    given = stored("1.9.1", clock.now(), attributes=attributes, association_id="unheard of")
    catalogue.record(given)
    assert catalogue.instances(STUDY, [SERIES]) == [given]


def test_an_identical_duplicate_writes_nothing(catalogue: Catalogue, clock: StandingClock) -> None:
    given = stored("1.9.1", clock.now())
    catalogue.record(given)
    before = only_open(catalogue)
    clock.advance(3)
    again = stored("1.9.1", clock.now())
    assert catalogue.record(again) is Recorded.DUPLICATE
    assert only_open(catalogue) == before
    assert catalogue.instances(STUDY, [SERIES]) == [given]


def test_other_bytes_under_the_same_uid_are_kept_beside_with_an_alert(
    catalogue: Catalogue, engine: Engine, clock: StandingClock
) -> None:
    given = stored("1.9.1", clock.now())
    catalogue.record(given)
    other = stored("1.9.1", clock.now(), content="other")
    assert catalogue.record(other) is Recorded.CONFLICT
    assert catalogue.record(other) is Recorded.DUPLICATE
    assert catalogue.record(stored("1.9.1", clock.now(), content="third")) is Recorded.CONFLICT
    assert catalogue.instances(STUDY, [SERIES]) == [given]
    assert only_open(catalogue).instances == 1
    with engine.connect() as connection:
        alerts = connection.execute(select(alert).order_by(alert.c.id)).all()
    assert [(one.kind, one.subject, one.detail["variant"]) for one in alerts] == [
        ("instance_conflict", "1.9.1", 1),
        ("instance_conflict", "1.9.1", 2),
    ]
    assert len(Worklist(engine, clock).why(STUDY)["studies"][0]["alerts"]) == 2


def test_a_taken_uid_in_another_study_makes_no_series_to_wait_for(
    catalogue: Catalogue, engine: Engine, clock: StandingClock
) -> None:
    catalogue.record(stored("1.9.1", clock.now()))
    stranger = stored("1.9.1", clock.now(), content="other", study="5.5", series="5.5.5")
    assert catalogue.record(stranger) is Recorded.CONFLICT
    assert only_open(catalogue).study_instance_uid == STUDY
    assert Worklist(engine, clock).finality("5.5").final
    assert catalogue.record(stored("1.9.2", clock.now(), study="5.5", series="5.5.5")) is Recorded.NEW
    found = {one.study_instance_uid: one for one in catalogue.open_series()}
    assert (found["5.5"].instances, found["5.5"].revision) == (1, 1)


def test_one_uid_from_many_associations_at_once_is_new_once(catalogue: Catalogue, clock: StandingClock) -> None:
    together = threading.Barrier(6)

    def record(number: int) -> list[Recorded]:
        together.wait(60)
        return [
            catalogue.record(stored(f"1.9.{instance}", clock.now(), content=f"bytes {number % 2}"))
            for instance in range(5)
        ]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(record, range(6)))
    for instance in range(5):
        kinds = sorted(each[instance] for each in answers)
        assert kinds == [Recorded.CONFLICT, *[Recorded.DUPLICATE] * 4, Recorded.NEW]
    assert only_open(catalogue).instances == 5


def test_many_associations_into_one_new_series_lose_no_instance(catalogue: Catalogue, clock: StandingClock) -> None:
    def record(number: int) -> Recorded:
        return catalogue.record(stored(f"1.9.{number}", clock.now()))

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(record, range(24))) == {Recorded.NEW}
    assert only_open(catalogue).instances == 24


def test_associations_that_contributed_are_evidence(catalogue: Catalogue, clock: StandingClock) -> None:
    for name in ("one", "two", "idle"):
        catalogue.open_association(name, "CT1", "AINODE", "10.0.0.7", "host/receive-0")
    catalogue.record(stored("1.9.1", clock.now(), association_id="one"))
    catalogue.record(stored("1.9.2", clock.now(), association_id="one"))
    catalogue.record(stored("1.9.3", clock.now(), association_id="two"))
    assert only_open(catalogue).open_associations == 2
    clock.advance(5)
    catalogue.end_association("one", "released")
    catalogue.end_association("one", "aborted")
    found = only_open(catalogue)
    assert (found.open_associations, found.last_association_ended_at, found.instances) == (1, clock.now(), 3)


def test_a_dead_receivers_associations_are_lost(catalogue: Catalogue, engine: Engine, clock: StandingClock) -> None:
    for name, receiver in (("one", "h/receive-0"), ("two", "h/receive-0"), ("three", "h/receive-1")):
        catalogue.open_association(name, "CT1", "AINODE", "10.0.0.7", receiver)
    catalogue.end_association("one", "released")
    assert catalogue.end_associations_of("h/receive-0") == 1
    assert catalogue.end_associations_of("h/receive-0") == 0
    with engine.connect() as connection:
        ends = connection.execute(select(association.c.id, association.c.how).order_by(association.c.id)).all()
    assert [tuple(end) for end in ends] == [("one", "released"), ("three", None), ("two", "lost")]


def test_closing_writes_admissions_and_jobs(catalogue: Catalogue, engine: Engine, clock: StandingClock) -> None:
    catalogue.record(stored("1.9.1", clock.now()))
    found = only_open(catalogue)
    clock.advance(5)
    assert close(catalogue, found)
    assert catalogue.open_series() == []
    job = SqlJobQueue(engine, clock).claim("w1", 6.0)
    assert job is not None
    assert (job.key, job.max_attempts, job.state) == ("a", 5, JobState.IN_PROGRESS)
    (series,) = Worklist(engine, clock).why(STUDY)["studies"][0]["series"]
    assert series["completeness"] == {
        "reason": CloseReason.ASSOCIATION_RELEASED.value,
        "evidence": {"quiet_s": 5.0},
        "closed_at": clock.now(),
        "words": [],
        "earlier": [],
    }
    assert series["models"][0]["conditions"][0]["wanted"] == "CT"


def test_closing_is_one_transaction(catalogue: Catalogue, engine: Engine, clock: StandingClock) -> None:
    catalogue.record(stored("1.9.1", clock.now()))
    found = only_open(catalogue)
    with pytest.raises(Exception, match=r"(?i)unique"):
        catalogue.close_series(found.series_id, 1, CLOSURE, [ADMISSION, ADMISSION], [new_job("a")])
    assert only_open(catalogue) == found
    assert Worklist(engine, clock).jobs() == []
    assert close(catalogue, found)


def test_a_late_instance_reopens_and_the_old_revision_closes_no_more(
    catalogue: Catalogue, engine: Engine, clock: StandingClock
) -> None:
    catalogue.record(stored("1.9.1", clock.now()))
    found = only_open(catalogue)
    assert close(catalogue, found)
    assert not close(catalogue, found, "closed twice")
    clock.advance(60)
    assert catalogue.record(stored("1.9.2", clock.now())) is Recorded.NEW
    reopened = only_open(catalogue)
    assert (reopened.revision, reopened.instances) == (2, 2)
    assert not close(catalogue, found, "too late")
    assert close(catalogue, reopened, "b")
    assert [job["key"] for job in Worklist(engine, clock).jobs()] == ["b", "a"]


def test_a_duplicate_or_a_conflict_reopens_nothing(catalogue: Catalogue, clock: StandingClock) -> None:
    catalogue.record(stored("1.9.1", clock.now()))
    assert close(catalogue, only_open(catalogue))
    catalogue.record(stored("1.9.1", clock.now()))
    catalogue.record(stored("1.9.1", clock.now(), content="other"))
    assert catalogue.open_series() == []


def test_an_instance_that_came_after_the_judgement_moves_the_series_on(
    catalogue: Catalogue, clock: StandingClock
) -> None:
    catalogue.record(stored("1.9.1", clock.now()))
    found = only_open(catalogue)
    judged = Closure(CloseReason.ASSOCIATION_RELEASED, {"instances": found.instances})
    catalogue.record(stored("1.9.2", clock.now()))
    assert not catalogue.close_series(found.series_id, found.revision, judged, [], [])
    assert only_open(catalogue).instances == 2


def test_one_job_for_one_key_even_when_two_timers_close(catalogue: Catalogue, clock: StandingClock) -> None:
    catalogue.record(stored("1.9.1", clock.now()))
    found = only_open(catalogue)
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: close(catalogue, found), range(4))) == [False, False, False, True]


def test_an_unknown_series(catalogue: Catalogue) -> None:
    with pytest.raises(NotFound):
        catalogue.series(404)
    assert not catalogue.close_series(404, 1, CLOSURE, [], [])


@pytest.mark.parametrize(
    "hostile",
    [
        "O'Neil\"; DROP TABLE study; --",
        "<script>alert(1)</script>",
        "Ключ^王小东=김희중 \\ %s :name {}",
        "N" * 10_000,
        "zero\0byte",
        "lone \ud800 surrogate",
    ],
)
def test_hostile_values_are_stored_as_text(
    catalogue: Catalogue, engine: Engine, clock: StandingClock, hostile: str
) -> None:
    keywords = ("PatientName", "PatientID", "AccessionNumber", "SeriesDescription", "StudyDescription")
    given = stored("1.9.1", clock.now(), attributes=dict.fromkeys(keywords, hostile) | {"Nested": [hostile, [hostile]]})
    assert catalogue.record(given) is Recorded.NEW
    kept = hostile.replace("\0", "").replace("\ud800", "?")
    (back,) = catalogue.instances(STUDY, [SERIES])
    assert back.instance.attributes["PatientName"] == kept
    assert back.instance.attributes["Nested"] == [kept, [kept]]
    with engine.connect() as connection:
        assert connection.execute(select(study.c.patient_name)).scalar_one() == kept
    assert Worklist(engine, clock).why(kept)["studies"][0]["study_instance_uid"] == STUDY


def test_alerts_of_a_study(catalogue: Catalogue, engine: Engine, clock: StandingClock) -> None:
    catalogue.record(stored("1.9.1", clock.now()))
    catalogue.raise_alert("series_not_closed", SERIES, {"error": "ValueError"})
    catalogue.raise_alert("instance_conflict", "1.9.1", {"study_instance_uid": STUDY})
    catalogue.raise_alert("elsewhere", "7.7", {"study_instance_uid": "7.7"})
    alerts = Worklist(engine, clock).why(STUDY)["studies"][0]["alerts"]
    assert [one["kind"] for one in alerts] == ["series_not_closed", "instance_conflict"]


def test_times_keep_their_instant(catalogue: Catalogue, clock: StandingClock) -> None:
    given = stored("1.9.1", clock.now() + timedelta(microseconds=123456))
    catalogue.record(given)
    assert only_open(catalogue).last_instance_at == given.received_at
