"""What the headers of a series say, as far as admission asks. Malformed and absent values are facts too: unknown.

Lengths in mm, directions in the patient's LPS system (PS3.3 C.7.6.2.1.1). Nothing here raises on header content.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from node.domain.orientation import plane_of
from node.domain.study import Instance, Series, Value
from node.route.age import age_years

Vector = tuple[float, float, float]
Scalar = str | int | float

# Positions closer than this are the same slice; no real gap is this small, no real scanner rounds this much.
SAME_POSITION_MM = 0.01
# Larger numbers in a header are no lengths of a patient.
ABSURD = 1e9
# (0002,0016): here always the calling AE title of the association that brought the instance.
CALLING_AE_KEYWORD = "SourceApplicationEntityTitle"


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """Facts of one series. Empty tuples and None mean that no instance states the value.

    Attributes:
        descriptions: distinct "SeriesDescription ProtocolName".
        orientations: distinct words of axial, sagittal, coronal, oblique over all images.
        slices: images, counting every frame of a multi-frame instance.
        slice_spacing_mm: median distance of neighbouring positions along the normal.
        pixel_spacings_mm: distinct (between rows, between columns).
        extents_mm: field of view along (slices, rows, columns), each from outer edge to outer edge.
        ages_years: distinct ages of the patient in completed years, None among them where an image states none.
        contrast_agents: distinct values of Contrast/Bolus Agent.
        echo_times_ms: distinct.
        attributes: distinct values of the attributes that routes ask for, by keyword.
    """

    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    orientations: tuple[str, ...] = ()
    slices: int = 0
    slice_spacing_mm: float | None = None
    pixel_spacings_mm: tuple[tuple[float, float], ...] = ()
    extents_mm: tuple[float | None, float | None, float | None] = (None, None, None)
    ages_years: tuple[int | None, ...] = ()
    contrast_agents: tuple[str, ...] = ()
    echo_times_ms: tuple[float, ...] = ()
    attributes: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)


def describe(series: Series, keywords: Collection[str] = ()) -> SeriesFacts:
    """The facts of ``series``; ``keywords`` names the attributes to keep for route conditions."""
    instances = [stored.instance for stored in series.instances]
    orientations = [plane for instance in instances for plane in orientations_of(instance)]
    positions = _positions_along(normal_of(orientations[0]), instances) if orientations else []
    spacing = _slice_spacing(positions, instances)
    return SeriesFacts(
        modalities=_texts(instances, "Modality"),
        sop_classes=_distinct(instance.sop_class_uid for instance in instances),
        body_parts=tuple(text.upper() for text in _texts(instances, "BodyPartExamined")),
        descriptions=_distinct(_description(instance) for instance in instances),
        orientations=_distinct(plane_of(normal_of(plane)) for plane in orientations),
        slices=sum(frames_of(instance) for instance in instances),
        slice_spacing_mm=spacing,
        pixel_spacings_mm=tuple(dict.fromkeys(pair for instance in instances for pair in _pixel_spacings(instance))),
        extents_mm=(_slice_extent(positions, spacing, instances), *_image_extents(instances)),
        ages_years=tuple(dict.fromkeys(age_years(instance) for instance in instances)),
        contrast_agents=_texts(instances, "ContrastBolusAgent"),
        echo_times_ms=_numbers(instances, "EchoTime"),
        attributes={keyword: _attribute(series, keyword) for keyword in keywords},
    )


def number_of(value: object) -> float | None:
    """``value`` as a finite number of plausible size, else None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < ABSURD else None


def scalars(value: Value) -> Iterator[Scalar]:
    """The single values of a (possibly nested) header value, without empty ones, however deep it is nested."""
    waiting: list[Value] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list | tuple):
            waiting.extend(reversed(item))
        elif isinstance(item, str | int | float) and item != "":
            yield item


def _texts(instances: Sequence[Instance], keyword: str) -> tuple[str, ...]:
    return _distinct(str(item).strip() for instance in instances for item in scalars(instance.attributes.get(keyword)))


