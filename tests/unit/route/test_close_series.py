"""The step: what is complete is closed with its admissions and jobs; one bad series stops no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from node.domain.admission import Admission, Route, RouteCondition, Verdict
from node.domain.job import Job, JobState, NewJob, Priority
from node.domain.model import InputLimits, InputSelection, Interval
from node.domain.study import CloseReason, Closure, OpenSeries, Series, Value
from node.errors import NotFound
from node.route.close_series import CloseSeries, Reprocess
from node.route.completeness import CompletenessRule
from tests.unit.route.descriptions import EVERYWHERE, model
from tests.unit.route.headers import axial_stack, series_of

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RULE = CompletenessRule(quiet_period_s=5.0, open_association_quiet_s=60.0)
MR = InputSelection(modalities=("MR",))
CT = InputSelection(modalities=("CT",))


class FixedClock:
    def __init__(self) -> None:
        self.time = T0 + timedelta(seconds=10)

    def now(self) -> datetime:
        return self.time


class ClosedSeries:
    """What ``Catalogue.close_series`` was called with."""

    def __init__(
        self, revision: int, closure: Closure, admissions: Sequence[Admission], jobs: Sequence[NewJob]
    ) -> None:
        self.revision, self.closure, self.admissions, self.jobs = revision, closure, admissions, jobs


class CatalogueOfSeries:
    """The part of a Catalogue that this step uses, over series given by the test."""

    def __init__(self, *series: Series) -> None:
        self.known: dict[int, Series | Exception] = {one.series_id: one for one in series}
        self.closed: dict[int, ClosedSeries] = {}
        self.alerts: list[tuple[str, str, Mapping[str, Value]]] = []
        self.moved_on: set[int] = set()

    def open_series(self) -> Sequence[OpenSeries]:
        return [self._open(number) for number in self.known if number not in self.closed]

    def recorded_until(self) -> datetime | None:
        return None

    def _open(self, number: int) -> OpenSeries:
        return OpenSeries(number, "1.2.3", f"1.2.3.{number}", 0, 40, T0, 0, T0, "CT1", "MR")

    def series(self, series_id: int) -> Series:
        found = self.known.get(series_id, NotFound("no such series"))
        if isinstance(found, Exception):
            raise found
        return found

    def close_series(
        self, series_id: int, revision: int, closure: Closure, admissions: Sequence[Admission], jobs: Sequence[NewJob]
    ) -> bool:
        if series_id in self.moved_on:
            return False
        self.closed[series_id] = ClosedSeries(revision, closure, admissions, jobs)
        return True

    def raise_alert(self, kind: str, subject: str, detail: Mapping[str, Value]) -> None:
        self.alerts.append((kind, subject, detail))


def numbered(series_id: int, **more: Value) -> Series:
    series = series_of(axial_stack(slices=3, **more))
    return replace(series, series_id=series_id, series_instance_uid=f"1.2.3.{series_id}")


def step(catalogue: CatalogueOfSeries, clock: FixedClock, *models_of: object, routes: tuple[Route, ...]) -> CloseSeries:
    return CloseSeries(catalogue, clock, lambda: models_of, routes, RULE)  # type: ignore[arg-type]


def test_a_complete_series_is_judged_by_every_model_and_becomes_jobs() -> None:
    catalogue, clock = CatalogueOfSeries(numbered(1)), FixedClock()
    wanted, unwanted = model(MR, id="a"), model(CT, id="b")
    limited = model(MR, InputLimits(slices=Interval(low=10)), id="c")
    urgent = Route(("a",), ("pacs", "archive"), (RouteCondition("SeriesDescription", "eq", "HippoCrop"),), "HIGH")
    assert step(catalogue, clock, wanted, unwanted, limited, routes=(urgent, EVERYWHERE)).run_once() == 1
    closed = catalogue.closed[1]
    assert closed.closure.reason is CloseReason.ASSOCIATION_RELEASED
    assert [admission.verdict for admission in closed.admissions] == [
        Verdict.ADMITTED,
        Verdict.NOT_WANTED,
        Verdict.NOT_EVALUABLE,
    ]
    first, second = closed.jobs
    assert first == NewJob(
        key="a/1.0.0/1.2.3.1/0",
        model="a",
        model_version="1.0.0",
        study_instance_uid="1.2.3",
        series_instance_uids=("1.2.3.1",),
        revision=0,
        accession_number="ACC1",
        destinations=("pacs", "archive"),
        priority=Priority.HIGH,
        unfit=None,
    )
    assert second.key == "c/1.0.0/1.2.3.1/0"
    assert second.unfit is not None
    assert second.unfit.text == "Series of 3 slices; this model needs at least 10"


def test_nothing_happens_before_the_quiet_period_is_over() -> None:
    catalogue, clock = CatalogueOfSeries(numbered(1)), FixedClock()
    closing = step(catalogue, clock, model(), routes=(EVERYWHERE,))
    due = T0 + timedelta(seconds=5)
    clock.time = due - timedelta(milliseconds=1)
    assert closing.run_once() == 0
    clock.time = due
    assert closing.run_once() == 1
    assert closing.run_once() == 0


def test_a_series_that_moved_on_is_not_counted() -> None:
    catalogue, clock = CatalogueOfSeries(numbered(1)), FixedClock()
    catalogue.moved_on.add(1)
    assert step(catalogue, clock, model(), routes=(EVERYWHERE,)).run_once() == 0
    assert catalogue.alerts == []


@pytest.mark.parametrize("wrong", [NotFound("gone"), ValueError("odd"), KeyError("x"), RecursionError()])
def test_one_bad_series_stops_no_other_and_is_reported_once(wrong: Exception) -> None:
    catalogue, clock = CatalogueOfSeries(numbered(1), numbered(2), numbered(3)), FixedClock()
    catalogue.known[2] = wrong
    closing = step(catalogue, clock, model(), routes=(EVERYWHERE,))
    assert closing.run_once() == 2
    assert closing.run_once() == 0
    assert set(catalogue.closed) == {1, 3}
    code = "NotFound" if isinstance(wrong, NotFound) else type(wrong).__name__
    assert catalogue.alerts == [("series_not_closed", "1.2.3.2", {"error": code})]


def test_a_lost_database_ends_the_turn() -> None:
    catalogue, clock = CatalogueOfSeries(numbered(1)), FixedClock()
    catalogue.known[1] = ConnectionError("database is gone")
    with pytest.raises(ConnectionError):
        step(catalogue, clock, model(), routes=(EVERYWHERE,)).run_once()
    assert catalogue.alerts == []


# ------------------------------------------------------------------------------------------------ reprocessing


class QueueOfJobs:
    """The part of a JobQueue that reprocessing uses."""

    def __init__(self) -> None:
        self.jobs: dict[str, int] = {}
        self.states: dict[int, JobState] = {}
        self.superseded: set[int] = set()

    def enqueue(self, job: NewJob) -> int:
        job_id = self.jobs.setdefault(job.key, len(self.jobs) + 1)
        self.states.setdefault(job_id, JobState.SCHEDULED)
        return job_id

    def get(self, job_id: int) -> Job:
        key = next(key for key, number in self.jobs.items() if number == job_id)
        state = self.states[job_id]
        job = Job(job_id, key, state, "m", "1", "1.2.3", (), 0, "", (), Priority.MEDIUM, 0, 3, T0)
        return replace(job, superseded_at=T0 if job_id in self.superseded else None)


def closed(*series: Series) -> CatalogueOfSeries:
    catalogue = CatalogueOfSeries(*series)
    for one in series:
        catalogue.closed[one.series_id] = ClosedSeries(one.revision, Closure(CloseReason.QUIET, {}), (), ())
    return catalogue


def test_a_series_that_still_receives_is_not_reprocessed() -> None:
    catalogue, queue = closed(numbered(1), numbered(2)), QueueOfJobs()
    del catalogue.closed[2]
    reprocess = Reprocess(catalogue, queue, lambda: [model(MR)], (EVERYWHERE,))  # type: ignore[arg-type]
    assert [one.series_instance_uid for one in reprocess([1, 2])] == ["1.2.3.1"]
    assert len(queue.jobs) == 1


def test_a_job_that_is_being_stopped_for_another_version_is_none() -> None:
    catalogue, queue = closed(numbered(1)), QueueOfJobs()
    reprocess = Reprocess(catalogue, queue, lambda: [model(MR)], (EVERYWHERE,))  # type: ignore[arg-type]
    assert reprocess([1])[0].job == 1
    queue.states[1], queue.superseded = JobState.IN_PROGRESS, {1}
    assert reprocess([1])[0].job == 2


def test_reprocessing_makes_a_new_job_only_when_the_last_one_has_ended() -> None:
    catalogue, queue = closed(numbered(1)), QueueOfJobs()
    reprocess = Reprocess(catalogue, queue, lambda: [model(MR, id="a"), model(CT, id="b")], (EVERYWHERE,))  # type: ignore[arg-type]
    admitted, unwanted = reprocess([1])
    assert (admitted.job, unwanted.job) == (1, None)
    assert reprocess([1])[0].job == 1
    queue.states[1] = JobState.COMPLETED
    assert reprocess([1])[0].job == 2
    queue.states[2] = JobState.IN_PROGRESS
    assert reprocess([1])[0].job == 2
    queue.states[2] = JobState.FAILED
    assert reprocess([1])[0].job == 3
    assert list(queue.jobs) == ["a/1.0.0/1.2.3.1/0", "a/1.0.0/1.2.3.1/0/rerun-1", "a/1.0.0/1.2.3.1/0/rerun-2"]


def test_reprocessing_by_one_model_only() -> None:
    catalogue, queue = closed(numbered(1)), QueueOfJobs()
    reprocess = Reprocess(catalogue, queue, lambda: [model(MR, id="a"), model(MR, id="b")], (EVERYWHERE,))  # type: ignore[arg-type]
    assert [one.admission.model for one in reprocess([1], "b")] == ["b"]
    assert list(queue.jobs) == ["b/1.0.0/1.2.3.1/0"]


def test_reprocessing_what_is_not_there() -> None:
    reprocess = Reprocess(CatalogueOfSeries(), QueueOfJobs(), lambda: [model()], (EVERYWHERE,))  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        reprocess([1])
