"""What is shown of a result on which image: the outlines, their numbers and colours, and what the legend says of each.

Pure. Points are float64 (points, 2), (r, c) on the image's own pixel grid; a whole number is the centre of a pixel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from node.domain.location import slice_of
from node.domain.result import Finding, GraphicType, HeatMap, Location, Segment
from node.domain.study import SopRef
from node.results.context import MOST_PICTURES, ResultContext
from node.results.legend import details_of, plain

Points = npt.NDArray[np.float64]
Rgb = tuple[int, int, int]

# Okabe and Ito's colours (Wong, Nature Methods 8, 441, 2011), which no common colour blindness confuses; without black
# and blue, which are too dark on a radiograph. After the last they come again, as broken lines and with other numbers.
PALETTE: tuple[Rgb, ...] = (
    (230, 159, 0), (86, 180, 233), (240, 228, 66), (0, 158, 115), (204, 121, 167), (213, 94, 0),
)  # fmt: skip
# Specks beyond these are left out of a picture, the shortest outlines first: they would hide what they surround.
MOST_OUTLINES = 100
# Graphic Data is an FL: at most 65534 bytes in Explicit VR (PS3.5 section 7.1.2), two floats for each point.
MOST_POINTS = 8190
# Vertices of an outline on a pixel grid that are left out lie at most this far, in pixels, from the line without them.
TOLERANCE = 0.2


@dataclass(frozen=True, slots=True)
class Shape:
    """One line or set of points. A POLYGON is closed without repeating its first point."""

    graphic_type: GraphicType
    points: Points


@dataclass(frozen=True, slots=True)
class Entry:
    """A segment or a finding as the legend has it. ``shapes`` is empty where this image does not show it.

    ``number`` is None for what is not drawn at all: a finding about an image as a whole, or one that was not found.
    """

    label: str
    details: str
    number: int | None
    shapes: tuple[Shape, ...] = ()
    tracking_id: str = ""
    tracking_uid: str = ""

    @property
    def colour(self) -> Rgb:
        return PALETTE[((self.number or 1) - 1) % len(PALETTE)]

    @property
    def dashed(self) -> bool:
        """Whether the line is broken, because its colour has been used before."""
        return ((self.number or 1) - 1) // len(PALETTE) % 2 == 1


@dataclass(frozen=True, slots=True)
class Plate:
    """An image to be shown; ``place`` says in words which one of its series it is."""

    image: SopRef
    place: str
    entries: tuple[Entry, ...]
    heat_map: HeatMap | None = None


def plates_of(run: ResultContext) -> tuple[Plate, ...]:
    """The images to be shown, in the order of the series, ``MOST_PICTURES`` at most.

    Those that the model names as key images; else, for each segment, the one that shows most of it, and those that
    findings and heat maps are about; else the middle of the volume, or the first picture.
    """
    images = _images(run)
    chosen = set(_chosen(run, images)) or {images[len(images) // 2 if run.run.grid is not None else 0]}
    shown = [index for index, image in enumerate(images) if image in chosen]
    present = _present(run)
    return tuple(_plate(run, images, index, present) for index in shown[:MOST_PICTURES])


def _images(run: ResultContext) -> Sequence[SopRef]:
    """Every image or frame: slices in their order, pictures in that of the series."""
    if run.run.grid is not None:
        return run.run.grid.sources
    return [image for header in run.headers for image in _frames(header.SOPClassUID, header)]


def _frames(sop_class_uid: str, header: object) -> Iterator[SopRef]:
    frames = int(getattr(header, "NumberOfFrames", None) or 1)
    uid = str(getattr(header, "SOPInstanceUID", ""))
    for number in range(1, frames + 1):
        yield SopRef(str(sop_class_uid), uid, number if frames > 1 else None)


def _chosen(run: ResultContext, images: Sequence[SopRef]) -> Sequence[SopRef]:
    result = run.run.result
    if result.key_images:
        return result.key_images
    of_segments = [images[k] for k in _largest(run)]
    of_findings = [
        image for finding in result.findings if finding.present and (image := _image_of(run, finding, images))
    ]
    of_maps = [heat_map.image for heat_map in result.heat_maps]
    return list(dict.fromkeys([*of_segments, *of_findings, *of_maps]))[:MOST_PICTURES]


def _largest(run: ResultContext) -> list[int]:
    """The slice with the largest area of each segment; those of most segments first."""
    segmentation = run.run.result.segmentation
    if segmentation is None:
        return []
    size = len(run.segments) + 1
    areas = np.stack([np.bincount(plane.ravel(), minlength=size)[:size] for plane in segmentation.label_map])
    best = Counter(int(areas[:, number].argmax()) for number in range(1, size) if areas[:, number].any())
    return [k for k, _ in best.most_common()]


def _image_of(run: ResultContext, finding: Finding, images: Sequence[SopRef]) -> SopRef | None:
    """The image that shows a finding; None where it is about all of them, or a segment shows it."""
    if finding.image is not None:
        return finding.image
    if finding.location is None or run.run.grid is None:
        return None
    k = slice_of(finding.location, len(images))
    return images[round(float(np.mean([point[0] for point in finding.location.points])))] if k is None else images[k]


def _present(run: ResultContext) -> tuple[Segment, ...]:
    """The segments with a voxel anywhere."""
    segmentation = run.run.result.segmentation
    if segmentation is None:
        return ()
    voxels = np.bincount(segmentation.label_map.ravel(), minlength=len(run.segments) + 1)
    return tuple(segment for segment in run.segments if voxels[segment.number])


def _plate(run: ResultContext, images: Sequence[SopRef], index: int, present: Sequence[Segment]) -> Plate:
    image, kind = images[index], "slice" if run.run.grid is not None else "image"
    entries = [*_segments(run, index, present), *_findings(run, images, index)]
    heat_map = next((one for one in run.run.result.heat_maps if one.image == image), None)
    # What this image shows comes first.
    entries.sort(key=lambda entry: not entry.shapes)
    return Plate(image, f"{kind} {index + 1} of {len(images)}", tuple(entries), heat_map)


def _segments(run: ResultContext, index: int, present: Sequence[Segment]) -> Iterator[Entry]:
    segmentation = run.run.result.segmentation
    if segmentation is None:
        return
    for segment in present:
        said = [finding for finding in run.run.result.findings if finding.segment == segment.number]
        yield Entry(
            label=plain(segment.label),
            details="; ".join(words for finding in said if (words := details_of(finding))),
            number=segment.number,
            shapes=tuple(_outlines(segmentation.label_map[index] == segment.number)),
            tracking_id=run.segment_tracking_id(segment.number),
            tracking_uid=run.segment_tracking_uid(segment.number),
        )


def _findings(run: ResultContext, images: Sequence[SopRef], index: int) -> Iterator[Entry]:
    """Those without a segment. What another image alone is about is not said on this one."""
    number = len(run.segments)
    for position, finding in enumerate(run.run.result.findings):
        if run.segment_of(finding) is not None:
            continue
        number += finding.location is not None
        if finding.image is not None and finding.image != images[index]:
            continue
        on_this = finding.location is not None and _image_of(run, finding, images) == images[index]
        yield Entry(
            label=plain(finding.concept.meaning),
            details=details_of(finding),
            number=None if finding.location is None else number,
            shapes=(_located(finding.location),) if on_this and finding.location is not None else (),
            tracking_id=run.tracking_id(finding),
            tracking_uid=run.tracking_uid(position),
        )


def _located(location: Location) -> Shape:
    points = np.array(location.points, np.float64)
    return Shape(location.graphic_type, points[:, -2:])


def _outlines(mask: npt.NDArray[np.bool_]) -> list[Shape]:
    """The borders of a mask (r, c), halfway between pixels in it and pixels outside; the longest first."""
    from skimage.measure import approximate_polygon, find_contours  # noqa: PLC0415  for pictures alone

    if not mask.any():
        return []
    # A frame of nothing, so that what touches the edge of the image is closed too.
    lines = find_contours(np.pad(mask, 1).astype(np.float64), 0.5)
    longest = sorted(lines, key=len, reverse=True)[:MOST_OUTLINES]
    simple = [approximate_polygon(line, TOLERANCE)[:-1] - 1 for line in longest]
    return [Shape(GraphicType.POLYGON, _fewer(points)) for points in simple if len(points) >= 3]


def _fewer(points: Points) -> Points:
    """At most as many points as an attribute holds with the first repeated."""
    step = -(-len(points) // (MOST_POINTS - 1))
    return points[::step]
