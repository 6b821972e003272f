"""What images have to satisfy to be one regular stack, rule by rule. What decides is ``node.infer.geometry``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node.domain.quality import Check
from node.errors import (
    DuplicateSlices,
    GantryTilt,
    GeometryError,
    MissingSlices,
    MixedImages,
    MixedOrientation,
    SeveralAcquisitions,
    UnevenSpacing,
)

# Direction cosines of one series differ by their rounding only; 0.005 is a third of a degree.
ORIENTATION_TOLERANCE = 5e-3
# Images nearer than this lie at the same place: no scanner makes slices of a hundredth of a millimetre.
SAME_PLACE_MM = 0.01
# A slice may lie off the even grid by a twentieth of the spacing, far below what a voxel resolves ...
SPACING_TOLERANCE = 0.05
# ... or by 0.02 mm, which is what rounding two positions to hundredths can add up to.
SPACING_TOLERANCE_MM = 0.02
# The smallest tilt an operator sets is a degree; below half of it the affine keeps the shear as it is.
TILT_TOLERANCE_DEG = 0.5
# In-plane, a slice may lie beside the straight line through the stack by half a pixel.
SIDEWAYS_TOLERANCE_PIXELS = 0.5
# Pixel spacings of one series differ by rounding only.
PIXEL_SPACING_TOLERANCE = 1e-3
MINIMUM_SLICES = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """One look at the geometry; ``detail`` of its error is the number that was found."""

    name: str
    wanted: str
    limit: float | None = None
    detail: str = ""


RULES: Mapping[type[GeometryError], Rule] = {
    MixedOrientation: Rule("one orientation", f"direction cosines within {ORIENTATION_TOLERANCE:g}"),
    MixedImages: Rule(
        "one kind of image", "the same size, pixel spacing, photometric interpretation and frame of reference"
    ),
    SeveralAcquisitions: Rule("acquisitions", "1", 1, "values"),
    DuplicateSlices: Rule("duplicated slices", "0", 0, "repeated"),
    MissingSlices: Rule("missing slices", "0", 0, "missing"),
    UnevenSpacing: Rule(
        "slice spacing", f"within {100 * SPACING_TOLERANCE:g} % or {SPACING_TOLERANCE_MM:g} mm of the usual one"
    ),
    GantryTilt: Rule("gantry tilt", f"at most {TILT_TOLERANCE_DEG:g} degrees", TILT_TOLERANCE_DEG, "angle_deg"),
    GeometryError: Rule(
        "stack of slices",
        f"at least {MINIMUM_SLICES} slices in a line, each with position, orientation and pixel spacing",
        MINIMUM_SLICES,
        "slices",
    ),
}


def passed(kind: type[GeometryError], found: str, value: float | None = None) -> Check:
    """The check whose failure would be an error of ``kind``."""
    rule = RULES[kind]
    return Check(rule.name, found, rule.wanted, True, kind.code, None if value is None else round(value, 4), rule.limit)


def failed(error: GeometryError) -> Check:
    """The check that ``error`` is the answer to."""
    rule = RULES[type(error)]
    value = error.details.get(rule.detail)
    number = float(value) if isinstance(value, int | float) else None
    return Check(rule.name, error.message, rule.wanted, False, error.code, number, rule.limit)
