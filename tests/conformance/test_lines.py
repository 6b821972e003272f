"""Every line that results are held to has a test, and the page tells which."""

from __future__ import annotations

import pytest

from tests.conformance import lines
from tests.conformance.pages import generated

# Sections of the checklist and how many lines each has.
LINES = [
    *(f"A{number}" for number in range(1, 15)),
    *(f"B{number}" for number in range(1, 9)),
    *(f"B-H{number}" for number in range(1, 8)),
    *(f"E{number}" for number in range(1, 6)),
]


def test_no_line_is_left_out() -> None:
    assert [one.id for one in lines.lines()] == LINES
    assert all(one.tests and one.says for one in lines.lines())


@pytest.mark.parametrize("line", lines.lines(), ids=lambda one: one.id)
def test_its_tests_exist(line: lines.Line) -> None:
    for name in line.tests:
        path, function = name.split("::")
        assert function.startswith("test_")
        assert function in lines.functions_of(path), name


def test_numbered_tests_are_listed() -> None:
    """A test that is called after a line stands with it."""
    listed = {name for one in lines.lines() for name in one.tests}
    for path in ("conformance/test_air.py", "conformance/test_valid_objects.py"):
        assert {f"{path}::{one}" for one in lines.functions_of(path) if one.startswith("test_")} <= listed


def test_the_page_tells_them() -> None:
    assert generated(lines.TABLE) == lines.table()
