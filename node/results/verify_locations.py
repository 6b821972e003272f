"""Re-read a location: what a viewer that knows only the patient's coordinates, or only an image, would draw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.domain.result import Finding, GraphicType, Location
from node.domain.study import Grid
from node.results.context import ResultContext
from node.results.reading import images, name_of
from node.results.sr_locations import ON_A_SLICE
from node.results.voxels import require

IMAGE_REGION, SOURCE_OF_MEASUREMENT = "111030", "121112"
# In mm, or in pixels on an image: Graphic Data has 24 bits, and a polygon is made flat.
TOLERANCE = 1e-3
RELATIVE = 1e-6
Points = npt.NDArray[np.float64]


def verify_location(context: ResultContext, group: Dataset, finding: Finding, where: str) -> None:
    """
    Raises:
        ResultVerificationFailed: as ``verify``.
    """
    drawn = [item for item in group.ContentSequence if item.ValueType in ("SCOORD", "SCOORD3D")]
    require(len(drawn) == (finding.location is not None), "one location where the finding has one", where)
    if finding.location is None:
        return
    (item,) = drawn
    location = finding.location
    is_region = str(group.ContentTemplateSequence[0].TemplateIdentifier) == "1410"
    require(name_of(item) == (IMAGE_REGION if is_region else SOURCE_OF_MEASUREMENT), "purpose of the location", where)
    if item.ValueType == "SCOORD3D":
        _in_patient(context, item, location, where)
    else:
        _on_image(context, item, finding, location, where)


def _in_patient(context: ResultContext, item: Dataset, location: Location, where: str) -> None:
    """From the patient back to the grid; how far that is from the model's points, in mm."""
    grid = context.run.grid
    require(grid is not None, "coordinates in a patient of whom there is a volume", where)
    assert grid is not None
    frame = grid.frame_of_reference_uid or context.frame_of_reference_uid
    require(item.ReferencedFrameOfReferenceUID == frame, "Frame of Reference of the location", where)
    require(item.GraphicType == location.graphic_type, "Graphic Type", where)
    points = _opened(_points(item, 3, where), location, where)
    to_index = np.linalg.inv(grid.affine)
    found = points @ to_index[:3, :3].T + to_index[:3, 3]
    _same(found, location, grid.affine[:3, :3], float(np.abs(points).max(initial=0)), where)


def _on_image(context: ResultContext, item: Dataset, finding: Finding, location: Location, where: str) -> None:
    """Column and row, from the corner of the first pixel (PS3.3 C.18.6.1.2), on the image of the finding."""
    is_polygon = location.graphic_type is GraphicType.POLYGON
    require(item.GraphicType == ("POLYLINE" if is_polygon else location.graphic_type), "Graphic Type", where)
    shown = [ref for selected in item.ContentSequence for ref in images(selected)]
    points = _opened(_points(item, 2, where), location, where)[:, ::-1] - 0.5
    grid = context.run.grid
    if grid is None:
        require(shown == [finding.image], "image of the location", where)
        _same(points, location, np.eye(2), float(np.abs(points).max(initial=0)), where)
    else:
        require(len(shown) == 1 and shown[0] in grid.sources, "image of the location", where)
        _on_slice(grid, grid.sources.index(shown[0]), points, location, where)


def _on_slice(grid: Grid, k: int, points: Points, location: Location, where: str) -> None:
    meant = np.array(location.points)
    # Where there are coordinates of the patient, nothing is moved onto a slice.
    reach = ON_A_SLICE if grid.frame_of_reference_uid else 0.5
    require(bool((np.abs(meant[:, 0] - k) <= reach).all()), "image of the location", where)
    flat = Location(location.graphic_type, tuple(tuple(point) for point in meant[:, 1:].tolist()))
    _same(points, flat, np.eye(2), float(np.abs(points).max(initial=0)), where)


def _points(item: Dataset, axes: int, where: str) -> Points:
    numbers = np.atleast_1d(np.array(item.GraphicData, np.float64))
    require(numbers.size % axes == 0, "points of the location", where)
    return numbers.reshape(-1, axes)


def _opened(points: Points, location: Location, where: str) -> Points:
    """A polygon without the point that closes it."""
    if location.graphic_type is not GraphicType.POLYGON:
        return points
    require(len(points) > 1 and np.array_equal(points[0], points[-1]), "a polygon is closed", where)
    return points[:-1]


def _same(found: Points, location: Location, scale: Points, size: float, where: str) -> None:
    """``scale`` turns steps on the grid into mm, ``size`` is that of the written numbers."""
    meant = np.array(location.points)
    require(found.shape == meant.shape, "points of the location", where)
    apart = np.linalg.norm((found - meant) @ scale.T, axis=1)
    require(bool((apart <= TOLERANCE + RELATIVE * size).all()), "points of the location", where)
