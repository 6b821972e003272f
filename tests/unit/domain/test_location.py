"""Which locations can be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from node.domain.location import MOST_POINTS, checked_location, in_patient, slice_of
from node.domain.result import GraphicType, Location
from node.errors import InvalidModelOutput

POINT, MULTIPOINT, POLYLINE, POLYGON = GraphicType
SHAPE, PICTURE = (4, 6, 8), (6, 8)
# Oblique, 3 mm between slices, 0.5 x 0.25 mm pixels.
AFFINE = np.array([[1.8, 0.4, 0.0, -90.0], [0.0, 0.0, 0.25, 40.0], [-2.4, 0.3, 0.0, 12.0], [0.0, 0.0, 0.0, 1.0]])
SQUARE = ((1.0, 1.0, 1.0), (1.0, 4.0, 1.0), (1.0, 4.0, 5.0), (1.0, 1.0, 5.0))


def check(kind: Any, points: Any, shape: tuple[int, ...] = SHAPE) -> Location:
    return checked_location(Location(kind, points), "here", shape, AFFINE if len(shape) == 3 else None)


@pytest.mark.parametrize(
    ("kind", "points", "shape"),
    [
        (POINT, ((-0.5, 5.5, 7.5),), SHAPE),
        (POINT, ((2.0, 3.25),), PICTURE),
        (MULTIPOINT, ((0, 0, 0), (3, 5, 7)), SHAPE),
        (POLYLINE, ((0, 0), (5.5, 7.5)), PICTURE),
        (POLYGON, SQUARE, SHAPE),
        (POLYGON, ((0, 0, 0), (3, 0, 0), (3, 5, 7), (0, 5, 7)), SHAPE),  # across the slices, in one plane
        (POLYGON, ((0, 0), (0, 4), (4, 0)), PICTURE),
        (POLYGON, tuple(map(tuple, np.array(SQUARE, np.float32) + np.float32(1e-5))), SHAPE),
    ],
)
def test_what_can_be(kind: GraphicType, points: Any, shape: tuple[int, ...]) -> None:
    location = check(kind, points, shape)
    assert location.graphic_type is kind
    assert all(type(number) is float for point in location.points for number in point)
    np.testing.assert_allclose(location.points, points)


def test_an_array_becomes_plain() -> None:
    assert check(POINT, np.array([[1, 2, 3]], np.float32)) == Location(POINT, ((1.0, 2.0, 3.0),))


@pytest.mark.parametrize(
    ("kind", "points", "words"),
    [
        (POINT, (), "shape"),
        (POINT, ((1, 2, 3), (1, 2, 4)), "2 points"),
        (POINT, ((1, 2),), "every point has 3"),
        (POINT, ((1, 2, 3), (1, 2)), "sequence of points"),
        (POINT, (("a", "b", "c"),), "sequence of points"),
        (POINT, None, "shape"),
        (POINT, ((1, 2, math.nan),), "not finite"),
        (POINT, ((1, math.inf, 2),), "not finite"),
        (POINT, ((-0.51, 2, 3),), "half a voxel"),
        (POINT, ((1, 5.51, 3),), "half a voxel"),
        (POINT, ((1, 2, 8),), "half a voxel"),
        (MULTIPOINT, ((1, 2, 3),), "1 points"),
        (POLYLINE, ((1, 2, 3),), "1 points"),
        (POLYLINE, ((1, 2, 3),) * (MOST_POINTS[3] + 1), "5461 points"),
        (POLYGON, SQUARE[:2], "2 points"),
        (POLYGON, (*SQUARE, SQUARE[0]), "repeats"),
        (POLYGON, (*SQUARE[:3], (1.1, 1.0, 5.0)), "one plane"),
        (POLYGON, ((1, 1, 1), (1, 2, 2), (1, 3, 3)), "without an area"),
    ],
)
def test_points_that_cannot_be(kind: GraphicType, points: Any, words: str) -> None:
    with pytest.raises(InvalidModelOutput, match=words) as caught:
        check(kind, points)
    assert caught.value.details["field"] == "here.points"


def test_what_is_no_location() -> None:
    with pytest.raises(InvalidModelOutput) as caught:
        checked_location((1, 2, 3), "here", SHAPE, AFFINE)  # type: ignore[arg-type]
    assert caught.value.details["field"] == "here"
    with pytest.raises(InvalidModelOutput) as caught:
        check("CIRCLE", ((1, 2, 3),))
    assert caught.value.details["field"] == "here.graphic_type"


def test_patient_coordinates_are_those_of_the_voxel_centres() -> None:
    """PS3.3 C.7.6.2.1.1."""
    np.testing.assert_allclose(in_patient(np.array([[0.0, 0, 0]]), AFFINE), [[-90, 40, 12]])
    np.testing.assert_allclose(in_patient(np.array([[1.0, 2, 4]]), AFFINE), [[-90 + 1.8 + 0.8, 41, 12 - 2.4 + 0.6]])


@pytest.mark.parametrize(
    ("points", "k"),
    [(((1.4, 0, 0), (0.6, 1, 1)), 1), (((1.4, 0, 0), (1.6, 1, 1)), None), (((3.5, 0, 0),), 3), (((-0.5, 0, 0),), 0)],
)
def test_the_slice_that_all_points_lie_on(points: Any, k: int | None) -> None:
    assert slice_of(Location(MULTIPOINT, points), 4) == k
