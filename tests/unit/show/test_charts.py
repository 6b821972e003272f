"""The curves of the system page, and the numbers behind them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from node.show.system_page.charts import chart, path
from node.show.throughput import STEPS, Run, curves

NOW = datetime(2030, 1, 3, tzinfo=UTC)


def test_a_line_is_broken_where_there_is_no_number() -> None:
    assert path([0.0, 1.0, None, 2.0], 2.0) == "M0.0 80.0L96.0 42.0M288.0 4.0h-2"
    assert path([None, None], 1.0) == ""


def test_both_days_have_one_scale() -> None:
    made = chart("x", [1.0, None], [4.0, 2.0])
    assert (made.now, made.most) == ("1", "4")
    assert made.today.startswith("M0.0 61.0")
    assert chart("x", [None], [None]).now is None
    assert chart("x", [0.0], [0.0]).today == "M0.0 80.0h-2"


def test_what_happened_falls_into_its_quarter_of_an_hour() -> None:
    minute = timedelta(minutes=1)
    runs = [
        Run(NOW - 20 * minute, NOW - 10 * minute, NOW - 5 * minute, "COMPLETED", NOW - 21 * minute),
        Run(NOW - 20 * minute, NOW - 19 * minute, NOW - 2 * minute, "FAILED", None),
        Run(NOW - 2 * minute, None, None, "SCHEDULED", None),
    ]
    received = [NOW - minute, NOW - 2 * minute, NOW - timedelta(days=1, minutes=1), NOW - timedelta(days=3)]
    found = curves(NOW, received, runs)["charts"]
    assert found["received"]["today"][-1] == 2 / 15
    assert found["received"]["yesterday"][-1] == 1 / 15
    assert found["waiting"]["today"][-2:] == [1.0, 1.0]
    assert found["seconds_to_result"]["today"][-2:] == [None, 16 * 60]
    assert found["failures"]["today"][-1] == 1.0
    assert {len(curve) for one in found.values() for curve in one.values()} == {STEPS}
