"""The texts and times of a result, without any object."""

from __future__ import annotations

from datetime import timedelta

import pytest

from node.domain.result import Outcome
from node.results.context import offset_of, series_description


@pytest.mark.parametrize("outcome", [Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.NOT_EVALUABLE, Outcome.FAILED])
@pytest.mark.parametrize("name", ["x", "ainode hippocampus_mr", "n" * 64, "back\\slash\tand\nlines", "Ärzte " * 9])
@pytest.mark.parametrize("version", ["1.0.0", "2026.3.4+build." + "9" * 40])
def test_the_description_keeps_the_outcome(name: str, version: str, outcome: Outcome) -> None:
    description = series_description(name, version, outcome)
    assert len(description) <= 64
    assert description.startswith("AI ")
    assert description.endswith(f" - {outcome} - unverified")
    assert "\\" not in description
    assert description.isprintable()
    assert "  " not in description


def test_the_description_as_agreed() -> None:
    text = series_description("ainode hippocampus_mr", "1.0.0", Outcome.NOT_EVALUABLE)
    assert text == "AI ainode hippocampus_mr 1.0.0 - NOT EVALUABLE - unverified"


@pytest.mark.parametrize(
    ("text", "minutes"), [("+0100", 60), ("-0330", -210), ("+0000", 0), ("+1400", 840), ("-1200", -720)]
)
def test_offsets(text: str, minutes: int) -> None:
    zone = offset_of(text)
    assert zone is not None
    assert zone.utcoffset(None) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "0100", "+01:00", "+9900", "+0060", "CET", "+01000"])
def test_what_is_no_offset(text: str) -> None:
    assert offset_of(text) is None
