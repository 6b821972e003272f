"""Findings with everything that a model can say of them: places of every kind, qualities, names, images."""

from __future__ import annotations

from dataclasses import replace

from node.domain.result import (
    CodedConcept,
    Finding,
    GraphicType,
    InferenceResult,
    Location,
    Measurement,
    Outcome,
    Quality,
)
from node.domain.study import Grid
from tests.unit.results.runs import HIPPOCAMPUS, VOLUME, positive

NODULE = CodedConcept("27925004", "SCT", "Nodule")
LENGTH = CodedConcept("410668003", "SCT", "Length")
AREA = CodedConcept("42798000", "SCT", "Area")
MILLIMETRE = CodedConcept("mm", "UCUM", "mm")
MM2 = CodedConcept("mm2", "UCUM", "mm2")
MARGIN = Quality(CodedConcept("111037", "DCM", "Margins"), CodedConcept("129742005", "SCT", "Spiculated lesion"))
SHAPE = Quality(CodedConcept("SHAPE", "99AINODE", "Shape"), CodedConcept("ROUND", "99AINODE", "Round"))


def place(kind: GraphicType, *points: tuple[float, ...]) -> Location:
    return Location(kind, points)


def outlines(axes: int) -> dict[str, Finding]:
    """One finding for each graphic type, on a volume (3 axes, slice 1) or a picture (2), within 4 x 5 pixels."""
    at = (1.0,) if axes == 3 else ()
    return {
        "point": Finding(NODULE, location=place(GraphicType.POINT, (*at, 2.25, 3.0)), tracking_id="nodule 1"),
        "points": Finding(NODULE, location=place(GraphicType.MULTIPOINT, (*at, 0.0, 0.0), (*at, 3.0, 4.0))),
        "line": Finding(
            NODULE,
            (Measurement(LENGTH, 12.5, MILLIMETRE),),
            location=place(GraphicType.POLYLINE, (*at, 0.0, 1.0), (*at, 2.0, 1.5), (*at, 3.4, 4.0)),
        ),
        "polygon": Finding(
            NODULE,
            (Measurement(AREA, 80.0, MM2),),
            probability=0.7,
            site=HIPPOCAMPUS,
            location=place(GraphicType.POLYGON, (*at, 0.0, 0.0), (*at, 0.0, 4.0), (*at, 3.0, 4.0), (*at, 3.0, 0.5)),
            qualities=(MARGIN, SHAPE),
            tracking_id="nodule 2",
        ),
    }


def between_slices(finding: Finding) -> Finding:
    """The finding a quarter of a slice further on: on no image, but in the patient."""
    location = finding.location
    if location is None:
        return finding
    moved = tuple((k + 0.25, r, c) for k, r, c in location.points)
    return replace(finding, location=Location(location.graphic_type, moved))


def result_of(*findings: Finding) -> InferenceResult:
    return InferenceResult(Outcome.POSITIVE, findings)


def mixture(grid: Grid) -> InferenceResult:
    """Groups of all three templates: two segments (one with a place and qualities), a region, points and no place."""
    base = positive(grid)
    (first, second), image = base.findings, grid.sources[1]
    found = outlines(3)
    findings = (
        Finding(NODULE, (Measurement(VOLUME, 2.0, first.measurements[0].unit),), probability=0.5, qualities=(SHAPE,)),
        *found.values(),
        Finding(
            first.concept, first.measurements, first.probability, 1, HIPPOCAMPUS,
            image=image, location=found["line"].location, qualities=(MARGIN,), tracking_id="the one in front",
        ),
        second,
    )  # fmt: skip
    return InferenceResult(Outcome.POSITIVE, findings, base.segmentation, key_images=(image,))
