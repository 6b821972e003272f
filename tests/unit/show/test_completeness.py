"""Closures in words: each kind of evidence with its numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from node.domain.completeness import Habit
from node.domain.study import CloseReason, Closure
from node.route.completeness import CompletenessRule, by_word, decide
from node.route.images import Images
from node.route.proofs import Evidence
from node.show.completeness import words
from tests.unit.route.evidence import GRID, RULE, SERIES, STATED, T0, after, said


def told(closure: Closure | None) -> list[str]:
    assert closure is not None
    return words(closure.reason.value, closure.evidence)


ARRIVALS = [
    "40 instances had come, the last at 2026-03-01 12:00:00.000Z.",
    "The last association that ended did so at 2026-03-01 12:00:01.000Z.",
]


@pytest.mark.parametrize(
    ("evidence", "sentence"),
    [
        (
            Evidence(SERIES, answers=(said(of_series=40),)),
            "Source archive, asked by C-FIND at 2026-03-01 12:00:01.000Z, counts 40 instances of the series; "
            "all of them are here.",
        ),
        (
            Evidence(SERIES, answers=(said(of_study=90),), of_study=90),
            "Source archive, asked by C-FIND at 2026-03-01 12:00:01.000Z, counts 90 instances of the study; "
            "all of them are here.",
        ),
        (
            Evidence(SERIES, images=STATED),
            "Every image states 40 images (ImagesInAcquisition); so many are here.",
        ),
        (
            Evidence(SERIES, images=GRID),
            "Instance Numbers 1 to 40 are all here, on 40 positions 1.25 mm apart; "
            "one association brought them and was released.",
        ),
    ],
)
def test_each_proof_has_its_sentence(evidence: Evidence, sentence: str) -> None:
    assert told(decide(evidence, after(1.5), RULE)) == [sentence, *ARRIVALS]


def test_one_enhanced_object() -> None:
    one = Evidence(
        series=type(SERIES)(**{key: getattr(SERIES, key) for key in SERIES.__slots__} | {"instances": 1}),
        images=Images(instances=1, frames=30),
    )
    assert told(decide(one, after(1.5), RULE))[0] == "One enhanced object with 30 frames; its association was released."


def test_silence_says_how_long_and_what_was_lacking() -> None:
    lacking = Evidence(SERIES, images=Images(40, missing=(3, 4)), answers=(said(error="DestinationUnreachable"),))
    assert told(decide(lacking, after(7.5), RULE)) == [
        "Nothing came for 6.5 s; 5 s are needed (configured).",
        *ARRIVALS,
        "Not shown to be complete: no image has number 3, 4.",
        "Not shown to be complete: source archive did not answer: DestinationUnreachable.",
    ]
    learned = Evidence(SERIES, Habit((1.0,) * 25))
    assert told(decide(learned, after(4), RULE))[0] == (
        "Nothing came for 3 s; 2 s are needed (learned from 25 series of this sender)."
    )


def test_an_association_that_is_still_open_is_told() -> None:
    still_open = type(SERIES)(
        **{key: getattr(SERIES, key) for key in SERIES.__slots__}
        | {"open_associations": 1, "last_association_ended_at": None, "last_release_at": None}
    )
    closure = decide(Evidence(still_open), T0 + timedelta(seconds=61), CompletenessRule(5.0, 60.0))
    assert told(closure) == [
        "Nothing came for 61 s; 60 s are needed (configured).",
        ARRIVALS[0],
        "1 associations that brought images were still open.",
    ]


def test_an_operators_word() -> None:
    assert told(by_word(SERIES, after(2), "somebody@console"))[0] == "somebody@console said that it is complete."


@pytest.mark.parametrize("reason", [*CloseReason, None, "of a later version"])
def test_evidence_that_holds_less_is_no_error(reason: str | None) -> None:
    for evidence in (None, {}, {"instances": 3}, {"quiet_s": 5.0}, {"numbers": "1 to 3"}):
        assert isinstance(words(reason, evidence), list)
