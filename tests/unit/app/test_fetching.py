"""Fetching one study, and many: what comes, what is not asked for again, when it is given up."""

from __future__ import annotations

from datetime import date

import pytest

from node.app.backfill import MOST_FAILURES, Pace, Progress, Range, backfill
from node.app.fetching import Fetching, FetchState
from node.domain.retrieval import Purpose, RemoteStudy, RetrievalState
from node.errors import DestinationUnreachable, NotFound, RetrievalFailed
from tests.fakes.archive import FakeArchive, FakeRetrievals

GONE = DestinationUnreachable("no connection")
AT_ONCE = Pace(None)


class Site:
    def __init__(self, *studies: RemoteStudy) -> None:
        self.retrievals = FakeRetrievals()
        self.archive = FakeArchive(self.retrievals, list(studies))
        self.judged: list[str] = []
        self.fetching = Fetching([self.archive], self.retrievals, self.judged.append)

    @property
    def asked(self) -> list[str]:
        return [uid for uid, _ in self.archive.asked]


def study(number: int, day: int = 1, instances: int | None = 10, modality: str = "CT") -> RemoteStudy:
    return RemoteStudy(
        f"1.{number}", accession_number=f"A{number}", study_date=f"202001{day:02}", modalities=(modality,),
        instances=instances,
    )  # fmt: skip


JANUARY = Range(date(2020, 1, 1), date(2020, 1, 31))


# ------------------------------------------------------------------------------------------------ one study


def test_a_study_comes_once() -> None:
    site = Site(study(1))
    ((archive, found),) = site.fetching.look_up("A1")
    assert site.fetching.fetch(archive, found).state is FetchState.FETCHED
    row = site.retrievals.rows["1.1"]
    assert (row.purpose, row.state, row.instances) == (Purpose.DEMAND, RetrievalState.FETCHED, 10)
    again = site.fetching.fetch(archive, found)
    assert (again.state, again.expected) == (FetchState.HELD, 10)
    assert site.asked == ["1.1"]


def test_a_study_of_which_a_part_is_here_is_fetched() -> None:
    site = Site(study(1))
    site.retrievals.here["1.1"] = 4
    assert site.fetching.fetch(site.archive, study(1)).state is FetchState.FETCHED
    assert site.judged == []


def test_an_archive_that_does_not_count_is_asked_again() -> None:
    site = Site(study(1, instances=None))
    for _ in range(2):
        assert site.fetching.fetch(site.archive, site.archive.held[0]).state is FetchState.FETCHED


def test_what_was_a_prior_is_judged_when_it_is_wanted_for_itself() -> None:
    site = Site(study(1))
    site.retrievals.request("1.1", "archive", "ARCHIVE", Purpose.PRIOR)
    site.retrievals.here["1.1"] = 10
    assert site.fetching.fetch(site.archive, study(1)).state is FetchState.HELD
    assert site.judged == ["1.1"]
    assert site.retrievals.rows["1.1"].purpose is Purpose.DEMAND
    site.fetching.fetch(site.archive, study(1))
    assert site.judged == ["1.1"]


def test_a_study_that_does_not_come() -> None:
    site = Site(study(1))
    site.archive.fails["1.1"] = RetrievalFailed("ended with A702H")
    fetched = site.fetching.fetch(site.archive, study(1))
    assert (fetched.state, fetched.error) == (FetchState.FAILED, site.archive.fails["1.1"])
    row = site.retrievals.rows["1.1"]
    assert (row.state, row.error_code) == (RetrievalState.FAILED, "RetrievalFailed")


def test_looking_up() -> None:
    site = Site(study(1), study(2))
    assert [one.study_instance_uid for _, one in site.fetching.look_up("A2")] == ["1.2"]
    assert [one.accession_number for _, one in site.fetching.look_up("1.1")] == ["A1"]
    with pytest.raises(NotFound):
        site.fetching.look_up("A3")
    site.archive.fails["*"] = GONE
    with pytest.raises(DestinationUnreachable):
        site.fetching.look_up("A1")


