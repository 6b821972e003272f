"""What a series of pictures is, by what each of them is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from node.domain.result import CodedConcept, Finding, HeatMap, InferenceResult, Outcome, Reason
from node.domain.study import SopRef
from node.infer.joining import Part, joined

BRIGHT = CodedConcept("BRIGHT", "99AINODE", "Bright")
WORDS = {"P": Outcome.POSITIVE, "N": Outcome.NEGATIVE, "-": Outcome.NOT_EVALUABLE}


def part(kind: str, number: int = 1, reason: str = "too dark") -> Part:
    outcome, image = WORDS[kind], SopRef("1.2", f"1.2.{number}")
    if outcome is Outcome.NOT_EVALUABLE:
        return Part(f"image {number}", InferenceResult(outcome, reason=Reason("UnsupportedImage", reason)))
    finding = Finding(BRIGHT, probability=number / 10, image=image, present=outcome is Outcome.POSITIVE)
    heat_maps = (HeatMap(image, np.ones((2, 2), np.float32)),) if finding.present else ()
    return Part(f"image {number}", InferenceResult(outcome, (finding,), heat_maps=heat_maps))


def of(kinds: str) -> InferenceResult:
    return joined([part(kind, number) for number, kind in enumerate(kinds, 1)])


@pytest.mark.parametrize("kinds", ["".join(each) for n in (1, 2, 3, 4) for each in itertools.product("PN-", repeat=n)])
def test_the_outcome_of_every_mixture(kinds: str) -> None:
    result = of(kinds)
    expected = Outcome.POSITIVE if "P" in kinds else Outcome.NOT_EVALUABLE if "-" in kinds else Outcome.NEGATIVE
    assert result.outcome is expected
    assert (result.reason is not None) == ("-" in kinds)
    assert len(result.findings) == (0 if expected is Outcome.NOT_EVALUABLE else len(kinds) - kinds.count("-"))
    assert len(result.heat_maps) == kinds.count("P")


def test_findings_come_first_each_with_its_image() -> None:
    result = of("NPN")
    assert [finding.probability for finding in result.findings] == [0.2, 0.1, 0.3]
    assert [finding.present for finding in result.findings] == [True, False, False]
    assert next(finding.image for finding in result.findings if finding.image) == SopRef("1.2", "1.2.2")


def test_a_negative_beside_an_image_that_was_not_evaluated_names_it() -> None:
    reason = of("N-N").reason
    assert reason is not None
    assert reason.code == "ImagesNotEvaluable"
    assert reason.text.startswith("1 of 3 images was not evaluated (image 2: too dark)")


def test_findings_do_not_hide_what_was_not_evaluated() -> None:
    reason = of("P--").reason
    assert reason == Reason(
        "ImagesNotEvaluable", "2 of 3 images were not evaluated (image 2: too dark; image 3: too dark)"
    )


def test_one_common_reason_is_said_once() -> None:
    assert of("---").reason == Reason("UnsupportedImage", "too dark")
    mixed = joined([part("-", 1), part("-", 2, "too small")]).reason
    assert mixed is not None
    assert mixed.text == "2 of 2 images were not evaluated (image 1: too dark; image 2: too small)"


def test_a_long_series_names_the_first_few() -> None:
    reason = of("P" + "-" * 9).reason
    assert reason is not None
    assert reason.text.endswith("image 6: too dark; and 4 more)")


def test_key_images_are_those_of_all_parts() -> None:
    first, second = SopRef("1.2", "1.2.1"), SopRef("1.2", "1.2.2")
    parts = [
        Part("image 1 of 2", InferenceResult(Outcome.NEGATIVE, key_images=(first,))),
        Part("image 2 of 2", InferenceResult(Outcome.POSITIVE, (Finding(BRIGHT),), key_images=(second, first))),
    ]
    assert joined(parts).key_images == (first, second)
    assert joined(parts[:1]).key_images == (first,)
