"""Asking sources how many instances they have, without ever waiting for one.

Each source has a thread of its own and is asked one question at a time. One that does not answer is left alone for a
growing while, and costs nobody but itself: whoever judges a series takes what is known at that moment.
"""

from __future__ import annotations

import fnmatch
import queue
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from node.domain.completeness import SourceAnswer
from node.domain.study import OpenSeries
from node.errors import AinodeError
from node.ports import Clock, InstanceCounts

log = structlog.get_logger()

# Whoever could decide without a source grants it this long to say that there is more, unless the site says otherwise.
GRANTED_S = 0.25
# After an answer that proves nothing, and after a failure: doubled each time.
AGAIN_S, AGAIN_CAP_S = 0.5, 8.0
FAILED_S, FAILED_CAP_S = 2.0, 300.0


@dataclass(frozen=True, slots=True)
class CountSource:
    """A source and the calling AE titles (patterns) whose images it knows.

    ``granted_s``: how long it may contradict what would be complete without it.
    """

    counts: InstanceCounts
    calling: tuple[str, ...] = ("*",)
    granted_s: float = GRANTED_S

    def knows(self, calling_ae: str) -> bool:
        return any(fnmatch.fnmatchcase(calling_ae, pattern) for pattern in self.calling)


@dataclass(frozen=True, slots=True)
class Known:
    """``asking``: an answer may still come within the time that is granted."""

    answers: tuple[SourceAnswer, ...] = ()
    asking: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """One state of a series at one source.

    ``answered_at`` is None while it is on its way; ``answer`` is then that of the time before, if there was one.
    """

    series: OpenSeries
    asked_at: datetime
    times: int = 1
    answer: SourceAnswer | None = None
    answered_at: datetime | None = None

    @property
    def answers(self) -> tuple[SourceAnswer, ...]:
        return () if self.answer is None else (self.answer,)


def is_about(question: Question, series: OpenSeries) -> bool:
    """An instance more or an association that ended makes it another question."""
    return _state(question.series) == _state(series)


def ask_again_at(question: Question) -> datetime | None:
    """When the same question may be asked once more; None while it is not answered."""
    if question.answered_at is None:
        return None
    return question.answered_at + timedelta(seconds=min(AGAIN_S * 2.0 ** (question.times - 1), AGAIN_CAP_S))


def pause_s(failures: int) -> float:
    """How long a source is left alone after so many failures in a row."""
    return min(FAILED_S * 2.0 ** min(failures - 1, 30), FAILED_CAP_S)


class Inquiry:
    """All sources. ``answered`` is called, from another thread, whenever an answer has come."""

    def __init__(
        self, sources: Sequence[CountSource], clock: Clock, answered: Callable[[], object] = lambda: None
    ) -> None:
        self._sources = [(source, _AskedSource(source, clock, answered)) for source in sources]

    def about(self, series: OpenSeries) -> Known:
        """What is known of this state of the series now; what is not known is asked for."""
        found = [asked.about(series) for source, asked in self._sources if source.knows(series.calling_ae)]
        return Known(tuple(answer for known in found for answer in known.answers), any(known.asking for known in found))

    def forget_all_but(self, series_ids: Collection[int]) -> None:
        """Series that are open no longer are of no interest."""
        for _, asked in self._sources:
            asked.forget_all_but(series_ids)


class _AskedSource:
    """One source, its thread and its questions."""

    def __init__(self, source: CountSource, clock: Clock, answered: Callable[[], object]) -> None:
        self._counts = source.counts
        self._granted = timedelta(seconds=source.granted_s)
        self._clock = clock
        self._answered = answered
        self._lock = threading.Lock()
        self._questions: dict[int, Question] = {}
        self._waiting: queue.SimpleQueue[Question] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._alone_until: datetime | None = None
        self._last_failures: tuple[SourceAnswer, ...] = ()

    def about(self, series: OpenSeries) -> Known:
        with self._lock:
            now = self._clock.now()
            question = self._questions.get(series.series_id)
            if question is None or not is_about(question, series):
                question = None
            elif question.answered_at is None:
                return Known(question.answers, asking=now < question.asked_at + self._granted)
            if self._alone_until is not None and now < self._alone_until:
                return Known(question.answers if question else self._last_failures)
            if question is None:
                return self._ask(Question(series, now))
            again_at = ask_again_at(question)
            if again_at is None or now < again_at:
                return Known(question.answers)
            return self._ask(replace(question, asked_at=now, times=question.times + 1, answered_at=None))

    def forget_all_but(self, series_ids: Collection[int]) -> None:
        with self._lock:
            for gone in self._questions.keys() - set(series_ids):
                del self._questions[gone]

    def _ask(self, question: Question) -> Known:
        self._questions[question.series.series_id] = question
        self._waiting.put(question)
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=f"source-{self._counts.name}", daemon=True)
            self._thread.start()
        return Known(question.answers, asking=True)

    def _serve(self) -> None:
        while True:
            question = self._waiting.get()
            with self._lock:
                wanted = self._questions.get(question.series.series_id) is question
                alone = self._alone_until is not None and self._clock.now() < self._alone_until
                failures = self._last_failures if alone else ()
            if wanted:
                self._keep(question, failures[0] if failures else self._answer(question.series))
                self._answered()

    def _answer(self, series: OpenSeries) -> SourceAnswer:
        name, asked_at = self._counts.name, self._clock.now()
        try:
            count = self._counts.count(series.study_instance_uid, series.series_instance_uid)
        except AinodeError as error:
            return self._failed(SourceAnswer(name, asked_at, error=error.code))
        except Exception as error:
            # The edge of this thread: whatever a peer can make a library raise, the next question is asked.
            log.exception("source.not_understood", source=name)
            return self._failed(SourceAnswer(name, asked_at, error=type(error).__name__))
        with self._lock:
            self._failures, self._alone_until, self._last_failures = 0, None, ()
        return SourceAnswer(name, asked_at, count)

    def _failed(self, answer: SourceAnswer) -> SourceAnswer:
        with self._lock:
            self._failures += 1
            pause = pause_s(self._failures)
            self._alone_until = self._clock.now() + timedelta(seconds=pause)
            self._last_failures = (answer,)
        log.warning("source.not_answering", source=answer.source, error=answer.error, asked_again_after_s=pause)
        return answer

    def _keep(self, question: Question, answer: SourceAnswer) -> None:
        with self._lock:
            if self._questions.get(question.series.series_id) is question:
                done = replace(question, answer=answer, answered_at=self._clock.now())
                self._questions[question.series.series_id] = done


def _state(series: OpenSeries) -> tuple[int, int, bool]:
    return series.revision, series.instances, series.open_associations > 0
