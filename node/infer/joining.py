"""What was said of each picture of a series, as one result. Pure.

POSITIVE where any image has findings. NEGATIVE only where every image was looked at and none has any: an image that
could not be evaluated makes the series NOT EVALUABLE, or, beside findings, is named in the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.domain.result import Finding, InferenceResult, Outcome, Reason
from node.domain.study import SopRef

PARTLY = "ImagesNotEvaluable"
# A sentence names this many images; the provenance has all.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Part:
    """The result of one picture; ``words`` are how a physician finds it: ``image 2 of 3``."""

    words: str
    result: InferenceResult


def joined(parts: Sequence[Part]) -> InferenceResult:
    """One result of at least one part; findings of images with findings come first, else in the order of the images.

    Key images are those of all parts; of a NOT EVALUABLE result there are none.
    """
    unfit = [part for part in parts if part.result.outcome is Outcome.NOT_EVALUABLE]
    positive = [part.result for part in parts if part.result.outcome is Outcome.POSITIVE]
    if positive:
        reason = Reason(PARTLY, _unfit_words(unfit, len(parts))) if unfit else None
        heat_maps = tuple(heat_map for result in positive for heat_map in result.heat_maps)
        key_images = _key_images(parts)
        return InferenceResult(
            Outcome.POSITIVE, _findings(parts), reason=reason, heat_maps=heat_maps, key_images=key_images
        )
    if not unfit:
        return InferenceResult(Outcome.NEGATIVE, _findings(parts), key_images=_key_images(parts))
    if len(unfit) == len(parts):
        return InferenceResult(Outcome.NOT_EVALUABLE, reason=_one_reason(unfit))
    words = f"{_unfit_words(unfit, len(parts))}. Nothing was found in the others, but they are not the whole series"
    return InferenceResult(Outcome.NOT_EVALUABLE, reason=Reason(PARTLY, words))


def _findings(parts: Sequence[Part]) -> tuple[Finding, ...]:
    ordered = sorted((part.result for part in parts), key=lambda result: result.outcome is not Outcome.POSITIVE)
    return tuple(finding for result in ordered for finding in result.findings)


def _key_images(parts: Sequence[Part]) -> tuple[SopRef, ...]:
    return tuple(dict.fromkeys(image for part in parts for image in part.result.key_images))


def _one_reason(unfit: Sequence[Part]) -> Reason:
    """Of images of which none could be evaluated: the common reason, or each."""
    reasons = [_reason(part) for part in unfit]
    if len(set(reasons)) == 1:
        return reasons[0]
    return Reason(reasons[0].code, _unfit_words(unfit, len(unfit)))


def _unfit_words(unfit: Sequence[Part], images: int) -> str:
    verb = "was" if len(unfit) == 1 else "were"
    named = "; ".join(f"{part.words}: {_reason(part).text}" for part in unfit[:MOST_NAMED])
    rest = f"; and {len(unfit) - MOST_NAMED} more" if len(unfit) > MOST_NAMED else ""
    return f"{len(unfit)} of {images} images {verb} not evaluated ({named}{rest})"


def _reason(part: Part) -> Reason:
    reason = part.result.reason
    assert reason is not None, "checked by outputs.checked_picture"
    return reason
