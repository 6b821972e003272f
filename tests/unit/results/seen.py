"""What a reader sees in a written SEG: its label map on a grid, by way of patient coordinates alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.domain.study import Grid


def label_map_of(dataset: Dataset, grid: Grid) -> npt.NDArray[np.uint8]:
    """The label map (k, r, c) that a BINARY or LABELMAP SEG shows on ``grid``."""
    rows, columns, count = int(dataset.Rows), int(dataset.Columns), int(dataset.NumberOfFrames)
    assert (rows, columns) == grid.shape[1:]
    voxels = np.frombuffer(dataset.PixelData, np.uint8)
    if dataset.BitsAllocated == 1:
        voxels = np.unpackbits(voxels, bitorder="little")
    frames = voxels[: count * rows * columns].reshape(count, rows, columns)
    label_map = np.zeros(grid.shape, np.uint8)
    items = dataset.PerFrameFunctionalGroupsSequence
    assert len(items) == count
    for frame, item in zip(frames, items, strict=True):
        plane = label_map[slice_of(dataset, item, grid)]
        assert not np.logical_and(plane, frame).any(), "segments overlap"
        owner = item if "SegmentIdentificationSequence" in item else dataset.SharedFunctionalGroupsSequence[0]
        segment = owner.get("SegmentIdentificationSequence")
        plane += frame * np.uint8(segment[0].ReferencedSegmentNumber if segment else 1)
    return label_map


def slice_of(dataset: Dataset, item: Dataset, grid: Grid) -> int:
    """The slice k of the grid that a frame lies on: its first voxel in its place, its rows and columns alongside."""
    if "PlanePositionSequence" not in item and grid.shape[0] == 1:
        return 0
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    row_spacing, column_spacing = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    origin = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
    k, r, c = (np.linalg.inv(grid.affine) @ [*origin, 1.0])[:3]
    assert abs(k - round(k)) < 0.25
    assert max(abs(r), abs(c)) < 0.6
    np.testing.assert_allclose(orientation[3:] * row_spacing, grid.affine[:3, 1], atol=1e-3)
    np.testing.assert_allclose(orientation[:3] * column_spacing, grid.affine[:3, 2], atol=1e-3)
    return round(float(k))
