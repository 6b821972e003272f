"""Whether a location can be: on the grid, of as many points as its kind has, a polygon in one plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from node.domain.result import GraphicType, Location
from node.errors import InvalidModelOutput

# PS3.3 C.18.6.1.2 and C.18.9.1.2.
FEWEST_POINTS = {GraphicType.POINT: 1, GraphicType.MULTIPOINT: 2, GraphicType.POLYLINE: 2, GraphicType.POLYGON: 3}
# Graphic Data is an FL: at most 65534 bytes in Explicit VR (PS3.5 section 7.1.2); a polygon repeats its first point.
MOST_POINTS = {2: 8190, 3: 5460}
# The grid ends at the far side of its outermost voxels.
MARGIN = 0.5
# How far a polygon's point may lie from the plane of the others, in mm (in pixels, where there is no affine).
PLANE_TOLERANCE = 5e-4

Points = npt.NDArray[np.float64]


def checked_location(
    given: Location, field: str, shape: Sequence[int], affine: npt.NDArray[np.float64] | None
) -> Location:
    """``given`` with plain Python numbers.

    ``shape`` is that of the grid (k, r, c) or of the picture (r, c), ``affine`` that of the grid.

    Raises:
        InvalidModelOutput: ``details['field']`` is ``<field>.graphic_type`` or ``<field>.points``.
    """
    if not isinstance(given, Location):
        raise _invalid(field, f"{type(given).__name__} instead of a Location")
    if not isinstance(given.graphic_type, GraphicType):
        raise _invalid(f"{field}.graphic_type", f"{given.graphic_type!r} is no GraphicType")
    points = _numbers(given.points, f"{field}.points", len(shape))
    problem = _problem(given.graphic_type, points, shape, affine)
    if problem:
        raise _invalid(f"{field}.points", problem)
    return Location(given.graphic_type, tuple(tuple(map(float, point)) for point in points))


def as_points(location: Location) -> Points:
    """(points, axes) of the grid."""
    return np.array(location.points, np.float64)


def in_patient(points: Points, affine: npt.NDArray[np.float64]) -> Points:
    """Points (k, r, c) of a grid in patient coordinates: mm, LPS."""
    return points @ affine[:3, :3].T + affine[:3, 3]


def slice_of(location: Location, slices: int) -> int | None:
    """The slice k that all points of a location in a volume lie on; None where they lie on several."""
    nearest = np.floor(as_points(location)[:, 0] + MARGIN).clip(0, slices - 1)
    return int(nearest[0]) if (nearest == nearest[0]).all() else None


def plane_of(points: Points) -> tuple[Points, Points, Points]:
    """Of three points or more: centre, unit normal and spread (standard deviations, largest first) of their plane."""
    centre = points.mean(axis=0)
    _, spread, axes = np.linalg.svd(points - centre, full_matrices=False)
    return centre, axes[-1], spread / np.sqrt(len(points))


def _numbers(given: object, field: str, axes: int) -> Points:
    try:
        points = np.array(given, np.float64)
    except (TypeError, ValueError):
        raise _invalid(field, "not a sequence of points") from None
    if points.ndim != 2 or points.shape[1] != axes:
        raise _invalid(field, f"shape {points.shape}, where every point has {axes} numbers")
    if not np.isfinite(points).all():
        raise _invalid(field, "holds a number that is not finite")
    return points


def _problem(kind: GraphicType, points: Points, shape: Sequence[int], affine: Points | None) -> str | None:
    """What is wrong with finite points of the right dimension."""
    fewest, most = FEWEST_POINTS[kind], 1 if kind is GraphicType.POINT else MOST_POINTS[len(shape)]
    if not fewest <= len(points) <= most:
        return f"{len(points)} points, where {kind} has {fewest} to {most}"
    if (points < -MARGIN).any() or (points > np.array(shape) - 1 + MARGIN).any():
        return f"outside of the grid {tuple(shape)} by more than half a voxel"
    if kind is GraphicType.POLYGON:
        return _problem_of_polygon(points if affine is None else in_patient(points, affine))
    return None


def _problem_of_polygon(points: Points) -> str | None:
    """``points`` in patient coordinates, or on a picture."""
    if np.array_equal(points[0], points[-1]):
        return "a POLYGON that repeats its first point"
    centre, normal, spread = plane_of(points)
    if spread[1] <= PLANE_TOLERANCE:
        return "a POLYGON without an area"
    if points.shape[1] == 3 and float(np.abs((points - centre) @ normal).max()) > PLANE_TOLERANCE:
        return "a POLYGON that does not lie in one plane"
    return None


def _invalid(field: str, problem: str) -> InvalidModelOutput:
    return InvalidModelOutput(f"{field}: {problem}", field=field)
