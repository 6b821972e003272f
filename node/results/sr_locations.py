"""Where a finding lies, as SCOORD3D in the patient or as SCOORD on an image (PS3.3 C.18.9, C.18.6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom.sr import (
    ContentItem,
    ContentSequence,
    ImageRegion,
    ImageRegion3D,
    RelationshipTypeValues,
    Scoord3DContentItem,
    ScoordContentItem,
    SourceImageForRegion,
)

from node.domain.location import as_points, in_patient, plane_of, slice_of
from node.domain.result import Finding, GraphicType, Location
from node.domain.study import Grid, SopRef
from node.results.concepts import SOURCE_OF_MEASUREMENT
from node.results.context import ResultContext

# How far a point may lie from the middle of its slice, in slices, to be a point of that image.
ON_A_SLICE = 1e-3
# How much longer than high a pixel may be to count as square: a twentieth of a pixel across an image.
SQUARE = 1e-4
# PS3.3 C.18.6.1.2: (0.0, 0.0) is the top left corner of the top left pixel; whole numbers are centres here.
PIXEL_CENTRE = 0.5
Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coordinates:
    """A location in one of DICOM's two ways.

    Attributes:
        graphic_type: on an image a polygon is a POLYLINE that ends where it begins.
        points: (n, 3) mm in the patient (LPS), or (n, 2) column and row on ``image``.
        image: None where the points are in the patient, in the frame of reference.
    """

    graphic_type: str
    points: Points
    image: SopRef | None = None
    frame_of_reference_uid: str = ""


def coordinates(run: ResultContext, finding: Finding, location: Location) -> Coordinates:
    """On the image that it lies on, where viewers look for it; in the patient between and across slices.

    In the patient, too, on pixels that are not square: viewers in use (Cornerstone3D) take their sides for each other,
    and draw what is said of such an image beside its place. Without a frame of reference there is only the image, for
    what lies between slices the nearest.
    """
    grid = run.run.grid
    if grid is None:
        assert finding.image is not None
        return _on_image(location, as_points(location), finding.image)
    points, k = as_points(location), slice_of(location, grid.shape[0])
    on_one = k is not None and bool((np.abs(points[:, 0] - k) <= ON_A_SLICE).all())
    in_space = grid.frame_of_reference_uid or (run.frame_of_reference_uid if k is None else None)
    if in_space and not (on_one and _square(grid)):
        return _in_patient(location, grid, in_space)
    return _on_image(location, points[:, 1:], grid.sources[k or 0])


def _square(grid: Grid) -> bool:
    _, high, wide = grid.spacing
    return abs(high - wide) <= SQUARE * wide


def region(run: ResultContext, finding: Finding, location: Location) -> ImageRegion | ImageRegion3D:
    """The outline of a region (TID 1410 rows 5 and 7b)."""
    given = coordinates(run, finding, location)
    if given.image is None:
        return ImageRegion3D(given.graphic_type, given.points, given.frame_of_reference_uid)
    return ImageRegion(given.graphic_type, given.points, _selected_from(given.image))


def source_of_measurement(run: ResultContext, finding: Finding, location: Location) -> ContentItem:
    """A location that is no region (TID 1501 rows 10c to 10e): it needs no measurement to be said."""
    given = coordinates(run, finding, location)
    if given.image is None:
        return Scoord3DContentItem(
            SOURCE_OF_MEASUREMENT,
            given.graphic_type,
            given.points,
            given.frame_of_reference_uid,
            relationship_type=RelationshipTypeValues.CONTAINS,
        )
    item = ScoordContentItem(
        SOURCE_OF_MEASUREMENT,
        given.graphic_type,
        given.points,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    item.ContentSequence = ContentSequence([_selected_from(given.image)])
    return item


def _in_patient(location: Location, grid: Grid, frame_of_reference_uid: str) -> Coordinates:
    points = in_patient(as_points(location), grid.affine)
    if location.graphic_type is GraphicType.POLYGON:
        points = _closed(_flat(points))
    return Coordinates(location.graphic_type, points, frame_of_reference_uid=frame_of_reference_uid)


def _on_image(location: Location, rows_and_columns: Points, image: SopRef) -> Coordinates:
    points = rows_and_columns[:, ::-1] + PIXEL_CENTRE
    if location.graphic_type is GraphicType.POLYGON:
        return Coordinates(GraphicType.POLYLINE, _closed(points), image)
    return Coordinates(location.graphic_type, points, image)


def _flat(points: Points) -> Points:
    """A checked polygon without the rounding that is left across its plane."""
    centre, normal, _ = plane_of(points)
    return points - np.outer((points - centre) @ normal, normal)


def _closed(points: Points) -> Points:
    return np.vstack([points, points[:1]])


def _selected_from(image: SopRef) -> SourceImageForRegion:
    return SourceImageForRegion(
        image.sop_class_uid, image.sop_instance_uid, None if image.frame is None else [image.frame]
    )
