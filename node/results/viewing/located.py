"""Where the findings of a stored report lie: its coordinates, read back, and as shapes on one slice. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.domain.result import GraphicType
from node.domain.study import SopRef
from node.domain.viewing import Slice
from node.results.plates import Shape
from node.results.reading import images, name_of, walk
from node.results.sr_locations import PIXEL_CENTRE
from node.results.verify_groups import MEASUREMENT_GROUP

Points = npt.NDArray[np.float64]
_REGION, _SOURCE = "111030", "121112"


@dataclass(frozen=True, slots=True)
class Located:
    """The coordinates of one group: (n, 3) mm LPS in a Frame of Reference, or (n, 2) column and row on ``image``."""

    graphic_type: GraphicType
    points: Points
    image: SopRef | None = None


def groups_of(report: Dataset) -> Iterator[tuple[str, Located | None]]:
    """Template and coordinates of each measurement group, in the order of the document."""
    for item in walk(report):
        if name_of(item) == MEASUREMENT_GROUP:
            yield str(item.ContentTemplateSequence[0].TemplateIdentifier), _located(item)


def _located(group: Dataset) -> Located | None:
    for item in group.get("ContentSequence") or []:
        if item.ValueType not in ("SCOORD", "SCOORD3D") or name_of(item) not in (_REGION, _SOURCE):
            continue
        numbers = np.array(item.GraphicData, np.float64)
        if item.ValueType == "SCOORD3D":
            return _unclosed(str(item.GraphicType), numbers.reshape(-1, 3), None)
        image = next((one for child in item.ContentSequence for one in images(child)), None)
        return _unclosed(str(item.GraphicType), numbers.reshape(-1, 2), image)
    return None


def _unclosed(kind: str, points: Points, image: SopRef | None) -> Located:
    """A line that ends where it begins is a POLYGON without its last point."""
    closed = len(points) > 3 and bool(np.allclose(points[0], points[-1]))
    if kind in ("POLYGON", "POLYLINE") and closed:
        return Located(GraphicType.POLYGON, points[:-1], image)
    return Located(GraphicType(kind), points, image)


def on_slice(located: Located, slice_: Slice, thickness: float) -> Shape | None:
    """What of it this slice shows, in (r, c); a slice reaches half of ``thickness`` (mm) to either side."""
    if located.image is not None:
        names = [(one.sop_instance_uid, one.frame or 1) for one in (located.image, slice_.image)]
        same = names[0] == names[1]
        return Shape(located.graphic_type, located.points[:, ::-1] - PIXEL_CENTRE) if same else None
    if slice_.affine is None:
        return None
    index = _indices(located.points, slice_)
    near = np.abs(index[:, 0]) <= thickness / 2 + 1e-6
    if near.all():
        return Shape(located.graphic_type, index[:, 1:])
    # Of a line through several slices each shows the points on it.
    return Shape(GraphicType.MULTIPOINT, index[near, 1:]) if near.any() else None


def slice_nearest(located: Located, slices: Sequence[Slice]) -> int | None:
    """Where it is seen best: its own image, or the slice nearest to the middle of its points."""
    if located.image is not None:
        return next((k for k, one in enumerate(slices) if on_slice(located, one, 1.0) is not None), None)
    middle = located.points.mean(axis=0, keepdims=True)
    away = [abs(float(_indices(middle, one)[0, 0])) if one.affine is not None else np.inf for one in slices]
    best = int(np.argmin(away)) if away else 0
    return best if away and np.isfinite(away[best]) else None


def _indices(points: Points, slice_: Slice) -> Points:
    """(k, r, c) on a plane; k in mm."""
    assert slice_.affine is not None
    inverse = np.linalg.inv(slice_.affine)
    found: Points = points @ inverse[:3, :3].T + inverse[:3, 3]
    return found
