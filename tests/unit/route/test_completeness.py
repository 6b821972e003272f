"""Completeness is a pure decision: every case of the two quiet periods, and the evidence that is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from node.domain.study import CloseReason, OpenSeries
from node.route.completeness import decide, next_decision_at

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
QUIET, OPEN_QUIET = 5.0, 60.0

SERIES = OpenSeries(
    series_id=1,
    study_instance_uid="1.2.3",
    series_instance_uid="1.2.3.4",
    revision=0,
    instances=40,
    last_instance_at=T0,
    open_associations=0,
    last_association_ended_at=T0 + timedelta(seconds=1),
    calling_ae="CT1",
    modality="CT",
)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_waits_for_the_quiet_period_after_the_release() -> None:
    assert decide(SERIES, after(5.9), QUIET, OPEN_QUIET) is None
    closure = decide(SERIES, after(6.0), QUIET, OPEN_QUIET)
    assert closure is not None
    assert closure.reason is CloseReason.ASSOCIATION_RELEASED


def test_counts_from_the_last_instance_when_that_is_later() -> None:
    late = replace(SERIES, last_instance_at=after(10))
    assert decide(late, after(14), QUIET, OPEN_QUIET) is None
    assert decide(late, after(15), QUIET, OPEN_QUIET) is not None


def test_an_instance_without_an_association_counts_from_itself() -> None:
    alone = replace(SERIES, last_association_ended_at=None)
    assert decide(alone, after(4.9), QUIET, OPEN_QUIET) is None
    assert decide(alone, after(5), QUIET, OPEN_QUIET) is not None


def test_an_open_association_needs_the_longer_quiet_period() -> None:
    still_open = replace(SERIES, open_associations=1, last_association_ended_at=None)
    assert decide(still_open, after(59.9), QUIET, OPEN_QUIET) is None
    closure = decide(still_open, after(60), QUIET, OPEN_QUIET)
    assert closure is not None
    assert closure.reason is CloseReason.QUIET


def test_an_open_association_never_shortens_the_wait() -> None:
    still_open = replace(SERIES, open_associations=1)
    assert decide(still_open, after(20), quiet_period_s=30, open_association_quiet_s=10) is None
    assert decide(still_open, after(30), quiet_period_s=30, open_association_quiet_s=10) is not None


def test_a_series_without_instances_is_never_complete() -> None:
    assert decide(replace(SERIES, instances=0), after(10_000), QUIET, OPEN_QUIET) is None


def test_the_evidence_holds_every_number_used() -> None:
    closure = decide(SERIES, after(7.5), QUIET, OPEN_QUIET)
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


@given(
    open_associations=st.integers(0, 3),
    ended_s=st.none() | st.floats(-100, 100),
    quiet_s=st.floats(0.1, 100),
    open_quiet_s=st.floats(0.1, 100),
    now_s=st.floats(-100, 400),
)
def test_decide_says_yes_exactly_from_the_announced_time_on(
    open_associations: int, ended_s: float | None, quiet_s: float, open_quiet_s: float, now_s: float
) -> None:
    series = replace(
        SERIES,
        open_associations=open_associations,
        last_association_ended_at=None if ended_s is None else after(ended_s),
    )
    due = next_decision_at(series, quiet_s, open_quiet_s)
    assert due >= series.last_instance_at + timedelta(seconds=quiet_s)
    assert (decide(series, after(now_s), quiet_s, open_quiet_s) is not None) == (after(now_s) >= due)
