"""A received Part 10 file, opened for reading its header: where the data set begins, and how it is encoded."""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from node.errors import UndecodableDataSet
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


@dataclass(frozen=True, slots=True)
class Digest:
    """Of the encoded data set as received, without preamble and file meta information."""

    sha256: str
    size: int


@contextmanager
def opened(path: Path, transfer_syntax_uid: str, max_inflated: int = MAX_INFLATED) -> Iterator[EncodedDataSet]:
    """The data set of the Part 10 file ``path``, in memory only as far as it is looked at.

    Raises:
        UndecodableDataSet: no Part 10 file, an empty data set, a broken or monstrous deflate stream.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _PREAMBLE + 4:
            raise UndecodableDataSet("there is no data set")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            start = data_set_offset(data)
            if start >= size:
                raise UndecodableDataSet("there is no data set")
            yield _data_set(data, start, size, transfer_syntax_uid, max_inflated)


def digest(path: Path) -> Digest:
    """SHA-256 and size of the data set in the Part 10 file ``path``."""
    with path.open("rb") as file:
        start = data_set_offset(file.read(_PREAMBLE + 64 * 1024))
        file.seek(start)
        return Digest(sha256=file_digest(file, "sha256").hexdigest(), size=os.fstat(file.fileno()).st_size - start)


def data_set_offset(data: Buffer) -> int:
    """Where the data set begins: behind preamble, prefix and group 0002 (PS3.10 section 7.1).

    Raises:
        UndecodableDataSet: there is no such prefix, or the file meta information is damaged.
    """
    if data[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        raise UndecodableDataSet("not a DICOM file")
    position = _PREAMBLE + 4
    try:
        while bytes(data[position : position + 2]) == b"\x02\x00":
            if bytes(data[position + 4 : position + 6]) in _META_LONG_VRS:
                position += 12 + struct.unpack_from("<I", data, position + 8)[0]
            else:
                position += 8 + struct.unpack_from("<H", data, position + 6)[0]
    except struct.error as error:
        raise UndecodableDataSet("the file meta information is damaged") from error
    return position


def _data_set(data: mmap.mmap, start: int, end: int, transfer_syntax_uid: str, max_inflated: int) -> EncodedDataSet:
    declared = Encoding(
        explicit=transfer_syntax_uid != IMPLICIT_VR_LITTLE_ENDIAN,
        little=transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN,
    )
    if transfer_syntax_uid in DEFLATED:
        inflated = _inflate(data, start, max_inflated)
        return EncodedDataSet(inflated, 0, len(inflated), sniff(inflated, 0, len(inflated), declared))
    return EncodedDataSet(data, start, end, sniff(data, start, end, declared))


def _inflate(data: mmap.mmap, start: int, max_inflated: int) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # The mapping cannot be closed while a view of it is alive.
        with memoryview(data) as view, view[start:] as rest:
            inflated = stream.decompress(rest, max_inflated)
    except zlib.error as error:
        raise UndecodableDataSet("the deflate stream is damaged") from error
    if len(inflated) >= max_inflated:
        raise UndecodableDataSet("the deflated data set is too large", limit=max_inflated)
    if not stream.eof:
        raise UndecodableDataSet("the deflate stream is truncated")
    return inflated
