"""What closed series teach about their sender."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.completeness import Habit
from node.domain.study import CloseReason, StoredInstance
from node.route.habits import DISTRUSTED_FOR, ENOUGH, REMEMBERED, after_closing, longest_silence_s, quiet_period_s
from tests.unit.route.evidence import after
from tests.unit.route.headers import axial_stack, series_of


def arrived(*arrivals: tuple[float, str | None]) -> list[StoredInstance]:
    instances = series_of(axial_stack(slices=len(arrivals))).instances
    return [
        replace(one, received_at=after(at), association_id=association)
        for one, (at, association) in zip(instances, arrivals, strict=True)
    ]


@pytest.mark.parametrize(
    ("arrivals", "silence_s"),
    [
        ([], 0.0),
        ([(0, "a")], 0.0),
        ([(0, "a"), (30, "a"), (31, "a")], 0.0),
        ([(0, "a"), (3, "b"), (4, "b"), (6, "c")], 3.0),
        ([(6, "c"), (0, "a"), (3, "b")], 3.0),
        ([(0, None), (4, None)], 4.0),
        ([(0, "a"), (2, "b"), (7200, "c")], 2.0),
    ],
)
def test_only_silences_between_associations_that_somebody_could_wait_for_teach(
    arrivals: list[tuple[float, str | None]], silence_s: float
) -> None:
    assert longest_silence_s(arrived(*arrivals), 60.0) == silence_s


def test_the_longest_of_the_remembered_silences_counts_with_a_margin() -> None:
    habit = Habit()
    for silence_s in (*(0.5,) * (ENOUGH - 1), 3.0):
        habit = after_closing(habit, silence_s, None)
    assert quiet_period_s(habit, 5.0, 1.0, 60.0) == 6.0
    for _ in range(REMEMBERED):
        habit = after_closing(habit, 0.5, None)
    assert len(habit.silences_s) == REMEMBERED
    assert quiet_period_s(habit, 5.0, 0.1, 60.0) == 1.0


def test_a_late_image_teaches_a_longer_period_at_once() -> None:
    habit = Habit((0.0,) * REMEMBERED)
    assert quiet_period_s(habit, 5.0, 1.0, 60.0) == 1.0
    assert quiet_period_s(after_closing(habit, 12.0, None), 5.0, 1.0, 60.0) == 24.0
    assert quiet_period_s(after_closing(Habit(), 12.0, None), 5.0, 1.0, 60.0) == 24.0


@given(st.lists(st.floats(0, 60), max_size=REMEMBERED).map(tuple))
def test_few_series_never_shorten_and_the_bounds_hold(silences_s: tuple[float, ...]) -> None:
    period_s = quiet_period_s(Habit(silences_s), 5.0, 1.0, 60.0)
    assert 1.0 <= period_s <= 60.0
    assert len(silences_s) >= ENOUGH or period_s >= 5.0
    assert period_s >= min(max(silences_s, default=0.0), 60.0), "no silence of the past would be cut"


def test_misleading_evidence_is_distrusted_for_a_while() -> None:
    grid, stated = CloseReason.GAPLESS, CloseReason.STATED_COUNT
    habit = after_closing(Habit(), 0.0, grid)
    assert habit.distrusted == {grid.value: DISTRUSTED_FOR}
    habit = after_closing(habit, 0.0, stated)
    assert habit.distrusted == {grid.value: DISTRUSTED_FOR - 1, stated.value: DISTRUSTED_FOR}
    for _ in range(DISTRUSTED_FOR - 1):
        habit = after_closing(habit, 0.0, None)
    assert habit.distrusted == {stated.value: 1}
    assert after_closing(habit, 0.0, None).distrusted == {}
