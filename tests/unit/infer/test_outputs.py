"""What a model may say, and what is refused with the field that is wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.domain.result import CodedConcept, Finding, InferenceResult, Measurement, Outcome, Reason, Segmentation
from node.domain.study import Grid
from node.errors import InvalidModelOutput
from node.infer.outputs import checked
from node.infer.registry import check_package

MODEL = check_package(Path(__file__).parents[2] / "fakes" / "models" / "threshold")
GRID = Grid((2, 3, 4), np.eye(4), "", ())
TISSUE = CodedConcept("85756007", "SCT", "Tissue")
MILLILITRE = CodedConcept("mL", "UCUM", "mL")
LABELS = np.zeros(GRID.shape, np.uint8)
FINDING = Finding(TISSUE, (Measurement(TISSUE, 1.5, MILLILITRE),), probability=0.5, segment=1)


def positive(label_map: Any = LABELS, **changes: Any) -> InferenceResult:
    finding = replace(FINDING, **changes)
    return InferenceResult(Outcome.POSITIVE, (finding,), Segmentation(MODEL.segments, label_map))


def measured(**changes: Any) -> InferenceResult:
    return positive(measurements=(replace(FINDING.measurements[0], **changes),))


def test_numbers_become_plain() -> None:
    result = checked(measured(value=np.float32(2.5)), MODEL, GRID)
    assert type(result.findings[0].measurements[0].value) is float
    assert result.findings[0].measurements[0].value == 2.5


@pytest.mark.parametrize(
    ("result", "field"),
    [
        ({"outcome": "POSITIVE"}, "result"),
        (InferenceResult(Outcome.PENDING), "outcome"),
        (InferenceResult(Outcome.NOT_EVALUABLE), "reason"),
        (InferenceResult(Outcome.NEGATIVE, reason=Reason("X", "why")), "reason"),
        (InferenceResult(Outcome.NOT_EVALUABLE, (FINDING,), reason=Reason("X", "why")), "findings"),
        (positive(LABELS[:1]), "segmentation.label_map"),
        (positive(LABELS.astype(np.int64)), "segmentation.label_map"),
        (positive(LABELS.tolist()), "segmentation.label_map"),
        (positive(LABELS + 2), "segmentation.label_map"),
        (
            replace(positive(), segmentation=Segmentation((replace(MODEL.segments[0], number=2),), LABELS)),
            "segmentation.segments",
        ),
        (positive(segment=2), "findings[0].segment"),
        (positive(probability=1.01), "findings[0].probability"),
        (positive(probability=math.nan), "findings[0].probability"),
        (positive(concept=CodedConcept("", "SCT", "Tissue")), "findings[0].concept"),
        (positive(site=CodedConcept("1", "", "Tissue")), "findings[0].site"),
        (measured(value=math.inf), "findings[0].measurements[0].value"),
        (measured(value=None), "findings[0].measurements[0].value"),
        (measured(unit=TISSUE), "findings[0].measurements[0].unit"),
    ],
)
def test_what_no_result_can_be_made_of(result: object, field: str) -> None:
    with pytest.raises(InvalidModelOutput) as caught:
        checked(result, MODEL, GRID)
    assert caught.value.details["field"] == field