def _numbers(instances: Sequence[Instance], keyword: str) -> tuple[float, ...]:
    found = (number_of(item) for instance in instances for item in scalars(instance.attributes.get(keyword)))
    return tuple(dict.fromkeys(number for number in found if number is not None))


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _description(instance: Instance) -> str:
    return " ".join(text for keyword in ("SeriesDescription", "ProtocolName") if (text := instance.text(keyword)))


def _attribute(series: Series, keyword: str) -> tuple[Scalar, ...]:
    if keyword == CALLING_AE_KEYWORD:
        return _distinct(stored.calling_ae for stored in series.instances)
    return tuple(
        dict.fromkeys(item for stored in series.instances for item in scalars(stored.instance.attributes.get(keyword)))
    )


def frames_of(instance: Instance) -> int:
    frames = number_of(instance.attributes.get("NumberOfFrames"))
    return int(frames) if frames is not None and frames >= 1 else 1


def tuples_of(value: Value, length: int) -> Iterator[tuple[float, ...]]:
    """The numeric tuples of ``length`` in a value: one, or, for a multi-frame object, one for each frame."""
    numbers = [number_of(item) for item in scalars(value)]
    if not numbers or len(numbers) % length:
        return
    for start in range(0, len(numbers), length):
        part = [number for number in numbers[start : start + length] if number is not None]
        if len(part) == length:
            yield tuple(part)


def orientations_of(instance: Instance) -> Iterator[tuple[Vector, Vector]]:
    """(row direction, column direction) as unit vectors; what is not nearly orthonormal is malformed."""
    for xr, yr, zr, xc, yc, zc in tuples_of(instance.attributes.get("ImageOrientationPatient"), 6):
        row, column = (xr, yr, zr), (xc, yc, zc)
        if abs(_length(row) - 1) < 0.05 and abs(_length(column) - 1) < 0.05 and abs(dot(row, column)) < 0.05:
            yield row, column


def normal_of(plane: tuple[Vector, Vector]) -> Vector:
    (ax, ay, az), (bx, by, bz) = plane
    cross = (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
    length = _length(cross)
    return cross[0] / length, cross[1] / length, cross[2] / length


def _positions_along(normal: Vector, instances: Sequence[Instance]) -> list[float]:
    """Distinct positions of the images along the normal, ascending."""
    projected = sorted(
        dot(normal, (x, y, z))
        for instance in instances
        for x, y, z in tuples_of(instance.attributes.get("ImagePositionPatient"), 3)
    )
    distinct: list[float] = []
    for position in projected:
        if not distinct or position - distinct[-1] > SAME_POSITION_MM:
            distinct.append(position)
    return distinct


def _slice_spacing(positions: Sequence[float], instances: Sequence[Instance]) -> float | None:
    if len(positions) > 1:
        return statistics.median(after - before for before, after in itertools.pairwise(positions))
    return _first_positive(instances, "SpacingBetweenSlices")


def _slice_extent(positions: Sequence[float], spacing: float | None, instances: Sequence[Instance]) -> float | None:
    if len(positions) > 1 and spacing is not None:
        return positions[-1] - positions[0] + spacing
    thickness = spacing or _first_positive(instances, "SliceThickness")
    return None if thickness is None else thickness * max((frames_of(instance) for instance in instances), default=1)


def _first_positive(instances: Sequence[Instance], keyword: str) -> float | None:
    numbers = (number_of(item) for instance in instances for item in scalars(instance.attributes.get(keyword)))
    return next((number for number in numbers if number is not None and number > 0), None)


def _pixel_spacings(instance: Instance) -> Iterator[tuple[float, float]]:
    for rows, columns in tuples_of(instance.attributes.get("PixelSpacing"), 2):
        if rows > 0 and columns > 0:
            yield rows, columns


def _image_extents(instances: Sequence[Instance]) -> tuple[float | None, float | None]:
    """The largest image of the series in mm along (rows, columns)."""
    return _image_extent(instances, "Rows", 0), _image_extent(instances, "Columns", 1)


def _image_extent(instances: Sequence[Instance], keyword: str, axis: int) -> float | None:
    return max(
        (
            count * spacing[axis]
            for instance in instances
            for spacing in _pixel_spacings(instance)
            if (count := number_of(instance.attributes.get(keyword))) is not None and count > 0
        ),
        default=None,
    )


def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _length(a: Vector) -> float:
    return math.sqrt(dot(a, a))