def test_the_first_archive_that_has_it_is_asked() -> None:
    site = Site(study(1))
    dead = FakeArchive(site.retrievals, fails={"*": GONE}, name="dead")
    ((archive, _),) = Fetching([dead, site.archive], site.retrievals, print).look_up("A1")
    assert archive is site.archive


# ------------------------------------------------------------------------------------------------ many


def counts(progress: Progress) -> tuple[int, int, int]:
    return progress.found, progress.fetched, progress.skipped


def test_a_backfill_goes_day_by_day_and_is_not_done_twice() -> None:
    site = Site(study(3, day=9), study(1), study(2, day=2, modality="MR"), study(4, day=2))
    told: list[str] = []
    done = backfill(site.fetching, JANUARY, AT_ONCE, tell=lambda day, _: told.append(day))
    assert (counts(done), done.ok, done.limited) == ((4, 4, 0), True, False)
    assert site.asked == ["1.1", "1.2", "1.4", "1.3"]
    assert set(told) == set(JANUARY.days())
    again = backfill(site.fetching, JANUARY, AT_ONCE)
    assert (counts(again), site.asked[4:]) == ((4, 0, 4), [])


def test_what_was_removed_since_does_not_come_again() -> None:
    site = Site(study(1))
    backfill(site.fetching, JANUARY, AT_ONCE)
    site.retrievals.here.clear()
    assert counts(backfill(site.fetching, JANUARY, AT_ONCE)) == (1, 0, 1)


def test_a_backfill_of_one_modality() -> None:
    site = Site(study(1), study(2, modality="MR"))
    assert counts(backfill(site.fetching, Range(JANUARY.first, JANUARY.last, "MR"), AT_ONCE)) == (1, 1, 0)
    assert site.asked == ["1.2"]


def test_a_limit_leaves_the_rest_for_the_next_time() -> None:
    site = Site(study(1), study(2), study(3))
    done = backfill(site.fetching, JANUARY, AT_ONCE, limit=2)
    assert (done.fetched, done.limited) == (2, True)
    done = backfill(site.fetching, JANUARY, AT_ONCE, limit=2)
    assert (done.fetched, done.skipped, done.limited) == (1, 2, False)
    assert site.asked == ["1.1", "1.2", "1.3"]


def test_a_study_that_fails_is_told_and_tried_again_the_next_time() -> None:
    site = Site(study(1), study(2))
    site.archive.fails["1.1"] = RetrievalFailed("ended with A702H")
    done = backfill(site.fetching, JANUARY, AT_ONCE)
    assert (done.fetched, [one.study.study_instance_uid for one in done.failed], done.ok) == (1, ["1.1"], False)
    site.archive.fails.clear()
    done = backfill(site.fetching, JANUARY, AT_ONCE)
    assert (done.fetched, done.skipped, done.ok) == (1, 1, True)


def test_a_dead_archive_is_given_up() -> None:
    site = Site(*(study(number) for number in range(1, 9)))
    for number in range(1, 9):
        site.archive.fails[f"1.{number}"] = GONE
    done = backfill(site.fetching, JANUARY, AT_ONCE)
    assert (done.given_up, done.ok, len(site.asked)) == (True, False, MOST_FAILURES)
    site.archive.fails["*"] = GONE
    done = backfill(site.fetching, JANUARY, AT_ONCE)
    assert (done.given_up, len(done.days_failed)) == (True, MOST_FAILURES)


def test_the_pace() -> None:
    slept: list[float] = []
    now = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(30, lambda: now[0], sleep)
    pace.wait()
    pace.wait()
    now[0] += 1.5  # a study took so long
    pace.wait()
    now[0] += 60
    pace.wait()
    assert slept == [2.0, 0.5]
