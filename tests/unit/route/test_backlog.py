"""Nobody is seen to be silent while what they sent waits for its rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from node.route.backlog import LONGEST, Backlog

T0 = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Desk:
    """A journal, the rows of it, and a clock, as far as a backlog asks them."""

    id = "journal-1"

    def __init__(self) -> None:
        self.time = T0
        self.counts: dict[int, int] = {}
        self.rows: dict[int, int] = {}
        self.backlog = Backlog(self, self, self)  # type: ignore[arg-type]

    def now(self) -> datetime:
        return self.time

    def segments(self) -> Mapping[int, int]:
        return dict(self.counts)

    def recorded(self, journal_id: str) -> Mapping[int, int]:
        assert journal_id == self.id
        return dict(self.rows)

    def after(self, seconds: float) -> datetime:
        self.time += seconds * SECOND
        return self.backlog.recorded_until()


def test_with_all_rows_there_it_is_now() -> None:
    desk = Desk()
    assert desk.after(1) == T0 + SECOND
    desk.counts = {1: 3}
    desk.rows = {1: 3}
    assert desk.after(1) == T0 + 2 * SECOND


def test_while_rows_are_missing_time_stands_still() -> None:
    desk = Desk()
    desk.after(1)
    desk.counts, desk.rows = {1: 3, 2: 1}, {1: 3}
    assert desk.after(1) == T0 + SECOND
    assert desk.after(5) == T0 + SECOND
    desk.rows = {1: 3, 2: 1}
    assert desk.after(1) == T0 + 2 * SECOND, "when it was first seen to be behind"
    assert desk.after(1) == T0 + 9 * SECOND


def test_what_comes_all_the_time_does_not_hold_it_up() -> None:
    """Rows that are always one behind: each look at the journal is passed by the rows a little later."""
    desk = Desk()
    for number in range(1, 20):
        desk.counts, desk.rows = {1: number}, {1: number - 1}
        found = desk.after(1)
    assert found >= T0 + 17 * SECOND


def test_before_anything_was_seen_nothing_is_known() -> None:
    desk = Desk()
    desk.counts = {1: 1}
    assert desk.after(3) == T0


def test_a_recycled_segment_is_not_waited_for() -> None:
    desk = Desk()
    desk.counts = {1: 5}
    desk.after(1)
    desk.counts = {}
    assert desk.after(1) == T0 + SECOND


def test_what_nobody_can_record_holds_it_up_for_a_while_only() -> None:
    desk = Desk()
    desk.counts = {1: 1}
    desk.after(1)
    assert desk.after(LONGEST.total_seconds()) == T0
    assert desk.after(1) == T0 + SECOND
