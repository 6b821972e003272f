"""Sources are asked without waiting for them, seldom, and alone."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from node.domain.completeness import InstanceCount
from node.errors import DestinationUnreachable
from node.ports import InstanceCounts
from node.route.inquiry import (
    AGAIN_CAP_S,
    FAILED_CAP_S,
    GRANTED_S,
    CountSource,
    Inquiry,
    Known,
    Question,
    ask_again_at,
    pause_s,
)
from tests.fakes.closings import FakeSource
from tests.unit.route.evidence import SERIES, T0, after, said
from tests.waiting import wait_for


class SteppedClock:
    def __init__(self) -> None:
        self.time = T0

    def now(self) -> datetime:
        return self.time

    def step(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Asked:
    """An inquiry at ``sources`` with the clock and the answers it has announced."""

    def __init__(self, *sources: InstanceCounts, calling: tuple[str, ...] = ("*",)) -> None:
        self.clock = SteppedClock()
        self.answers = threading.Semaphore(0)
        self.inquiry = Inquiry([CountSource(one, calling) for one in sources], self.clock, self.answers.release)

    def answered(self) -> Known:
        """What is known after one further answer has come."""
        assert self.answers.acquire(timeout=30)
        return self.inquiry.about(SERIES)


@pytest.fixture
def source() -> FakeSource:
    return FakeSource(InstanceCount(of_series=40))


def test_an_answer_is_waited_for_by_nobody_and_kept(source: FakeSource) -> None:
    asked = Asked(source)
    source.held.clear()
    assert asked.inquiry.about(SERIES) == Known((), asking=True)
    assert asked.inquiry.about(SERIES) == Known((), asking=True)
    source.held.set()
    known = asked.answered()
    assert (known.answers[0].source, known.answers[0].count, known.asking) == (
        "archive",
        InstanceCount(of_series=40),
        False,
    )
    assert source.asked == [(SERIES.study_instance_uid, SERIES.series_instance_uid)]


def test_only_a_little_time_is_granted_to_a_source_that_does_not_answer(source: FakeSource) -> None:
    asked = Asked(source)
    source.held.clear()
    asked.inquiry.about(SERIES)
    asked.clock.step(GRANTED_S)
    assert asked.inquiry.about(SERIES) == Known((), asking=False)
    source.held.set()


def test_another_state_of_the_series_is_another_question(source: FakeSource) -> None:
    asked = Asked(source)
    asked.inquiry.about(SERIES)
    asked.answered()
    for changed in (
        replace(SERIES, instances=41),
        replace(SERIES, instances=41, open_associations=1),
        replace(SERIES, revision=2),
    ):
        assert asked.inquiry.about(changed) == Known((), asking=True)
        assert asked.answers.acquire(timeout=30)
    assert len(source.asked) == 4


def test_the_same_question_is_asked_again_after_growing_pauses_and_the_old_answer_stands(source: FakeSource) -> None:
    asked = Asked(source)
    asked.inquiry.about(SERIES)
    first = asked.answered()
    asked.clock.step(0.49)
    assert asked.inquiry.about(SERIES) == first
    asked.clock.step(0.02)
    assert asked.inquiry.about(SERIES) == Known(first.answers, asking=True)
    second = asked.answered()
    asked.clock.step(0.51)
    assert asked.inquiry.about(SERIES) == second
    assert len(source.asked) == 2


def test_a_dead_source_is_left_alone_for_a_growing_while(source: FakeSource) -> None:
    source.answer = DestinationUnreachable("nobody there")
    asked = Asked(source)
    asked.inquiry.about(SERIES)
    known = asked.answered()
    assert [(one.error, one.count) for one in known.answers] == [("DestinationUnreachable", InstanceCount())]
    other = replace(SERIES, series_id=2)
    assert asked.inquiry.about(other) == known, "nobody asks it, and nobody waits for it"
    asked.clock.step(2.01)
    source.answer = InstanceCount(of_series=40)
    assert asked.inquiry.about(other).asking
    assert asked.answers.acquire(timeout=30)
    assert asked.inquiry.about(other).answers[0].count == InstanceCount(of_series=40)
    assert len(source.asked) == 2


def test_what_waits_behind_a_failure_is_not_asked(source: FakeSource) -> None:
    """A source that hangs must not be asked a hundred times in turn."""
    asked = Asked(source)
    source.answer = DestinationUnreachable("silent")
    source.held.clear()
    for number in range(5):
        asked.inquiry.about(replace(SERIES, series_id=number))
    source.held.set()
    for _ in range(5):
        assert asked.answers.acquire(timeout=30)
    assert len(source.asked) == 1


def test_whatever_a_source_raises_it_is_asked_again(source: FakeSource) -> None:
    source.answer = ZeroDivisionError("a library's mistake")
    asked = Asked(source)
    asked.inquiry.about(SERIES)
    assert asked.answered().answers[0].error == "ZeroDivisionError"
    asked.clock.step(3)
    source.answer = InstanceCount(of_series=40)
    asked.inquiry.about(SERIES)
    assert asked.answered().answers[0].error == ""


def test_a_hanging_source_delays_no_other(source: FakeSource) -> None:
    hanging = FakeSource(InstanceCount(), "hanging")
    hanging.held.clear()
    asked = Asked(hanging, source)
    assert asked.inquiry.about(SERIES).asking
    known = asked.answered()
    assert [one.source for one in known.answers] == ["archive"]
    assert known.asking, "the other one may still say that there is more"
    hanging.held.set()


def test_a_source_is_asked_only_about_what_its_senders_send(source: FakeSource) -> None:
    asked = Asked(source, calling=("MR*",))
    assert asked.inquiry.about(SERIES) == Known()
    assert asked.inquiry.about(replace(SERIES, calling_ae="MR7")).asking


def test_what_is_closed_is_forgotten(source: FakeSource) -> None:
    asked = Asked(source)
    asked.inquiry.about(SERIES)
    asked.answered()
    asked.inquiry.forget_all_but({SERIES.series_id})
    assert asked.inquiry.about(SERIES).answers
    asked.inquiry.forget_all_but(set())
    assert asked.inquiry.about(SERIES) == Known((), asking=True)


def test_an_answer_to_what_nobody_asks_any_more_is_dropped(source: FakeSource) -> None:
    asked = Asked(source)
    source.held.clear()
    asked.inquiry.about(SERIES)
    wait_for(lambda: source.asked, "the source is asked")
    changed = replace(SERIES, instances=41)
    asked.inquiry.about(changed)
    source.held.set()
    for _ in range(2):
        assert asked.answers.acquire(timeout=30)
    assert asked.inquiry.about(changed).answers
    assert len(source.asked) == 2


@pytest.mark.parametrize(
    ("failures", "pause"), [(1, 2.0), (2, 4.0), (5, 32.0), (20, FAILED_CAP_S), (10**6, FAILED_CAP_S)]
)
def test_pauses_after_failures(failures: int, pause: float) -> None:
    assert pause_s(failures) == pause


@pytest.mark.parametrize(("times", "again_s"), [(1, 0.5), (2, 1.0), (4, 4.0), (9, AGAIN_CAP_S)])
def test_pauses_between_the_same_questions(times: int, again_s: float) -> None:
    question = Question(SERIES, T0, times, said(of_series=3), answered_at=T0)
    assert ask_again_at(question) == after(again_s)
    assert ask_again_at(replace(question, answered_at=None)) is None
