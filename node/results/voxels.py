"""What a written image shows on a grid: what a reader who knows only the patient's coordinates would see."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.domain.result import ParametricMap, Segmentation, SegmentationType
from node.domain.study import Grid
from node.errors import ResultVerificationFailed
from node.results.bits import bytes_of, unpacked
from node.results.written import Written

# How far the first voxel of a frame may lie from its place on the grid, in voxels along (k, r, c): a series counts
# as regular although its slices stray a little. Its directions may differ by rounding.
PLACE_TOLERANCE = np.array([0.25, 0.6, 0.6])
DIRECTION_TOLERANCE = 0.01
# A stored fraction is the nearest of 256.
FRACTION_TOLERANCE = 1 / 255
VOXELS = "voxels"


def require_segments(written: Written, grid: Grid, given: Segmentation, kind: SegmentationType) -> None:
    """A SEG of this type shows what was given: label map equal, fractions within ``FRACTION_TOLERANCE``.

    Raises:
        ResultVerificationFailed: also where a frame does not lie on a slice of the grid.
    """
    if kind is SegmentationType.BINARY:
        _require_masks(written, grid, given.label_map)
    elif kind is SegmentationType.LABELMAP:
        _require_values(written, grid, given.label_map)
    else:
        assert given.fractions is not None
        _require_fractions(written, grid, given.fractions)


def require_map(written: Written, grid: Grid, given: ParametricMap) -> None:
    """A parametric map holds, bit for bit, the values that were given.

    Raises:
        ResultVerificationFailed: also where a frame does not lie on a slice of the grid.
    """
    places = _places(written, grid)
    frames = _whole(written, np.dtype("<f4"))
    shown = sorted(k for k, _ in places)
    require(shown == list(range(grid.shape[0])), "a frame for every slice", _where(written))
    for (k, _), frame in zip(places, frames, strict=True):
        same = np.array_equal(frame.view(np.uint32), given.array[k].astype("<f4", copy=False).view(np.uint32))
        require(same, VOXELS, _where(written))


def _require_masks(written: Written, grid: Grid, label_map: npt.NDArray[np.uint8]) -> None:
    rows, columns = grid.shape[1:]
    places = _places(written, grid)
    complete = len(written.pixels) >= bytes_of(len(places), rows, columns)
    require(complete, "Pixel Data is complete", _where(written))
    shown = 0
    for index, (k, number) in enumerate(places):
        begin, part = unpacked(written.pixels, index, rows, columns)
        meant = label_map[k].reshape(-1)[begin : begin + part.size]
        require(np.array_equal(part, meant == number), VOXELS, _where(written))
        shown += int(np.count_nonzero(part))
    # No frame shows what is not its part, and none comes twice: as many voxels as there are, so all of them.
    require(shown == np.count_nonzero(label_map), VOXELS, _where(written))


def _require_values(written: Written, grid: Grid, label_map: npt.NDArray[np.uint8]) -> None:
    shown = 0
    for (k, _), frame in zip(_places(written, grid), _whole(written, np.dtype(np.uint8)), strict=True):
        require(np.array_equal(frame, label_map[k]), VOXELS, _where(written))
        shown += int(np.count_nonzero(frame))
    require(shown == np.count_nonzero(label_map), VOXELS, _where(written))


def _require_fractions(written: Written, grid: Grid, fractions: npt.NDArray[np.float32]) -> None:
    places = _places(written, grid)
    full = float(written.dataset.MaximumFractionalValue)
    for (k, number), frame in zip(places, _whole(written, np.dtype(np.uint8)), strict=True):
        given = fractions[(number or 1) - 1, k]
        require(float(np.abs(frame / full - given).max()) <= FRACTION_TOLERANCE, VOXELS, _where(written))
    found = set(places)
    for index, part in enumerate(fractions):
        for k, plane in enumerate(part):
            left_out = (k, index + 1) not in found
            require(not left_out or float(plane.max()) <= FRACTION_TOLERANCE, VOXELS, _where(written))


def _whole(written: Written, kind: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
    """Frames of whole bytes a voxel, (frame, r, c)."""
    dataset, count = written.dataset, len(written.frames)
    size = count * int(dataset.Rows) * int(dataset.Columns)
    require(len(written.pixels) >= size * kind.itemsize, "Pixel Data is complete", _where(written))
    voxels = np.frombuffer(written.pixels, kind, size)
    return voxels.reshape(count, int(dataset.Rows), int(dataset.Columns))


def _places(written: Written, grid: Grid) -> list[tuple[int, int | None]]:
    """The slice and the segment of each frame; no two frames share both."""
    dataset, where = written.dataset, _where(written)
    require((int(dataset.Rows), int(dataset.Columns)) == grid.shape[1:], "Rows and Columns", where)
    require(len(written.frames) == int(dataset.NumberOfFrames), "one functional group for each frame", where)
    to_index = np.linalg.inv(grid.affine)
    slices = {id(plane): slice_of(dataset, plane, grid, to_index) for plane in written.planes}
    shared = dataset.SharedFunctionalGroupsSequence[0].get("SegmentIdentificationSequence")
    only = int(shared[0].ReferencedSegmentNumber) if shared else None
    places = [(slices[id(frame.plane)], frame.number or only) for frame in written.frames]
    require(len(set(places)) == len(places), "no frame comes twice", where)
    return places


def slice_of(dataset: Dataset, item: Dataset, grid: Grid, to_index: npt.NDArray[np.floating]) -> int:
    """The slice k of the grid that a frame lies on: its first voxel in its place, its rows and columns alongside."""
    if "PlanePositionSequence" not in item and grid.shape[0] == 1:
        return 0  # a projection has no position in the patient: its only frame is its only slice
    orientation = group(dataset, item, "PlaneOrientationSequence").ImageOrientationPatient
    row_spacing, column_spacing = (float(v) for v in group(dataset, item, "PixelMeasuresSequence").PixelSpacing)
    origin = np.array(group(dataset, item, "PlanePositionSequence").ImagePositionPatient, float)
    along_columns = np.array(orientation[:3], float) * column_spacing  # PS3.3 C.7.6.2.1.1: along a row, c grows
    along_rows = np.array(orientation[3:], float) * row_spacing
    found = (to_index @ [*origin, 1.0])[:3]
    k = round(float(found[0]))
    in_place = 0 <= k < grid.shape[0] and bool((np.abs(found - [k, 0, 0]) <= PLACE_TOLERANCE).all())
    alongside = all(
        float(np.linalg.norm(mine - theirs)) <= DIRECTION_TOLERANCE * float(np.linalg.norm(theirs))
        for mine, theirs in ((along_rows, grid.affine[:3, 1]), (along_columns, grid.affine[:3, 2]))
    )
    require(in_place and alongside, "frames lie on the grid", str(dataset.SOPInstanceUID))
    return k


def group(dataset: Dataset, item: Dataset, keyword: str) -> Dataset:
    """A functional group: of the frame, or shared by all."""
    owner = item if keyword in item else dataset.SharedFunctionalGroupsSequence[0]
    require(keyword in owner, keyword, str(dataset.SOPInstanceUID))
    macro: Dataset = owner[keyword].value[0]
    return macro


def _where(written: Written) -> str:
    return str(written.dataset.SOPInstanceUID)


def require(condition: bool, check: str, sop_instance_uid: str = "") -> None:
    if not condition:
        raise ResultVerificationFailed(
            f"a written object does not hold: {check}", check=check, sop_instance_uid=sop_instance_uid
        )
