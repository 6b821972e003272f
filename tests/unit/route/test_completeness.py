"""Completeness is a pure decision: silence as the last resort, evidence before it, and what is kept of both."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.completeness import Habit, SourceAnswer
from node.domain.study import CloseReason, Closure, OpenSeries
from node.route.completeness import CompletenessRule, by_word, decide, next_decision_at, quiet_period_s
from node.route.images import Images
from node.route.proofs import PROOFS, Evidence, missing
from tests.unit.route.evidence import GRID, RULE, SERIES, STATED, UNKNOWN, after, said

CONFIGURED = CompletenessRule(5.0, 60.0, learned=False)


def silent(series: OpenSeries, now: datetime, rule: CompletenessRule = RULE) -> Closure | None:
    """The decision with nothing known but the silence."""
    return decide(Evidence(series), now, rule)


def test_waits_for_the_quiet_period_after_the_release() -> None:
    assert silent(SERIES, after(5.9)) is None
    closure = silent(SERIES, after(6.0))
    assert closure is not None
    assert closure.reason is CloseReason.ASSOCIATION_RELEASED


def test_counts_from_the_last_instance_when_that_is_later() -> None:
    late = replace(SERIES, last_instance_at=after(10))
    assert silent(late, after(14)) is None
    assert silent(late, after(15)) is not None


def test_an_instance_without_an_association_counts_from_itself() -> None:
    alone = replace(SERIES, last_association_ended_at=None, last_release_at=None, associations=0)
    assert silent(alone, after(4.9)) is None
    assert silent(alone, after(5)) is not None


def test_an_open_association_needs_the_longer_quiet_period() -> None:
    still_open = replace(SERIES, open_associations=1, last_association_ended_at=None)
    assert silent(still_open, after(59.9)) is None
    closure = silent(still_open, after(60))
    assert closure is not None
    assert closure.reason is CloseReason.QUIET


def test_an_open_association_never_shortens_the_wait() -> None:
    still_open = replace(SERIES, open_associations=1)
    rule = CompletenessRule(30.0, 10.0)
    assert silent(still_open, after(20), rule) is None
    assert silent(still_open, after(30), rule) is not None


def test_a_series_without_instances_is_never_complete() -> None:
    assert silent(replace(SERIES, instances=0), after(10_000)) is None


def test_silence_is_judged_as_of_what_is_recorded() -> None:
    evidence = Evidence(SERIES)
    assert decide(evidence, after(100), RULE, recorded_until=after(5.9)) is None
    assert decide(evidence, after(100), RULE, recorded_until=after(6)) is not None
    assert decide(evidence, after(6), RULE, recorded_until=after(100)) is not None


def test_no_proof_rests_on_what_is_not_recorded_yet() -> None:
    evidence = Evidence(SERIES, images=GRID)
    assert decide(evidence, after(2), RULE, recorded_until=after(0.5)) is None
    assert decide(evidence, after(2), RULE, recorded_until=after(1)) is not None


def test_the_evidence_holds_every_number_used() -> None:
    closure = silent(SERIES, after(7.5))
    assert closure is not None
    assert closure.evidence == {
        "decided_at": "2026-03-01T12:00:07.500000+00:00",
        "instances": 40,
        "last_instance_at": "2026-03-01T12:00:00+00:00",
        "last_association_ended_at": "2026-03-01T12:00:01+00:00",
        "open_associations": 0,
        "quiet_s": 6.5,
        "quiet_needed_s": 5.0,
    }


def test_a_proof_closes_at_once_and_is_kept() -> None:
    closure = decide(Evidence(SERIES, images=UNKNOWN, answers=(said(of_series=40),)), after(1.1), RULE)
    assert closure is not None
    assert closure.reason is CloseReason.SOURCE_COUNT
    assert closure.evidence["source"] == "archive"
    assert closure.evidence["source_counts"] == 40
    assert closure.evidence["instances"] == 40


def test_silence_closes_even_what_is_known_to_be_incomplete_and_says_so() -> None:
    gap = replace(GRID, highest_number=41, missing=(17,))
    answers = (said(of_series=41), said(error="DestinationUnreachable"), said(of_series=3), said(), said(of_study=7))
    closure = decide(Evidence(SERIES, images=gap, answers=answers), after(6), RULE)
    assert closure is not None
    assert closure.reason is CloseReason.ASSOCIATION_RELEASED
    assert closure.evidence["lacking"] == [
        "source archive counts 41 instances",
        "no image has number 17",
        "source archive did not answer: DestinationUnreachable",
        "source archive counts only 3 instances",
        "source archive does not know the series",
        "source archive counts 7 instances of the study, 0 are here",
    ]


def test_a_learned_period_is_shown_as_such() -> None:
    habit = Habit((0.0,) * 20)
    closure = decide(Evidence(SERIES, habit), after(2), RULE)
    assert closure is not None
    assert (closure.evidence["quiet_needed_s"], closure.evidence["quiet_learned_from"]) == (1.0, 20)
    assert decide(Evidence(SERIES, habit), after(2), CONFIGURED) is None


@pytest.mark.parametrize(
    ("configured_s", "silences_s", "expected_s"),
    [
        (5.0, (), 5.0),
        (5.0, (0.0,) * 19, 5.0),
        (5.0, (0.0,) * 20, 1.0),
        (5.0, (4.0,), 8.0),
        (5.0, (50.0,) * 20, 60.0),
        (0.5, (0.0,) * 20, 0.5),
        (90.0, (50.0,) * 20, 90.0),
    ],
)
def test_what_is_learned_stays_within_the_bounds(
    configured_s: float, silences_s: tuple[float, ...], expected_s: float
) -> None:
    rule = CompletenessRule(configured_s, 60.0)
    assert quiet_period_s(Evidence(SERIES, Habit(silences_s)), rule) == expected_s


def test_an_operators_word_is_a_closure_of_what_has_come() -> None:
    closure = by_word(replace(SERIES, open_associations=1), after(0.2), "somebody@console")
    assert closure.reason is CloseReason.OPERATOR
    assert (closure.evidence["operator"], closure.evidence["instances"]) == ("somebody@console", 40)


# ------------------------------------------------------------------------------------------------ for every case

seconds = st.floats(-100, 200)
open_series = st.builds(
    lambda open_associations, ended_s, released, associations: replace(
        SERIES,
        open_associations=open_associations,
        last_association_ended_at=None if ended_s is None else after(ended_s),
        last_release_at=after(ended_s) if released and ended_s is not None else None,
        associations=max(associations, open_associations),
    ),
    st.integers(0, 2),
    st.none() | seconds,
    st.booleans(),
    st.integers(0, 3),
)
counts = st.none() | st.integers(38, 42)
images = st.none() | st.builds(
    Images,
    instances=st.sampled_from([39, 40, 41]),
    numbered=st.booleans(),
    highest_number=st.integers(38, 42),
    missing=st.sampled_from([(), (), (7,)]),
    positions=st.sampled_from([0, 4, 8, 20, 40]),
    each=st.sampled_from([0, 1, 2, 5]),
    spacing_mm=st.none() | st.just(1.5),
    stated=counts,
    stated_by=st.just("ImagesInAcquisition"),
    frames=st.sampled_from([0, 0, 8]),
)
answers: st.SearchStrategy[tuple[SourceAnswer, ...]] = st.lists(
    st.builds(said, of_series=counts, of_study=counts, error=st.sampled_from(["", "DestinationUnreachable"])),
    max_size=2,
).map(tuple)
habits = st.builds(
    Habit,
    st.lists(st.floats(0, 60), max_size=30).map(tuple),
    st.sets(st.sampled_from(PROOFS)).map(lambda reasons: {reason.value: 3 for reason in reasons}),
)
evidence_of_any_kind = st.builds(
    Evidence, open_series, habits, images, answers, asking=st.booleans(), of_study=st.integers(40, 42)
)


@given(open_series, st.floats(0.1, 100), st.floats(0.1, 100), st.floats(-100, 400))
def test_silence_closes_exactly_from_the_announced_time_on(
    series: OpenSeries, quiet_s: float, open_quiet_s: float, now_s: float
) -> None:
    due = next_decision_at(series, quiet_s, open_quiet_s)
    closure = silent(series, after(now_s), CompletenessRule(quiet_s, open_quiet_s, learned=False))
    assert (closure is not None) == (after(now_s) >= due)


@given(evidence_of_any_kind, st.floats(-10, 300), st.none() | st.floats(-10, 300))
def test_evidence_never_makes_anybody_wait_longer(evidence: Evidence, now_s: float, recorded_s: float | None) -> None:
    recorded_until = None if recorded_s is None else after(recorded_s)
    without = decide(Evidence(evidence.series, evidence.habit), after(now_s), RULE, recorded_until)
    if without is not None:
        assert decide(evidence, after(now_s), RULE, recorded_until) is not None


@given(evidence_of_any_kind, st.floats(-10, 300))
def test_nothing_closes_early_with_a_gap_known(evidence: Evidence, now_s: float) -> None:
    closure = decide(evidence, after(now_s), RULE)
    counted = any(answer.count.of_series == 40 for answer in evidence.answers)
    of_study = any(
        answer.count.of_series is None and answer.count.of_study == evidence.of_study for answer in evidence.answers
    )
    if closure is not None and closure.reason in PROOFS:
        assert not missing(evidence) or counted or of_study
        assert closure.reason.value not in evidence.habit.distrusted
        assert evidence.images is None or closure.reason is CloseReason.SOURCE_COUNT or evidence.images.missing == ()


@given(evidence_of_any_kind, st.floats(-10, 300))
def test_an_open_association_is_closed_early_only_by_a_count_and_after_a_silence(
    evidence: Evidence, now_s: float
) -> None:
    closure = decide(evidence, after(now_s), RULE)
    if evidence.series.open_associations and closure is not None and closure.reason in PROOFS:
        assert closure.reason in (CloseReason.SOURCE_COUNT, CloseReason.STATED_COUNT)
        assert after(now_s) >= after(RULE.settle_s)


@given(evidence_of_any_kind, st.floats(-10, 300))
def test_what_the_headers_show_must_be_of_the_images_that_have_come(evidence: Evidence, now_s: float) -> None:
    closure = decide(evidence, after(now_s), RULE)
    if closure is not None and closure.reason in (CloseReason.STATED_COUNT, CloseReason.GAPLESS):
        assert evidence.images is not None
        assert evidence.images.instances == evidence.series.instances


def test_the_strategies_reach_every_proof() -> None:
    """The properties above say nothing of a proof that never holds."""
    one = replace(SERIES, instances=1)
    held = [
        decide(Evidence(SERIES, images=GRID), after(1), RULE),
        decide(Evidence(SERIES, images=STATED), after(1), RULE),
        decide(Evidence(SERIES, answers=(said(of_series=40),)), after(1), RULE),
        decide(Evidence(one, images=Images(instances=1, frames=30)), after(1), RULE),
    ]
    assert {closure.reason for closure in held if closure} == set(PROOFS)
