"""The bytes of a DICOM Part 10 file: where the data set begins, in which syntax it is, and recoding it.

Pure: bytes in, bytes out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.domain.identity import is_uid
from node.errors import UndecodableDataSet

# Between these a data set can be recoded without touching a pixel; deflated is only ever a source.
RECODABLE = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian})
RECODED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)

_PREAMBLE = 128
_TRANSFER_SYNTAX = (0x0002, 0x0010)
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"})


@dataclass(frozen=True, slots=True)
class Part10:
    """A file taken apart: ``data_set`` are the encoded bytes after the file meta information, unchanged."""

    transfer_syntax_uid: str
    data_set: bytes


def split(file: bytes) -> Part10:
    """Take a Part 10 file apart (PS3.10 section 7.1).

    The elements of group 0002 are walked rather than jumped over by their group length, which real files have wrong.

    Raises:
        UndecodableDataSet: no Part 10 file, or file meta information without a Transfer Syntax UID.
    """
    if file[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        raise UndecodableDataSet("not a DICOM Part 10 file")
    position = _PREAMBLE + 4
    transfer_syntax = ""
    while file[position : position + 2] == b"\x02\x00":
        tag, value, position = _element(file, position)
        if tag == _TRANSFER_SYNTAX:
            transfer_syntax = value.rstrip(b"\0 ").decode("ascii", "replace")
    if not is_uid(transfer_syntax):
        raise UndecodableDataSet("file meta information without a Transfer Syntax UID")
    return Part10(transfer_syntax, file[position:])


def recode(file: bytes, transfer_syntax_uid: str) -> bytes:
    """The data set of a Part 10 file in another uncompressed syntax.

    Raises:
        UndecodableDataSet: the data set cannot be parsed, or not be written in that syntax.
    """
    written = BytesIO()
    try:
        data_set = pydicom.dcmread(BytesIO(file))
        data_set.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
        pydicom.dcmwrite(written, data_set, enforce_file_format=True)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, struct.error, NotImplementedError) as error:
        raise UndecodableDataSet(f"cannot be recoded: {type(error).__name__}") from error
    return split(written.getvalue()).data_set


def _element(file: bytes, position: int) -> tuple[tuple[int, int], bytes, int]:
    """Tag, value and end of the Explicit VR Little Endian element at ``position`` (PS3.5 section 7.1.2)."""
    try:
        group, element, vr = struct.unpack_from("<HH2s", file, position)
        if vr in _LONG_VRS:
            (length,) = struct.unpack_from("<I", file, position + 8)
            start = position + 12
        else:
            (length,) = struct.unpack_from("<H", file, position + 6)
            start = position + 8
    except struct.error as error:
        raise UndecodableDataSet("file meta information ends too early") from error
    if start + length > len(file):
        raise UndecodableDataSet("file meta information ends too early")
    return (group, element), file[start : start + length], start + length
