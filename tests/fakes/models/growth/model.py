"""Says whether there is more that is bright than in the newest earlier study; without one it says nothing."""

from __future__ import annotations

from dataclasses import replace

from node.domain.result import InferenceResult, Outcome, Reason
from node.domain.study import Volume
from tests.fakes.models.steps import postprocess as finish
from tests.fakes.models.steps import preprocess

from .network import network

__all__ = ["network", "postprocess", "preprocess"]

BRIGHT = 100.0


def postprocess(outputs: object, volume: Volume) -> InferenceResult:
    before = [prior.volume for prior in volume.priors if prior.volume is not None]
    if not before:
        reason = Reason("PriorMissing", "There is no earlier study to compare with.")
        return InferenceResult(Outcome.NOT_EVALUABLE, reason=reason)
    found: InferenceResult = finish(outputs, volume)  # type: ignore[arg-type]
    grew = int((volume.array > BRIGHT).sum()) > int((before[0].array > BRIGHT).sum())
    return found if grew else replace(found, outcome=Outcome.NEGATIVE, findings=(), segmentation=None)
