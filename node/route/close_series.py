"""The step: series that are complete are closed, judged by every model, and become jobs, in one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from node.domain.admission import Admission, Route, Verdict
from node.domain.job import JobState, NewJob, Priority
from node.domain.model import ModelDescription
from node.domain.study import OpenSeries, Series
from node.errors import AinodeError
from node.ports import Catalogue, Clock, JobQueue
from node.route import completeness
from node.route.admission import judge, keywords_of, unfit_reason
from node.route.facts import describe

log = structlog.get_logger()

# What one series can do wrong to us: a row that is gone, or a value nobody thought of. It must not stop the others;
# a lost database is none of these and ends the turn, which the timer repeats.
ONE_SERIES_ERRORS = (AinodeError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class CompletenessRule:
    quiet_period_s: float
    open_association_quiet_s: float


def job_key(model: ModelDescription, series_instance_uid: str, revision: int, rerun: int = 0) -> str:
    """One job for each (model, version, series, revision), and one more for each rerun that an operator asks for."""
    key = f"{model.id}/{model.version}/{series_instance_uid}/{revision}"
    return f"{key}/rerun-{rerun}" if rerun else key


def new_job(series: Series, model: ModelDescription, admission: Admission, rerun: int = 0) -> NewJob | None:
    """The job that an admission asks for; None where the series is not wanted."""
    if admission.verdict is Verdict.NOT_WANTED:
        return None
    return NewJob(
        key=job_key(model, series.series_instance_uid, series.revision, rerun),
        model=model.id,
        model_version=model.version,
        study_instance_uid=series.study_instance_uid,
        series_instance_uids=(series.series_instance_uid,),
        revision=series.revision,
        accession_number=series.accession_number,
        destinations=admission.destinations,
        priority=Priority[admission.priority],
        unfit=unfit_reason(admission),
    )


class CloseSeries:
    """Called by a timer."""

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        models: Callable[[], Sequence[ModelDescription]],
        routes: Sequence[Route],
        rule: CompletenessRule,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._models = models
        self._routes = tuple(routes)
        self._rule = rule
        self._reported: set[tuple[int, int]] = set()

    def run_once(self) -> int:
        """Close what is complete; how many series were closed. What is wrong with one series becomes an alert."""
        closed = 0
        for open_series in self._catalogue.open_series():
            try:
                closed += self._close_if_complete(open_series)
            except ONE_SERIES_ERRORS as error:
                self._report(open_series, error)
        return closed

    def _close_if_complete(self, open_series: OpenSeries) -> bool:
        rule = self._rule
        now = self._clock.now()
        closure = completeness.decide(open_series, now, rule.quiet_period_s, rule.open_association_quiet_s)
        if closure is None:
            return False
        series = self._catalogue.series(open_series.series_id)
        judged = judge_series(series, self._models(), self._routes)
        jobs = [job for model, admission in judged if (job := new_job(series, model, admission)) is not None]
        admissions = [admission for _, admission in judged]
        done = self._catalogue.close_series(series.series_id, open_series.revision, closure, admissions, jobs)
        if done:
            log.info(
                "series_closed",
                series_instance_uid=series.series_instance_uid,
                revision=series.revision,
                reason=closure.reason.value,
                jobs=[job.key for job in jobs],
            )
        return done

    def _report(self, series: OpenSeries, error: Exception) -> None:
        """An alert and a log line, once for each state of the series."""
        state = (series.series_id, series.revision)
        if state in self._reported:
            return
        self._reported.add(state)
        kind = error.code if isinstance(error, AinodeError) else type(error).__name__
        log.error("series_not_closed", series_instance_uid=series.series_instance_uid, error=kind, exc_info=error)
        self._catalogue.raise_alert("series_not_closed", series.series_instance_uid, {"error": kind})


def judge_series(
    series: Series, models: Sequence[ModelDescription], routes: Sequence[Route]
) -> list[tuple[ModelDescription, Admission]]:
    """Every model's judgement of the series."""
    facts = describe(series, keywords_of(routes))
    return [(model, judge(facts, model, routes)) for model in models]


@dataclass(frozen=True, slots=True)
class Reprocessed:
    """What came of one (series, model): ``job`` is None where the series is not wanted."""

    series_instance_uid: str
    admission: Admission
    job: int | None


class Reprocess:
    """Operators' word: judge series again, by the models and routes of today, and run what is admitted once more."""

    def __init__(
        self,
        catalogue: Catalogue,
        queue: JobQueue,
        models: Callable[[], Sequence[ModelDescription]],
        routes: Sequence[Route],
    ) -> None:
        self._catalogue = catalogue
        self._queue = queue
        self._models = models
        self._routes = tuple(routes)

    def __call__(self, series_ids: Sequence[int], model_id: str | None = None) -> list[Reprocessed]:
        """
        Raises:
            NotFound: a series does not exist.
        """
        models = [model for model in self._models() if model_id in (None, model.id)]
        return [
            Reprocessed(series.series_instance_uid, admission, self._enqueue(series, model, admission))
            for series in map(self._catalogue.series, series_ids)
            for model, admission in judge_series(series, models, self._routes)
        ]

    def _enqueue(self, series: Series, model: ModelDescription, admission: Admission) -> int | None:
        """A job under the first key that is not used up; one that waits or runs already is not made twice."""
        rerun = 0
        while True:
            job = new_job(series, model, admission, rerun)
            if job is None:
                return None
            job_id = self._queue.enqueue(job)
            if self._queue.get(job_id).state in (JobState.SCHEDULED, JobState.IN_PROGRESS):
                return job_id
            rerun += 1
