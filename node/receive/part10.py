"""A received Part 10 file: where its data set begins, and how it is encoded."""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.domain.study import ByteRange
from node.errors import UndecodableDataSet
from node.ports import View
from node.receive.walk import Buffer, Encoding, sniff

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
# PS3.5 Annex A.5 and the two JPIP referenced syntaxes: the whole data set is one deflate stream.
DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")
# A deflate stream may grow a thousandfold. More than this is not inflated, and such a data set is refused.
MAX_INFLATED = 1 << 29

_PREAMBLE = 128
_META_LONG_VRS = (b"OB", b"UN", b"SQ", b"UT")


@dataclass(frozen=True, slots=True)
class EncodedDataSet:
    """``data[start:end]`` is the data set (inflated where it was deflated)."""

    data: Buffer
    start: int
    end: int
    encoding: Encoding


def encoded(view: View, transfer_syntax_uid: str, max_inflated: int = MAX_INFLATED) -> EncodedDataSet:
    """The data set of the Part 10 file in ``view``, in memory only as far as it is looked at.

    Raises:
        UndecodableDataSet: no Part 10 file, an empty data set, a broken or monstrous deflate stream.
    """
    if view.end - view.start <= _PREAMBLE + 4:
        raise UndecodableDataSet("there is no data set")
    start = data_set_offset(view.buffer, view.start)
    return encoded_at(view, start, transfer_syntax_uid, max_inflated)


def encoded_at(view: View, start: int, transfer_syntax_uid: str, max_inflated: int = MAX_INFLATED) -> EncodedDataSet:
    """As ``encoded``, where it is known that the data set begins at ``start`` of the buffer."""
    if start >= view.end:
        raise UndecodableDataSet("there is no data set")
    return _data_set(view.buffer, start, view.end, transfer_syntax_uid, max_inflated)


@contextmanager
def mapped(location: ByteRange) -> Iterator[View]:
    """The Part 10 file at ``location``, in memory only as far as it is looked at.

    Raises:
        OSError: it cannot be opened.
    """
    with Path(location.path).open("rb") as file:
        # A mapping begins at a page.
        lead = location.offset % mmap.ALLOCATIONGRANULARITY
        with mmap.mmap(
            file.fileno(), lead + location.length, access=mmap.ACCESS_READ, offset=location.offset - lead
        ) as mapping:
            yield View(mapping, lead, lead + location.length)


def data_set_offset(data: Buffer, begin: int = 0) -> int:
    """Where the data set of the Part 10 file at ``begin`` begins: behind preamble, prefix and group 0002 (PS3.10 7.1).

    Raises:
        UndecodableDataSet: there is no such prefix, or the file meta information is damaged.
    """
    position = begin + _PREAMBLE
    if data[position : position + 4] != b"DICM":
        raise UndecodableDataSet("not a DICOM file")
    position += 4
    try:
        while bytes(data[position : position + 2]) == b"\x02\x00":
            if bytes(data[position + 4 : position + 6]) in _META_LONG_VRS:
                position += 12 + struct.unpack_from("<I", data, position + 8)[0]
            else:
                position += 8 + struct.unpack_from("<H", data, position + 6)[0]
    except struct.error as error:
        raise UndecodableDataSet("the file meta information is damaged") from error
    return position


def _data_set(data: Buffer, start: int, end: int, transfer_syntax_uid: str, max_inflated: int) -> EncodedDataSet:
    declared = Encoding(
        explicit=transfer_syntax_uid != IMPLICIT_VR_LITTLE_ENDIAN,
        little=transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN,
    )
    if transfer_syntax_uid in DEFLATED:
        inflated = _inflate(data, start, end, max_inflated)
        return EncodedDataSet(inflated, 0, len(inflated), sniff(inflated, 0, len(inflated), declared))
    return EncodedDataSet(data, start, end, sniff(data, start, end, declared))


def _inflate(data: Buffer, start: int, end: int, max_inflated: int) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # The mapping cannot be closed while a view of it is alive.
        with memoryview(data) as view, view[start:end] as rest:
            inflated = stream.decompress(rest, max_inflated)
    except zlib.error as error:
        raise UndecodableDataSet("the deflate stream is damaged") from error
    if len(inflated) >= max_inflated:
        raise UndecodableDataSet("the deflated data set is too large", limit=max_inflated)
    if not stream.eof:
        raise UndecodableDataSet("the deflate stream is truncated")
    return inflated
