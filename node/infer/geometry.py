"""Whether images make a regular stack of slices, and the affine of that stack. Pure: no I/O, no pixels.

Coordinates are patient LPS in mm (PS3.3 C.7.6.2.1.1). ``n`` is the slice normal, row direction x column direction.
Messages are written for the physician who reads why there is no result.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from node.domain.study import SopRef
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
from node.infer.quality.checks import Checks
from node.infer.quality.stacking import (
    MINIMUM_SLICES,
    ORIENTATION_TOLERANCE,
    PIXEL_SPACING_TOLERANCE,
    SAME_PLACE_MM,
    SIDEWAYS_TOLERANCE_PIXELS,
    SPACING_TOLERANCE,
    SPACING_TOLERANCE_MM,
    TILT_TOLERANCE_DEG,
    failed,
    passed,
)

Vector = npt.NDArray[np.float64]

# What may not vary within one volume, by its words. Values are compared as they are.
ACQUISITION_FACTS: Mapping[str, str] = {
    "EchoTime": "echo times",
    "EchoNumbers": "echo numbers",
    "TemporalPosition": "time points",
    "DiffusionBValue": "diffusion weightings (b-values)",
    "ImageContent": "kinds of image (Image Type)",
    "StackID": "stacks",
    "ReconstructionKernel": "reconstruction kernels",
}


@dataclass(frozen=True, slots=True)
class Plane:
    """One image, or one frame of a multi-frame image, as its header describes it.

    Attributes:
        source: index into the loaded images; frame: index within that image, counted from 0.
        shape: (rows, columns).
        position: centre of the first pixel, LPS mm (0020,0032); None where absent.
        orientation: row and column direction cosines (0020,0037); None where absent.
        spacing: mm between rows, mm between columns (0028,0030); None where absent.
        facts: values of ``ACQUISITION_FACTS`` that are present; ``acquisition`` is Acquisition Number (0020,0012),
            ``taken_at`` a time as it stands in the header, compared only for being the same.
    """

    source: int
    frame: int
    ref: SopRef
    shape: tuple[int, int]
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    frame_of_reference_uid: str = ""
    photometric: str = "MONOCHROME2"
    localizer: bool = False
    acquisition: str = ""
    taken_at: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stack:
    """Planes in the order of their slices k, and the affine that maps (k, r, c, 1) to LPS mm."""

    planes: tuple[Plane, ...]
    affine: npt.NDArray[np.float64]


def stack(planes: Sequence[Plane], checks: Checks | None = None) -> Stack:
    """Sort ``planes`` along their normal, check that they are one regular stack, and compute its affine.

    Args:
        planes: in any order.
        checks: is told what was looked at, and what was found, up to the first that fails.

    Raises:
        GeometryError: or the subclass that names what is wrong.
    """
    told = Checks() if checks is None else checks
    try:
        return _stack(planes, told)
    except GeometryError as error:
        told.add(failed(error))
        raise


def _stack(planes: Sequence[Plane], checks: Checks) -> Stack:
    _require_geometry(planes)
    _require_one_orientation(planes)
    checks.add(passed(MixedOrientation, "1 orientation", 1))
    _require_one_kind(planes)
    checks.add(passed(MixedImages, "1 kind of image", 1))
    if len(planes) < MINIMUM_SLICES:
        raise GeometryError("the series holds a single slice; a volume needs at least two", slices=len(planes))
    row, column = _directions(planes[0])
    normal = np.cross(row, column)
    positions = np.array([plane.position for plane in planes], dtype=np.float64)
    depths = positions @ normal
    order = np.argsort(depths, kind="stable")
    ordered = [planes[index] for index in order]
    depths, positions = depths[order], positions[order]
    _require_one_acquisition(ordered, depths)
    checks.add(passed(SeveralAcquisitions, "1", 1))
    _require_no_duplicates(ordered, depths)
    checks.add(passed(DuplicateSlices, "0", 0))
    _require_even_spacing(depths)
    gaps = np.diff(depths)
    checks.add(passed(MissingSlices, "0", 0))
    checks.add(passed(UnevenSpacing, f"{gaps.min():.3f} to {gaps.max():.3f} mm", float(np.ptp(gaps))))
    step = (positions[-1] - positions[0]) / (len(planes) - 1)
    tilt = _require_upright(step, normal)
    checks.add(passed(GantryTilt, f"{tilt:.2f} degrees", tilt))
    row_spacing, column_spacing = _pair(planes[0].spacing)
    _require_straight(positions, step, min(row_spacing, column_spacing))
    checks.add(passed(GeometryError, f"{len(planes)} slices in a line", len(planes)))
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = column * row_spacing
    affine[:3, 2] = row * column_spacing
    affine[:3, 3] = positions[0]
    return Stack(tuple(ordered), affine)


def _require_geometry(planes: Sequence[Plane]) -> None:
    if not planes:
        raise GeometryError("the series holds no images", slices=0)
    for values, size, words in (
        ([plane.position for plane in planes], 3, "position in the patient (Image Position)"),
        ([plane.orientation for plane in planes], 6, "orientation in the patient (Image Orientation)"),
        ([plane.spacing for plane in planes], 2, "pixel spacing"),
    ):
        absent = sum(value is None for value in values)
        if absent:
            raise GeometryError(f"{absent} of {len(values)} images have no {words}", absent=absent, images=len(values))
        if any(value is not None and (len(value) != size or not np.isfinite(value).all()) for value in values):
            raise GeometryError(f"an image has an invalid {words}")
    if any(min(_pair(plane.spacing)) <= 0 for plane in planes):
        raise GeometryError("an image has a pixel spacing of zero or below")
    for plane in planes:
        row, column = np.reshape(np.asarray(plane.orientation, dtype=np.float64), (2, 3))
        errors = (abs(row @ row - 1), abs(column @ column - 1), abs(row @ column))
        if max(errors) > 2 * ORIENTATION_TOLERANCE:
            raise GeometryError("an image has an orientation that is not two perpendicular directions")


def _require_one_orientation(planes: Sequence[Plane]) -> None:
    localizers = sum(plane.localizer for plane in planes)
    if 0 < localizers < len(planes):
        raise MixedOrientation(
            f"{localizers} localizer images lie among the {len(planes) - localizers} others", localizers=localizers
        )
    orientations = np.array([plane.orientation for plane in planes], dtype=np.float64)
    differing = int((np.abs(orientations - orientations[0]).max(axis=1) > ORIENTATION_TOLERANCE).sum())
    if differing:
        raise MixedOrientation(
            f"{differing} of {len(planes)} images are oriented differently from the first", differing=differing
        )


def _require_one_kind(planes: Sequence[Plane]) -> None:
    sizes = sorted({plane.shape for plane in planes})
    if len(sizes) > 1:
        words = " and ".join(f"{rows} x {columns}" for rows, columns in sizes[:3])
        raise MixedImages(f"the images differ in size: {words} pixels", sizes=len(sizes))
    spacings = np.array([plane.spacing for plane in planes], dtype=np.float64)
    low, high = spacings.min(axis=0), spacings.max(axis=0)
    if (high - low > PIXEL_SPACING_TOLERANCE * high).any():
        raise MixedImages(f"the images differ in pixel spacing: {low.min():g} to {high.max():g} mm")
    if len({plane.photometric for plane in planes}) > 1:
        raise MixedImages("the images differ in photometric interpretation")
    if len({plane.frame_of_reference_uid for plane in planes}) > 1:
        raise MixedImages("the images refer to different frames of reference")


def _require_one_acquisition(planes: Sequence[Plane], depths: Vector) -> None:
    for fact, words in ACQUISITION_FACTS.items():
        values = sorted({plane.facts.get(fact, "") for plane in planes})
        if len(values) > 1:
            raise SeveralAcquisitions(
                f"the series holds {len(values)} different {words}", attribute=fact, values=len(values)
            )
    by_number = _depths_by(planes, depths, lambda plane: plane.acquisition)
    if len(by_number) > 1 and _any_overlap(list(by_number.values())):
        raise SeveralAcquisitions(
            f"the series holds {len(by_number)} acquisitions of the same region",
            attribute="AcquisitionNumber",
            values=len(by_number),
        )


def _require_no_duplicates(planes: Sequence[Plane], depths: Vector) -> None:
    repeats = np.flatnonzero(np.diff(depths) < SAME_PLACE_MM)
    if not len(repeats):
        return
    first = float(depths[repeats[0]])
    if all(planes[index].taken_at != planes[index + 1].taken_at for index in repeats.tolist()):
        raise SeveralAcquisitions(
            f"{len(repeats)} positions were imaged at more than one time, the first at {first:.1f} mm",
            attribute="AcquisitionTime",
            values=len(repeats),
        )
    raise DuplicateSlices(
        f"{len(repeats)} images repeat the position of another, the first at {first:.1f} mm", repeated=len(repeats)
    )


def _depths_by(planes: Sequence[Plane], depths: Vector, key: Callable[[Plane], str]) -> dict[str, list[float]]:
    groups: dict[str, list[float]] = defaultdict(list)
    for plane, depth in zip(planes, depths, strict=True):
        groups[key(plane)].append(float(depth))
    return groups


def _any_overlap(groups: Sequence[Sequence[float]]) -> bool:
    """Whether the ranges of two groups overlap; one number for each slice (step and shoot) never does."""
    ranges = sorted((min(group), max(group)) for group in groups)
    return any(later[0] <= earlier[1] + SAME_PLACE_MM for earlier, later in itertools.pairwise(ranges))


def _require_even_spacing(depths: Vector) -> None:
    gaps = np.diff(depths)
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])
    tolerance = max(SPACING_TOLERANCE * usual, SPACING_TOLERANCE_MM)
    odd = np.flatnonzero(np.abs(gaps - usual) > tolerance)
    multiples = np.rint(gaps[odd] / usual)
    if len(odd) and (multiples >= 2).all() and (np.abs(gaps[odd] - multiples * usual) <= multiples * tolerance).all():
        raise _missing(depths, odd, multiples.astype(int) - 1)
    if len(odd):
        raise UnevenSpacing(
            f"the distance between slices varies from {gaps.min():.2f} to {gaps.max():.2f} mm",
            smallest_mm=float(gaps.min()),
            largest_mm=float(gaps.max()),
        )
    even = np.linspace(depths[0], depths[-1], len(depths))
    drift = float(np.abs(depths - even).max())
    if drift > tolerance:
        raise UnevenSpacing(f"slices lie up to {drift:.2f} mm off an even spacing", drift_mm=drift)


def _missing(depths: Vector, gaps: npt.NDArray[np.intp], counts: npt.NDArray[np.int_]) -> MissingSlices:
    total = int(counts.sum())
    low, high = float(depths[gaps[0]]), float(depths[gaps[0] + 1])
    verb = "slice is" if total == 1 else "slices are"
    place = f"between {low:.1f} and {high:.1f} mm"
    if len(gaps) > 1:
        place = f"at {len(gaps)} places, the first {place}"
    return MissingSlices(f"{total} {verb} missing {place}", missing=total, first_gap_mm=(low, high))


def _require_upright(step: Vector, normal: Vector) -> float:
    """The tilt in degrees."""
    along = float(step @ normal)
    sideways = float(np.linalg.norm(step - along * normal))
    tilt = math.degrees(math.atan2(sideways, abs(along)))
    if tilt > TILT_TOLERANCE_DEG:
        raise GantryTilt(
            f"the slices are stacked at an angle of {tilt:.1f} degrees (gantry tilt)", angle_deg=round(tilt, 2)
        )
    return tilt


def _require_straight(positions: Vector, step: Vector, pixel_mm: float) -> None:
    line = positions[0] + np.arange(len(positions))[:, None] * step
    direction = step / np.linalg.norm(step)
    offsets = positions - line
    sideways = offsets - (offsets @ direction)[:, None] * direction
    furthest = float(np.linalg.norm(sideways, axis=1).max())
    if furthest > SIDEWAYS_TOLERANCE_PIXELS * pixel_mm:
        raise GeometryError(f"slices are displaced sideways against each other by {furthest:.1f} mm")


def _directions(plane: Plane) -> tuple[Vector, Vector]:
    """Row and column direction as unit vectors."""
    row, column = np.reshape(np.asarray(plane.orientation, dtype=np.float64), (2, 3))
    return row / np.linalg.norm(row), column / np.linalg.norm(column)


def _pair(values: tuple[float, ...] | None) -> tuple[float, float]:
    assert values is not None, "checked by _require_geometry"
    return values[0], values[1]
