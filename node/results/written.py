"""A written object, read back from its bytes: what is large stays there, and is looked at piece by piece."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import ParametricMapStorage, SegmentationStorage

from node.errors import ResultVerificationFailed
from node.ports import EncodedObject
from node.results.context import LABEL_MAP_SEGMENTATION
from node.results.frame_groups import ITEM, PER_FRAME

MULTI_FRAME = frozenset({SegmentationStorage, LABEL_MAP_SEGMENTATION, ParametricMapStorage})
_FRAME_CONTENT = Tag("FrameContentSequence")
_SEGMENT = Tag("SegmentIdentificationSequence")
_LONG_HEADER, _ITEM_HEADER = struct.Struct("<HH2sHI"), struct.Struct("<HHI")
# What pydicom and struct raise for bytes that are no data set.
_UNREADABLE = (InvalidDicomError, EOFError, ValueError, NotImplementedError, struct.error, LookupError)


@dataclass(frozen=True, slots=True)
class WrittenFrame:
    """``plane``: the functional groups that it shares with every frame on its plane; ``number`` is its segment's."""

    plane: Dataset
    number: int | None


@dataclass(frozen=True, slots=True)
class Written:
    """``dataset`` is without ``frames`` and ``pixels`` where its class is of ``MULTI_FRAME``; else complete."""

    dataset: Dataset
    frames: tuple[WrittenFrame, ...] = ()
    pixels: memoryview = memoryview(b"")  # noqa: RUF009  immutable

    @property
    def planes(self) -> tuple[Dataset, ...]:
        """Each once."""
        return tuple({id(frame.plane): frame.plane for frame in self.frames}.values())


def read_back(written: EncodedObject) -> Written:
    """
    Raises:
        ResultVerificationFailed: it cannot be read.
    """
    try:
        if written.sop_class_uid in MULTI_FRAME:
            return _read_frames(written.part10)
        dataset: Dataset = pydicom.dcmread(io.BytesIO(written.part10))
    except _UNREADABLE as error:
        raise ResultVerificationFailed(
            "an object cannot be read back", check="readable", sop_instance_uid=written.sop_instance_uid
        ) from error
    return Written(dataset)


def _read_frames(part10: bytes) -> Written:
    file = io.BytesIO(part10)
    dataset: Dataset = pydicom.dcmread(file, stop_before_pixels=True)
    groups = dataset.get_item(PER_FRAME)
    if groups is None:
        raise ValueError("no functional groups")
    del dataset[PER_FRAME]
    *_, length = _LONG_HEADER.unpack_from(part10, file.tell())
    begin = file.tell() + _LONG_HEADER.size
    frames = tuple(_frames(bytes(groups.value or b"")))
    return Written(dataset, frames, memoryview(part10)[begin : begin + length])


def _frames(sequence: bytes) -> Iterator[WrittenFrame]:
    """What two frames have in common is parsed once: parsing it for each costs more than all of their voxels."""
    planes: dict[bytes, Dataset] = {}
    for item in _items(sequence):
        groups = dict(_groups(item))
        groups.pop(_FRAME_CONTENT)
        segment = groups.pop(_SEGMENT, None)
        shared = b"".join(groups.values())
        if shared not in planes:
            planes[shared] = _parsed(shared)
        yield WrittenFrame(planes[shared], None if segment is None else _segment_number(segment))


def _items(sequence: bytes) -> Iterator[bytes]:
    """The items of a sequence (PS3.5 section 7.5), of defined length as ours are."""
    position = 0
    while position < len(sequence):
        group, element, length = _ITEM_HEADER.unpack_from(sequence, position)
        position += _ITEM_HEADER.size
        if (group << 16 | element) != ITEM or position + length > len(sequence):
            raise ValueError("no item of a sequence")
        yield sequence[position : position + length]
        position += length


def _groups(item: bytes) -> Iterator[tuple[int, bytes]]:
    """Functional groups by their tag, each the bytes of a sequence with its header."""
    position = 0
    while position < len(item):
        group, element, vr, _, length = _LONG_HEADER.unpack_from(item, position)
        end = position + _LONG_HEADER.size + length
        if vr != b"SQ" or end > len(item):
            raise ValueError("a functional group is a sequence")
        yield group << 16 | element, item[position:end]
        position = end


def _segment_number(element: bytes) -> int:
    """Referenced Segment Number, which is all that its group holds."""
    (number,) = struct.unpack_from("<H", element, len(element) - 2)
    return int(number)


def _parsed(elements: bytes) -> Dataset:
    return read_dataset(io.BytesIO(elements), is_implicit_VR=False, is_little_endian=True)
