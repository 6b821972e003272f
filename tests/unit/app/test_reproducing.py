"""Whether a second run's differences are a finding depends on what it was computed on."""

from __future__ import annotations

import pytest

from node.app.reproducing import compared
from node.results.compare import Difference

WITHIN = Difference("1.2.3", "segment 1", "Dice 1", "Dice 0.9995", tolerated=True)
BEYOND = Difference("1.2.3", "segment 1", "Dice 1", "Dice 0.5", tolerated=False)


@pytest.mark.parametrize(
    ("found", "same_computation", "ok"),
    [
        ([], True, [True]),
        ([], False, [True]),
        ([WITHIN], True, [False]),
        ([WITHIN], False, [True]),
        ([BEYOND], False, [False]),
        ([WITHIN, BEYOND], False, [True, False]),
    ],
)
def test_the_same_computation_has_to_be_equal_to_the_bit(
    found: list[Difference], same_computation: bool, ok: list[bool]
) -> None:
    findings = list(compared("second run", found, same_computation, "cpu"))
    assert [one.ok for one in findings] == ok
    assert [one.code for one in findings] == [None if one else "ResultDiffers" for one in ok]
    assert all("cpu" in one.detail for one in findings)
