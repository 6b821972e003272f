"""The Per-Frame Functional Groups Sequence (PS3.3 C.7.6.16.2) in bulk, as bytes.

The groups of all frames of one plane differ in two numbers. highdicom makes them once for each plane; they are encoded
once for each plane, too, and the two numbers are written into copies. Data sets for every frame cost more than all of
its voxels. Everything here is Explicit VR Little Endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import BaseTag, Tag

PER_FRAME = Tag("PerFrameFunctionalGroupsSequence")
ITEM = 0xFFFEE000
_FRAME_CONTENT = Tag("FrameContentSequence")
_INDEX_VALUES = Tag("DimensionIndexValues")
_START_OF_VALUES, _LENGTH_OF_VALUES = b"\x20\x00\x57\x91UL", 2  # its tag, its VR, and how long its length is
_SEGMENT = Tag("SegmentIdentificationSequence")
_ITEM_HEADER = 8  # PS3.5 section 7.5
_UINT32, _UINT16 = struct.Struct("<I"), struct.Struct("<H")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its plane, from 0 in the order of the frames of a segment, and its segment where it has one."""

    plane: int
    number: int | None = None


class PlaneGroups:
    """The encoded functional groups of one plane, of which those of each of its frames are made."""

    def __init__(self, item: Dataset) -> None:
        """``item``: as highdicom made it for one frame. Its Dimension Index Values end with the plane."""
        self._bytes = bytearray(_encoded(item))
        values = item[_FRAME_CONTENT].value[0][_INDEX_VALUES]
        # Dimension Index Values are the first element of their group that highdicom writes.
        self._values_at = self._bytes.index(_START_OF_VALUES) + len(_START_OF_VALUES) + _LENGTH_OF_VALUES
        self._plane_at = self._values_at + _UINT32.size * (max(values.VM, 1) - 1)
        # Referenced Segment Number ends its group, and its group the item; a SEG of one segment shares it.
        self._number_at = len(self._bytes) - _UINT16.size if _SEGMENT in item else None

    def __len__(self) -> int:
        return _ITEM_HEADER + len(self._bytes)

    def of(self, frame: Frame) -> bytes:
        """The item of one frame."""
        _UINT32.pack_into(self._bytes, self._plane_at, frame.plane + 1)
        if frame.number is not None:
            _UINT32.pack_into(self._bytes, self._values_at, frame.number)
            if self._number_at is not None:
                _UINT16.pack_into(self._bytes, self._number_at, frame.number)
        return tag_bytes(ITEM) + _UINT32.pack(len(self._bytes)) + self._bytes


def per_frame_groups(planes: Sequence[PlaneGroups], frames: Sequence[Frame]) -> Iterator[bytes]:
    """The whole element."""
    length = sum(len(planes[frame.plane]) for frame in frames)
    yield long_header(PER_FRAME, b"SQ", length)
    for frame in frames:
        yield planes[frame.plane].of(frame)


def pixel_data(
    tag: BaseTag, vr: bytes, length: int, chunks: Iterable[bytes | memoryview]
) -> Iterator[bytes | memoryview]:
    """A whole element of ``length`` bytes, and a zero behind an odd one (PS3.5 section 8.1.1)."""
    yield long_header(tag, vr, length + length % 2)
    yield from chunks
    yield bytes(length % 2)


def long_header(tag: int, vr: bytes, length: int) -> bytes:
    return tag_bytes(tag) + vr + bytes(2) + _UINT32.pack(length)


def tag_bytes(tag: int) -> bytes:
    return _UINT16.pack(tag >> 16) + _UINT16.pack(tag & 0xFFFF)


def _encoded(item: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, item)
    return bytes(buffer.getvalue())
