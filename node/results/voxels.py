"""The label map that a BINARY SEG shows on a grid: what a reader who knows only the patient's coordinates would see."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.domain.study import Grid
from node.errors import ResultVerificationFailed

# How far the first voxel of a frame may lie from its place on the grid, in voxels along (k, r, c): a series counts
# as regular although its slices stray a little. Its directions may differ by rounding.
PLACE_TOLERANCE = np.array([0.25, 0.6, 0.6])
DIRECTION_TOLERANCE = 0.01


def label_map_of(dataset: Dataset, grid: Grid) -> npt.NDArray[np.uint8]:
    """The label map (k, r, c) that a BINARY SEG shows on ``grid``, found through patient coordinates.

    Raises:
        ResultVerificationFailed: a frame does not lie on a slice of the grid, or two segments share a voxel.
    """
    where = str(dataset.SOPInstanceUID)
    rows, columns, count = int(dataset.Rows), int(dataset.Columns), int(dataset.NumberOfFrames)
    require((rows, columns) == grid.shape[1:], "Rows and Columns", where)
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    require(bits.size >= count * rows * columns, "Pixel Data is complete", where)
    frames = bits[: count * rows * columns].reshape(count, rows, columns)
    to_index = np.linalg.inv(grid.affine)
    label_map = np.zeros(grid.shape, np.uint8)
    items = dataset.PerFrameFunctionalGroupsSequence
    require(len(items) == count, "one functional group for each frame", where)
    for frame, item in zip(frames, items, strict=True):
        plane = label_map[_slice_of(dataset, item, grid, to_index)]
        require(not np.logical_and(plane, frame).any(), "segments do not overlap", where)
        plane += frame * np.uint8(_group(dataset, item, "SegmentIdentificationSequence").ReferencedSegmentNumber)
    return label_map


def _slice_of(dataset: Dataset, item: Dataset, grid: Grid, to_index: npt.NDArray[np.floating]) -> int:
    """The slice k of the grid that a frame lies on: its first voxel in its place, its rows and columns alongside."""
    if "PlanePositionSequence" not in item and grid.shape[0] == 1:
        return 0  # a projection has no position in the patient: its only frame is its only slice
    orientation = _group(dataset, item, "PlaneOrientationSequence").ImageOrientationPatient
    row_spacing, column_spacing = (float(v) for v in _group(dataset, item, "PixelMeasuresSequence").PixelSpacing)
    origin = np.array(_group(dataset, item, "PlanePositionSequence").ImagePositionPatient, float)
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


def _group(dataset: Dataset, item: Dataset, keyword: str) -> Dataset:
    """A functional group: of the frame, or shared by all."""
    owner = item if keyword in item else dataset.SharedFunctionalGroupsSequence[0]
    require(keyword in owner, keyword, str(dataset.SOPInstanceUID))
    macro: Dataset = owner[keyword].value[0]
    return macro


def require(condition: bool, check: str, sop_instance_uid: str = "") -> None:
    if not condition:
        raise ResultVerificationFailed(
            f"a written object does not hold: {check}", check=check, sop_instance_uid=sop_instance_uid
        )
