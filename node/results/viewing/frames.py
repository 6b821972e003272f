"""A stored SEG or parametric map by the images that its frames lie on: one frame is read at a time, never all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from node.domain.result import SegmentationType
from node.domain.study import Grid, SopRef
from node.domain.viewing import Slice
from node.errors import ResultVerificationFailed
from node.ports import EncodedObject
from node.results.bits import bytes_of
from node.results.voxels import slice_of
from node.results.written import Written, read_back

Mask = npt.NDArray[np.bool_]
Open = Callable[[], AbstractContextManager[BinaryIO]]
# A fraction of this much of the highest counts as inside.
HALF = 0.5


@dataclass(frozen=True, slots=True)
class StoredFrames:
    """Where each frame of a written multi-frame image lies, without its voxels.

    Attributes:
        header: without functional groups of frames and pixels.
        planes: functional groups that the frames of one plane share, in the order of the object.
        frames: for each frame the index of its plane, and the number of its segment (None: it holds all).
        pixels_at: offset of Pixel Data in the file.
    """

    header: Dataset
    planes: tuple[Dataset, ...]
    frames: tuple[tuple[int, int | None], ...]
    pixels_at: int
    images: Mapping[tuple[str, int], int]

    def on(self, slice_: Slice, elsewhere: bool) -> list[int]:
        """The frames that lie on a slice.

        Those of an image are the frames that refer to it. ``elsewhere``: none refers to the slice's series; then those
        that lie in its place, in its Frame of Reference.

        Raises:
            ResultVerificationFailed: a frame refers to an image, and lies in another place.
        """
        plane = self.images.get((slice_.image.sop_instance_uid, slice_.image.frame or 1))
        grid = _grid_of(slice_)
        if plane is not None:
            if grid is not None:
                slice_of(self.header, self.planes[plane], grid, np.linalg.inv(grid.affine))
        elif elsewhere and grid is not None and self.header.get("FrameOfReferenceUID") == slice_.frame_of_reference_uid:
            plane = self._in_place(grid)
        return [index for index, (lies, _) in enumerate(self.frames) if lies == plane]

    def _in_place(self, grid: Grid) -> int | None:
        to_index = np.linalg.inv(grid.affine)
        for index, plane in enumerate(self.planes):
            try:
                slice_of(self.header, plane, grid, to_index)
            except ResultVerificationFailed:
                continue
            return index
        return None

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.header.Rows), int(self.header.Columns)

    def refers_to(self, images: set[str]) -> bool:
        """Whether any frame lies on one of these SOP Instances."""
        return any(uid in images for uid, _ in self.images)


def stored_frames(part10: bytes, sop_class_uid: str) -> StoredFrames:
    """The index of a SEG or parametric map that this node wrote.

    Raises:
        ResultVerificationFailed: it cannot be read.
    """
    read = read_back(EncodedObject(sop_class_uid, "", "", "", part10))
    planes = read.planes
    order = {id(plane): index for index, plane in enumerate(planes)}
    shared = read.dataset.SharedFunctionalGroupsSequence[0].get("SegmentIdentificationSequence")
    only = int(shared[0].ReferencedSegmentNumber) if shared else None
    frames = tuple((order[id(frame.plane)], frame.number or only) for frame in read.frames)
    return StoredFrames(read.dataset, planes, frames, len(part10) - len(read.pixels), _images(read))


def _images(read: Written) -> Mapping[tuple[str, int], int]:
    """The plane that lies on each source image, or frame of one."""
    found = {}
    for index, plane in enumerate(read.planes):
        for derivation in plane.get("DerivationImageSequence") or []:
            for source in derivation.get("SourceImageSequence") or []:
                frame = int(source.get("ReferencedFrameNumber") or 1)
                found[str(source.ReferencedSOPInstanceUID), frame] = index
    return found


def masks_on(stored: StoredFrames, file: BinaryIO, indices: list[int]) -> Mapping[int, Mask]:
    """The voxels (r, c) of each segment in these frames of a SEG, by the number of the segment."""
    rows, columns = stored.shape
    kind = SegmentationType(str(stored.header.SegmentationType))
    found: dict[int, Mask] = {}
    for index in indices:
        number = stored.frames[index][1]
        if kind is SegmentationType.BINARY:
            found[number or 1] = _bits(stored, file, index)
            continue
        voxels = np.frombuffer(_bytes(stored, file, index, 1), np.uint8).reshape(rows, columns)
        if kind is SegmentationType.LABELMAP:
            found.update({int(one): voxels == one for one in np.unique(voxels) if one})
        else:
            found[number or 1] = voxels >= HALF * float(stored.header.MaximumFractionalValue)
    return found


def areas(stored: StoredFrames, file: BinaryIO) -> Mapping[int, Mapping[int, int]]:
    """How many voxels of each segment lie on each plane: by segment, then by plane."""
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for index, (plane, _) in enumerate(stored.frames):
        for number, mask in masks_on(stored, file, [index]).items():
            found[number][plane] = int(np.count_nonzero(mask))
    return found


def values_on(stored: StoredFrames, file: BinaryIO, index: int) -> npt.NDArray[np.float32]:
    """Frame ``index`` of a parametric map, float32 (r, c)."""
    return np.frombuffer(_bytes(stored, file, index, 4), "<f4").reshape(stored.shape).astype(np.float32)


def _bits(stored: StoredFrames, file: BinaryIO, index: int) -> Mask:
    rows, columns = stored.shape
    first = index * rows * columns
    data = _read(file, stored.pixels_at + first // 8, bytes_of(1, rows, columns) + 1)
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[first % 8 :][: rows * columns]
    if len(bits) < rows * columns:
        raise _short()
    return bits.view(np.bool_).reshape(rows, columns)


def _bytes(stored: StoredFrames, file: BinaryIO, index: int, each: int) -> bytes:
    size = stored.shape[0] * stored.shape[1] * each
    data = _read(file, stored.pixels_at + index * size, size)
    if len(data) < size:
        raise _short()
    return data


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _short() -> ResultVerificationFailed:
    return ResultVerificationFailed("a stored result ends early", check="Pixel Data is complete")


def _grid_of(slice_: Slice) -> Grid | None:
    affine = slice_.affine
    if affine is None:
        return None
    image = SopRef(slice_.image.sop_class_uid, slice_.image.sop_instance_uid, slice_.image.frame)
    return Grid((1, slice_.rows, slice_.columns), affine, slice_.frame_of_reference_uid, (image,))
