"""What the images of a series that have come tell of those that have not. Nothing here raises on header content."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from node.domain.study import Instance, Series
from node.route.facts import (
    SAME_POSITION_MM,
    Vector,
    dot,
    frames_of,
    normal_of,
    number_of,
    orientations_of,
    scalars,
    tuples_of,
)

# Positions are even when no gap differs from the median one by more than this share of it, or by this rounding.
EVEN = 0.05
ROUNDING_MM = 0.05
# Direction cosines of one stack differ by their rounding only.
SAME_DIRECTION = 1e-3
# So many missing numbers are named.
NAMED = 10
# Classes whose object is a whole acquisition (PS3.3 A.36, A.38, A.56, A.70 to A.72): enhanced and legacy converted
# CT, MR and PET. Other multi-frame objects are single runs or loops, of which a series holds many.
WHOLE_OBJECT_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2.1",
        "1.2.840.10008.5.1.4.1.1.2.2",
        "1.2.840.10008.5.1.4.1.1.4.1",
        "1.2.840.10008.5.1.4.1.1.4.3",
        "1.2.840.10008.5.1.4.1.1.4.4",
        "1.2.840.10008.5.1.4.1.1.128.1",
        "1.2.840.10008.5.1.4.1.1.130",
    }
)


@dataclass(frozen=True, slots=True)
class Images:
    """Facts of the images of a series.

    Attributes:
        numbered: every image has an Instance Number (0020,0013) of its own, from 1 on.
        highest_number: the highest of them; 0 unless ``numbered``.
        missing: the first numbers between the lowest and the highest that no image has.
        positions: distinct positions along the normal; 0 unless all images lie in parallel, each at a known position.
        each: how many images lie at every position; 0 where they are not equally many.
        spacing_mm: the distance of neighbouring positions where it is even, else None.
        stated: how many images the series has by its own headers, with the keyword that says so; None: they do not say.
        frames: of the one enhanced object that the series consists of, else 0.
    """

    instances: int
    numbered: bool = False
    highest_number: int = 0
    missing: tuple[int, ...] = ()
    positions: int = 0
    each: int = 0
    spacing_mm: float | None = None
    stated: int | None = None
    stated_by: str = ""
    frames: int = 0


def look_at(series: Series) -> Images:
    """What the headers of the images (variant 0) say."""
    images = [stored.instance for stored in series.instances]
    numbers = _numbers(images)
    highest = max(numbers, default=0)
    positions, each, spacing_mm = _grid(images)
    stated, stated_by = _stated(images)
    return Images(
        instances=len(images),
        numbered=bool(numbers),
        highest_number=highest,
        missing=tuple(
            itertools.islice((n for n in range(min(numbers, default=0), highest) if n not in numbers), NAMED)
        ),
        positions=positions,
        each=each,
        spacing_mm=spacing_mm,
        stated=stated,
        stated_by=stated_by,
        frames=_frames_of_whole(images),
    )


def _numbers(images: Sequence[Instance]) -> frozenset[int]:
    """The Instance Numbers; none where one is absent, no positive whole number, or used twice."""
    numbers = frozenset(_count(image, "InstanceNumber") or 0 for image in images)
    return numbers if len(numbers) == len(images) and 0 not in numbers else frozenset()


def _count(image: Instance, keyword: str) -> int | None:
    """A positive whole number."""
    number = number_of(image.attributes.get(keyword))
    return int(number) if number is not None and number >= 1 and number == int(number) else None


def _stated(images: Sequence[Instance]) -> tuple[int | None, str]:
    """The number of images that all headers agree upon, and by which attribute.

    Number of Series Related Instances (0020,1209) is a key of queries; who writes it into images means it. Images in
    Acquisition (0020,1002) counts one acquisition (PS3.3 C.7.6.1): it speaks of the series only where that has one,
    of more than one image, each a single frame.
    """
    of_series = {_count(image, "NumberOfSeriesRelatedInstances") for image in images}
    if len(of_series) == 1 and None not in of_series:
        return of_series.pop(), "NumberOfSeriesRelatedInstances"
    stated = {_count(image, "ImagesInAcquisition") for image in images}
    acquisitions = {tuple(scalars(image.attributes.get("AcquisitionNumber"))) for image in images}
    if len(stated) != 1 or len(acquisitions) != 1 or any(frames_of(image) > 1 for image in images):
        return None, ""
    count = stated.pop()
    return (count, "ImagesInAcquisition") if count is not None and count > 1 else (None, "")


def _grid(images: Sequence[Instance]) -> tuple[int, int, float | None]:
    """(positions, images at each, spacing in mm) along the common normal."""
    planes = [list(orientations_of(image)) for image in images]
    places = [list(tuples_of(image.attributes.get("ImagePositionPatient"), 3)) for image in images]
    if not images or any(len(plane) != 1 or len(place) != 1 for plane, place in zip(planes, places, strict=True)):
        return 0, 0, None
    if any(not _parallel(plane[0], planes[0][0]) for plane in planes):
        return 0, 0, None
    normal = normal_of(planes[0][0])
    groups = _grouped(sorted(dot(normal, (x, y, z)) for ((x, y, z),) in places))
    sizes = {len(group) for group in groups}
    gaps = [after[0] - before[0] for before, after in itertools.pairwise(groups)]
    return len(groups), sizes.pop() if len(sizes) == 1 else 0, _even(gaps)


def _parallel(one: tuple[Vector, Vector], other: tuple[Vector, Vector]) -> bool:
    return all(abs(a - b) <= SAME_DIRECTION for v, w in zip(one, other, strict=True) for a, b in zip(v, w, strict=True))


def _grouped(ascending: Sequence[float]) -> list[list[float]]:
    groups: list[list[float]] = []
    for position in ascending:
        if groups and position - groups[-1][0] <= SAME_POSITION_MM:
            groups[-1].append(position)
        else:
            groups.append([position])
    return groups


def _even(gaps: Sequence[float]) -> float | None:
    if not gaps:
        return None
    middle = statistics.median(gaps)
    return middle if all(abs(gap - middle) <= max(EVEN * middle, ROUNDING_MM) for gap in gaps) else None


def _frames_of_whole(images: Sequence[Instance]) -> int:
    if len(images) != 1 or images[0].sop_class_uid not in WHOLE_OBJECT_CLASSES:
        return 0
    frames = frames_of(images[0])
    return frames if frames > 1 else 0
