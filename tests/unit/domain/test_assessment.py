"""How often models were confirmed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from node.domain.assessment import CorrectedValue, Counted, Decision, Share, Word, agreements, checked
from node.domain.document import RejectionTitle
from node.domain.result import Outcome
from node.errors import InvalidAssessment

AT = datetime(2030, 1, 1, tzinfo=UTC)
POSITIVE, NEGATIVE, NOT_EVALUABLE = Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.NOT_EVALUABLE


def counted(
    found: Outcome, decision: Decision, count: int, outcome: Outcome | None = None, title: RejectionTitle | None = None
) -> Counted:
    return Counted("m", "1", "CT1", found, decision, outcome, title, count)


def test_what_confirms_a_result_and_what_does_not() -> None:
    (found,) = agreements(
        [
            counted(POSITIVE, Decision.ACCEPT, 6),
            counted(POSITIVE, Decision.CORRECT, 1),
            counted(POSITIVE, Decision.CORRECT, 1, NEGATIVE),
            counted(POSITIVE, Decision.REJECT, 2, title=RejectionTitle.QUALITY),
            counted(POSITIVE, Decision.REJECT, 5, title=RejectionTitle.PATIENT),
            counted(NEGATIVE, Decision.ACCEPT, 9),
            counted(NEGATIVE, Decision.CORRECT, 1, POSITIVE),
            counted(NOT_EVALUABLE, Decision.ACCEPT, 3),
        ]
    )
    assert (found.positive_predictive.part, found.positive_predictive.whole) == (7, 10)
    assert (found.agreement.part, found.agreement.whole) == (16, 20)
    assert (found.accepted, found.corrected, found.rejected, found.excluded) == (18, 3, 7, 8)


def test_the_interval_is_wilsons() -> None:
    """The textbook's 7 of 10: 0.397 to 0.892 (Newcombe, Statistics in Medicine 17, 857, 1998, method 3)."""
    low, high = Share(7, 10).interval or (0, 0)
    assert (low, high) == (pytest.approx(0.397, abs=5e-4), pytest.approx(0.892, abs=5e-4))
    assert Share(0, 0).interval is None
    assert Share(0, 0).value is None
    assert Share(0, 3).interval is not None


@pytest.mark.parametrize(
    ("decision", "changes", "field"),
    [
        (Decision.REJECT, {}, "reason"),
        (Decision.CORRECT, {}, "outcome"),
        (Decision.ACCEPT, {"outcome": Outcome.NEGATIVE}, "outcome"),
        (Decision.CORRECT, {"outcome": Outcome.POSITIVE}, "outcome"),
        (Decision.CORRECT, {"outcome": Outcome.FAILED}, "outcome"),
        (Decision.CORRECT, {"values": (CorrectedValue(1, 0, 1.0),)}, "values"),
        (Decision.CORRECT, {"values": (CorrectedValue(0, 1, 1.0),)}, "values"),
        (Decision.CORRECT, {"values": (CorrectedValue(0, 0, float("nan")),)}, "values"),
        (Decision.ACCEPT, {"by": " "}, "user"),
        (Decision.ACCEPT, {"by": "a" * 65}, "user"),
        (Decision.ACCEPT, {"reason": "x" * 257}, "reason"),
        (Decision.ACCEPT, {"reason": "left\u202eright"}, "reason"),
        (Decision.ACCEPT, {"reason": "a\\b"}, "reason"),
    ],
)
def test_a_word_that_does_not_fit(decision: Decision, changes: dict[str, object], field: str) -> None:
    word = replace(Word(decision, "reader", AT), **changes)  # type: ignore[arg-type]
    with pytest.raises(InvalidAssessment) as raised:
        checked(word, POSITIVE, [{"measurements": [{}]}])
    assert raised.value.details["field"] == field


def test_texts_are_kept_in_single_spaces() -> None:
    said = checked(Word(Decision.REJECT, "reader", AT, " a  vessel "), POSITIVE, [])
    assert (said.reason, said.title) == ("a vessel", RejectionTitle.QUALITY)
