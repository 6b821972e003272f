"""The step: series that are complete are closed, judged by every model, and become jobs, in one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from node.domain.admission import Admission, Condition, Route, Verdict
from node.domain.job import JobState, NewJob, Priority
from node.domain.model import ModelDescription
from node.domain.study import Closure, OpenSeries, Series
from node.errors import AinodeError, InvalidTransition
from node.ports import Catalogue, Clock, JobQueue
from node.route import completeness
from node.route.admission import judge, keywords_of, unfit_reason
from node.route.backlog import Backlog
from node.route.completeness import CompletenessRule
from node.route.evidence import Gathering
from node.route.facts import describe

log = structlog.get_logger()

# An operator's word is for what has come; it is said again where another instance comes at that very moment.
WORD_TRIES = 10
# What one series can do wrong to us: a row that is gone, or a value nobody thought of. It must not stop the others;
# a lost database is none of these and ends the turn, which the timer repeats.
ONE_SERIES_ERRORS = (AinodeError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


# Where nobody says how long a job waits for earlier studies.
PRIORS_WAIT_S = 120.0
FETCHED_AS_PRIOR = Condition("reception", "route", "sent to be analysed", "fetched as a prior of another study", False)


def job_key(model: ModelDescription, series_instance_uid: str, revision: int, rerun: int = 0) -> str:
    """One job for each (model, version, series, revision), and one more for each rerun that an operator asks for."""
    key = f"{model.id}/{model.version}/{series_instance_uid}/{revision}"
    return f"{key}/rerun-{rerun}" if rerun else key


def new_job(
    series: Series, model: ModelDescription, admission: Admission, rerun: int = 0, priors_wait_s: float = PRIORS_WAIT_S
) -> NewJob | None:
    """The job that an admission asks for; None where the series is not wanted. It waits for the priors of its model."""
    if admission.verdict is Verdict.NOT_WANTED:
        return None
    waits = model.priors is not None and admission.verdict is Verdict.ADMITTED
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
        priors_wait_s=priors_wait_s if waits else None,
    )


def as_prior(admission: Admission) -> Admission:
    """What was fetched for another study is not judged for itself."""
    return replace(admission, verdict=Verdict.NOT_WANTED, conditions=(*admission.conditions, FETCHED_AS_PRIOR))


class CloseSeries:
    """Called over and over; what it keeps between turns saves reading things again.

    ``is_prior`` says whether a series was fetched as a prior alone; a job waits ``priors_wait_s`` for those of its own.
    ``backlog`` tells what the journal of this host holds that has no rows yet, where there is one.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        clock: Clock,
        models: Callable[[], Sequence[ModelDescription]],
        routes: Sequence[Route],
        rule: CompletenessRule,
        gathering: Gathering | None = None,
        backlog: Backlog | None = None,
        is_prior: Callable[[Series], bool] = lambda series: False,
        priors_wait_s: float = PRIORS_WAIT_S,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._models = models
        self._routes = tuple(routes)
        self._rule = rule
        self._gathering = gathering or Gathering(catalogue, rule)
        self._backlog = backlog
        self._is_prior = is_prior
        self._priors_wait_s = priors_wait_s
        self._reported: set[tuple[int, int]] = set()

    def run_once(self) -> int:
        """Close what is complete; how many series were closed. What is wrong with one series becomes an alert."""
        if not self._catalogue.open_series():
            return 0
        # Asked before what it is about is read: rows that come in between make that newer, never older.
        recorded_until = self._recorded_until()
        waiting = self._catalogue.open_series()
        closed: list[tuple[OpenSeries, Series]] = []
        for open_series in waiting:
            try:
                series = self._close_if_complete(open_series, recorded_until)
            except ONE_SERIES_ERRORS as error:
                self._report(open_series, error)
            else:
                closed += [(open_series, series)] if series is not None else []
        for open_series, series in closed:
            self._gathering.learn(open_series, series, self._clock.now())
        self._gathering.forget_all_but({one.series_id for one in waiting})
        return len(closed)

    def complete(self, series_id: int, operator: str) -> int:
        """An operator's word: close the series with what has come, now; how many instances that is.

        Raises:
            NotFound: there is no such series.
            InvalidTransition: it is closed already, or instances keep coming.
        """
        for _ in range(WORD_TRIES):
            found = [one for one in self._catalogue.open_series() if one.series_id == series_id]
            if not found:
                self._catalogue.series(series_id)
                raise InvalidTransition("the series is closed already")
            series = self._catalogue.series(series_id)
            if self._close(found[0], series, completeness.by_word(found[0], self._clock.now(), operator)):
                return found[0].instances
        raise InvalidTransition("instances of the series come all the time")

    def _recorded_until(self) -> datetime | None:
        known = [self._catalogue.recorded_until(), self._backlog.recorded_until() if self._backlog else None]
        return min((until for until in known if until is not None), default=None)

    def _close_if_complete(self, open_series: OpenSeries, recorded_until: datetime | None) -> Series | None:
        now = self._clock.now()
        as_of = now if recorded_until is None else min(now, recorded_until)
        evidence = self._gathering.of(open_series, as_of)
        closure = completeness.decide(evidence, now, self._rule, recorded_until)
        if closure is None:
            return None
        series = self._gathering.series(open_series)
        return series if self._close(open_series, series, closure) else None

    def _close(self, open_series: OpenSeries, series: Series, closure: Closure) -> bool:
        judged = judge_series(series, self._models(), self._routes)
        if self._is_prior(series):
            judged = [(model, as_prior(admission)) for model, admission in judged]
        jobs = [
            job
            for model, admission in judged
            if (job := new_job(series, model, admission, priors_wait_s=self._priors_wait_s)) is not None
        ]
        admissions = [admission for _, admission in judged]
        done = self._catalogue.close_series(series.series_id, open_series.revision, closure, admissions, jobs)
        if done:
            log.info(
                "series.closed",
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
        log.error("series.not_closed", series_instance_uid=series.series_instance_uid, error=kind, exc_info=error)
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
        priors_wait_s: float = PRIORS_WAIT_S,
    ) -> None:
        self._catalogue = catalogue
        self._queue = queue
        self._models = models
        self._routes = tuple(routes)
        self._priors_wait_s = priors_wait_s

    def __call__(self, series_ids: Sequence[int], model_id: str | None = None) -> list[Reprocessed]:
        """
        Raises:
            NotFound: a series does not exist.
        """
        models = [model for model in self._models() if model_id in (None, model.id)]
        return [
            Reprocessed(series.series_instance_uid, admission, self._enqueue(series, model, admission))
            for series in self._closed(series_ids)
            for model, admission in judge_series(series, models, self._routes)
        ]

    def _closed(self, series_ids: Sequence[int]) -> list[Series]:
        """One that receives is judged when it closes: a job made now would be taken for that one, and see less.

        In this order: what is closed after its revision was read has its job for that revision.
        """
        found = [self._catalogue.series(series_id) for series_id in series_ids]
        receiving = {one.series_id for one in self._catalogue.open_series()}
        return [series for series in found if series.series_id not in receiving]

    def _enqueue(self, series: Series, model: ModelDescription, admission: Admission) -> int | None:
        """A job under the first key that is not used up; one that waits or runs already is not made twice."""
        rerun = 0
        while True:
            job = new_job(series, model, admission, rerun, self._priors_wait_s)
            if job is None:
                return None
            job_id = self._queue.enqueue(job)
            known = self._queue.get(job_id)
            if known.state in (JobState.SCHEDULED, JobState.IN_PROGRESS) and known.superseded_at is None:
                return job_id
            rerun += 1
