"""Looking for priors: whose, which series, what is fetched, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from node.app.priors import PriorFinder, dates_of
from node.domain.prior import Candidate, Priors, PriorSeries, PriorState, PriorsWanted, WantedPriors
from node.domain.retrieval import Purpose, RemoteSeries, RemoteStudy
from node.errors import DestinationUnreachable, RetrievalFailed
from node.infer.registry import check_package
from tests.fakes.archive import FakeArchive, FakeRetrievals

GROWTH = check_package(Path(__file__).parents[2] / "fakes" / "models" / "growth")
JOB = WantedPriors(7, "growth", "1.9", "P1", "19500101", "20210601", "T1")


class FakePriors:
    """``ports.PriorRecord`` in memory."""

    def __init__(self, waiting: WantedPriors, *held: Candidate) -> None:
        self._waiting = [waiting]
        self._held = held
        self.settled: dict[int, Priors] = {}
        self.rows_come = True

    def waiting(self, limit: int = 20) -> Sequence[WantedPriors]:
        return self._waiting

    def held(self, of: WantedPriors, wanted: PriorsWanted, first_date: str, last_date: str) -> Sequence[Candidate]:
        return [one for one in self._held if first_date <= one.series.study_date <= last_date]

    def is_here(self, series_instance_uid: str, instances: int) -> bool:
        return self.rows_come

    def settle(self, job_id: int, priors: Priors) -> Priors:
        return self.settled.setdefault(job_id, priors)


class Search:
    def __init__(self, *held: Candidate, job: WantedPriors = JOB) -> None:
        self.record = FakePriors(job, *held)
        self.retrievals = FakeRetrievals()
        self.archive = FakeArchive(self.retrievals)

    def add(self, number: int, day: str, *series: RemoteSeries, **changes: str) -> None:
        study = RemoteStudy(f"1.{number}", patient_id="P1", patient_birth_date="19500101", study_date=day, instances=5)
        self.archive.held.append(replace(study, **changes))  # type: ignore[arg-type]
        self.archive.of_study[f"1.{number}"] = list(series) or [RemoteSeries(f"1.{number}.1", "MR", "BRAIN", "T1", 5)]

    def run(self, *more: FakeArchive) -> Priors:
        finder = PriorFinder(
            self.record, self.retrievals, [self.archive, *more], {"growth": GROWTH}, wait=lambda seconds: False
        )
        assert finder.run_once() == 1
        return self.record.settled[7]


def uids(priors: Priors) -> list[str]:
    return [one.series_instance_uid for one in priors.series]


def here(number: int, day: str, description: str = "T1", instances: int = 5, suffix: str = "1") -> Candidate:
    return Candidate(PriorSeries(f"1.{number}", f"1.{number}.{suffix}", day), description, instances)


def test_the_newest_studies_of_the_patient_are_fetched() -> None:
    search = Search()
    for number, day in enumerate(("20200101", "20210101", "20210531", "20210601", "20180101"), 1):
        search.add(number, day)
    found = search.run()
    assert (found.state, found.reason) == (PriorState.READY, "")
    assert uids(found) == ["1.3.1", "1.2.1"]
    assert search.archive.asked == [("1.3", ("1.3.1",)), ("1.2", ("1.2.1",))]
    assert {row.purpose for row in search.retrievals.rows.values()} == {Purpose.PRIOR}


def test_what_is_here_is_not_fetched() -> None:
    search = Search(here(1, "20210101"), here(2, "20200101"))
    search.add(1, "20210101")
    assert uids(search.run()) == ["1.1.1", "1.2.1"]
    assert search.archive.asked == []


def test_others_are_not_the_patient() -> None:
    search = Search()
    search.add(1, "20210101", patient_birth_date="19510101")
    search.add(2, "20210102", study_instance_uid="1.9")
    search.add(3, "20210103", RemoteSeries("1.3.1", "CT", "BRAIN"), RemoteSeries("1.3.2", "MR", "KNEE"))
    search.add(4, "20210104", modalities=("US",))  # type: ignore[arg-type]
    found = search.run()
    assert found.state is PriorState.MISSING
    assert found.reason == "there is no earlier study of the patient that the model wants"
    assert search.archive.asked == []


def test_the_series_that_is_most_like_the_job_s() -> None:
    search = Search()
    search.add(
        1, "20210101", RemoteSeries("1.1.1", "MR", "", "T2", 99), RemoteSeries("1.1.2", "MR", "", "T1", 5),
        RemoteSeries("1.1.3", "MR", "", "T1", 50), RemoteSeries("1.1.4", "MR", "", "T1", 50),
    )  # fmt: skip
    assert uids(search.run()) == ["1.1.3"]


def test_a_dead_archive_hides_nothing_of_another() -> None:
    search = Search()
    search.add(1, "20210101")
    dead = FakeArchive(search.retrievals, fails={"*": DestinationUnreachable("no connection")}, name="dead")
    found = search.run(dead)
    assert (found.state, uids(found)) == (PriorState.READY, ["1.1.1"])
    assert found.reason == "dead did not answer: DestinationUnreachable"
    search = Search()
    search.archive.fails["*"] = DestinationUnreachable("no connection")
    assert search.run() == Priors(PriorState.MISSING, (), "archive did not answer: DestinationUnreachable")


def test_a_study_that_does_not_come_gives_its_place_to_the_next() -> None:
    search = Search()
    for number, day in enumerate(("20200101", "20210101", "20210501"), 1):
        search.add(number, day)
    search.archive.fails["1.3"] = RetrievalFailed("ended with A702H")
    found = search.run()
    assert uids(found) == ["1.2.1", "1.1.1"]
    assert found.reason == "a study did not come: RetrievalFailed"
    assert search.retrievals.rows["1.3"].error_code == "RetrievalFailed"


def test_rows_that_do_not_come() -> None:
    search = Search()
    search.add(1, "20210101")
    search.record.rows_come = False
    assert search.run().state is PriorState.MISSING


@pytest.mark.parametrize("change", [{"patient_id": ""}, {"study_date": ""}, {"study_date": "soon"}, {"model": "gone"}])
def test_a_study_that_does_not_say_whose_it_is(change: dict[str, str]) -> None:
    search = Search(here(1, "20210101"), job=replace(JOB, **change))  # type: ignore[arg-type]
    search.add(1, "20210101")
    found = search.run()
    assert (found.state, found.series) == (PriorState.MISSING, ())


def test_dates() -> None:
    assert dates_of("20210101", PriorsWanted(1, 365)) == ("20200102", "20201231")
    assert dates_of("20210101", PriorsWanted(1)) == ("00010101", "20201231")
    assert dates_of("2021", PriorsWanted(1)) is None
