"""The bytes of a C-STORE on the wire, as pure functions: P-DATA-TF PDUs, command sets, file meta information.

Only the plain form of a C-STORE-RQ is understood here, the one that every sender uses. Whatever is unusual about a
message is answered by None: then pynetdicom reads it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from node.domain.identity import MAX_UID_LENGTH
from node.receive.status import Answer

P_DATA = 0x04
HEADER_LENGTH = 6
COMMAND, LAST = 0x01, 0x02
# An A-ASSOCIATE-RQ with 128 contexts of many transfer syntaxes stays below 1 MiB, and P-DATA below what we announce;
# a length beyond this is an attack or another protocol.
MAX_LENGTH = 4 << 20

# What a P-DATA-TF PDU holds: (presentation context id, message control header, begin and end of the fragment).
Fragment = tuple[int, int, int, int]
Buffer = bytes | bytearray

_PDU_HEADER = struct.Struct(">BBI")
_PDV_HEADER = struct.Struct(">IBB")
_PDV_LENGTH_AT_LEAST = 2  # the context id and the message control header (PS3.8 section 9.3.5.1, Annex E)
_ELEMENT = struct.Struct("<HHI")
_US = struct.Struct("<H")
_UL = struct.Struct("<I")
_UL_BIG = struct.Struct(">I")

_GROUP_LENGTH, _SOP_CLASS, _FIELD, _MESSAGE_ID, _RESPONDED_TO = 0x0000, 0x0002, 0x0100, 0x0110, 0x0120
_PRIORITY, _DATA_SET_TYPE, _STATUS, _COMMENT = 0x0700, 0x0800, 0x0900, 0x0902
_SOP_INSTANCE, _MOVE_ORIGINATOR, _MOVE_MESSAGE_ID = 0x1000, 0x1030, 0x1031
_REQUIRED = frozenset({_GROUP_LENGTH, _SOP_CLASS, _FIELD, _MESSAGE_ID, _PRIORITY, _DATA_SET_TYPE, _SOP_INSTANCE})
_KNOWN = _REQUIRED | {_MOVE_ORIGINATOR, _MOVE_MESSAGE_ID}
_C_STORE_RQ, _C_STORE_RSP = 0x0001, 0x8001
_NO_DATA_SET = 0x0101
_PRIORITIES = (0, 1, 2)
_MAX_COMMAND = 1024
_UID_VALUE = re.compile(rb"([0-9]+(?:\.[0-9]+)*)\0?")
_AE_VALUE = re.compile(rb"[ -\[\]-~]{0,16}\0?")

_PREAMBLE = bytes(128) + b"DICM"
_VERSION = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A C-STORE-RQ (PS3.7 section 9.3.1.1) that came in the presentation context ``context_id``."""

    context_id: int
    sop_class_uid: str
    sop_instance_uid: str
    message_id: int


def header(data: Buffer, at: int) -> tuple[int, int]:
    """Type and length of the PDU whose header is at ``at``."""
    kind, _, length = _PDU_HEADER.unpack_from(data, at)
    return kind, length


def put_header(data: bytearray, at: int, end: int) -> None:
    """Make what lies between ``at`` and ``end`` a P-DATA-TF PDU: write its header just before ``at``."""
    _PDU_HEADER.pack_into(data, at - HEADER_LENGTH, P_DATA, 0, end - at)


def is_well_formed(data: Buffer, begin: int, end: int) -> bool:
    """Whether the presentation data values between ``begin`` and ``end`` fill it exactly."""
    at = begin
    while at + _PDV_HEADER.size <= end:
        length = _UL_BIG.unpack_from(data, at)[0]
        if length < _PDV_LENGTH_AT_LEAST:
            return False
        at += 4 + length
    return at == end


def fragments(data: Buffer, begin: int, end: int) -> Iterator[Fragment]:
    """The presentation data values of a well-formed P-DATA-TF PDU."""
    at = begin
    while at < end:
        length, context_id, control = _PDV_HEADER.unpack_from(data, at)
        yield context_id, control, at + _PDV_HEADER.size, at + 4 + length
        at += 4 + length


def opening(data: Buffer, begin: int, end: int) -> tuple[StoreRequest, int] | None:
    """The C-STORE-RQ that a P-DATA-TF PDU begins with, and where its next presentation data value would be.

    None where the PDU begins with something else, or with anything but a plain C-STORE-RQ that has a data set.
    """
    if not is_well_formed(data, begin, end):
        return None
    command = b""
    first = -1
    for context_id, control, at, until in fragments(data, begin, end):
        first = context_id if first < 0 else first
        if not control & COMMAND or context_id != first or len(command) + until - at > _MAX_COMMAND:
            return None
        command += data[at:until]
        if control & LAST:
            request = store_request(command, context_id)
            return None if request is None else (request, until)
    return None


def store_request(command: bytes, context_id: int) -> StoreRequest | None:
    """A plain C-STORE-RQ command set (implicit VR little endian, PS3.7 section 6.3.1); None for any other."""
    values = _elements(command)
    if values is None or not values.keys() >= _REQUIRED:
        return None
    if _us(values, _FIELD) != _C_STORE_RQ or _us(values, _PRIORITY) not in _PRIORITIES:
        return None
    if _us(values, _DATA_SET_TYPE) in (None, _NO_DATA_SET) or not _has_plain_originator(values):
        return None
    message_id = _us(values, _MESSAGE_ID)
    sop_class_uid, sop_instance_uid = _uid(values[_SOP_CLASS]), _uid(values[_SOP_INSTANCE])
    if message_id is None or not sop_class_uid or not sop_instance_uid:
        return None
    return StoreRequest(context_id, sop_class_uid, sop_instance_uid, message_id)


def _elements(command: bytes) -> dict[int, bytes] | None:
    """Elements of group 0000 in ascending order, each even and whole, with the true group length first."""
    values: dict[int, bytes] = {}
    at, before, size = 0, -1, len(command)
    while at + _ELEMENT.size <= size:
        group, number, length = _ELEMENT.unpack_from(command, at)
        at += _ELEMENT.size + length
        if group or number <= before or length % 2 or at > size:
            return None
        values[number] = command[at - length : at]
        before = number
    rest = size - _ELEMENT.size - _UL.size
    if at != size or len(values.get(_GROUP_LENGTH, b"")) != _UL.size or _UL.unpack(values[_GROUP_LENGTH])[0] != rest:
        return None
    return values if values.keys() <= _KNOWN else None


def _us(values: dict[int, bytes], number: int) -> int | None:
    value = values[number]
    return int(_US.unpack(value)[0]) if len(value) == _US.size else None


def _uid(value: bytes) -> str:
    match = _UID_VALUE.fullmatch(value)
    return match[1].decode("ascii") if match and len(match[1]) <= MAX_UID_LENGTH else ""


def _has_plain_originator(values: dict[int, bytes]) -> bool:
    """The sub-operation of a C-MOVE names who asked for it (PS3.7 section 9.1.1.1); we do not use it."""
    return (
        _AE_VALUE.fullmatch(values.get(_MOVE_ORIGINATOR, b"")) is not None
        and len(values.get(_MOVE_MESSAGE_ID, b"\0\0")) == _US.size
    )


def store_response(request: StoreRequest, answer: Answer, max_length: int) -> bytes:
    """The C-STORE-RSP (PS3.7 section 9.3.1.2) as P-DATA-TF PDUs of at most ``max_length`` bytes (0: no limit)."""
    body = (
        _element(_SOP_CLASS, request.sop_class_uid.encode("ascii"))
        + _element(_FIELD, _US.pack(_C_STORE_RSP))
        + _element(_RESPONDED_TO, _US.pack(request.message_id))
        + _element(_DATA_SET_TYPE, _US.pack(_NO_DATA_SET))
        + _element(_STATUS, _US.pack(answer.status))
        + (_element(_COMMENT, answer.comment.encode("ascii"), b" ") if answer.comment else b"")
        + _element(_SOP_INSTANCE, request.sop_instance_uid.encode("ascii"))
    )
    command = _element(_GROUP_LENGTH, _UL.pack(len(body))) + body
    step = max_length - _PDV_HEADER.size if max_length else len(command)
    return b"".join(
        _pdu(request.context_id, command[at : at + step], at + step >= len(command))
        for at in range(0, len(command), step)
    )


def _element(number: int, value: bytes, padding: bytes = b"\0") -> bytes:
    padded = value + padding if len(value) % 2 else value
    return _ELEMENT.pack(0, number, len(padded)) + padded


def _pdu(context_id: int, part: bytes, last: bool) -> bytes:
    control = COMMAND | LAST if last else COMMAND
    length = len(part) + _PDV_LENGTH_AT_LEAST
    return _PDU_HEADER.pack(P_DATA, 0, length + 4) + _PDV_HEADER.pack(length, context_id, control) + part


def file_meta(
    request: StoreRequest, transfer_syntax_uid: str, implementation_uid: str, implementation_version: str
) -> bytes:
    """What a Part 10 file begins with (PS3.10 section 7.1), up to its data set."""
    elements = (
        _VERSION
        + _meta(2, b"UI", request.sop_class_uid)
        + _meta(3, b"UI", request.sop_instance_uid)
        + _meta(0x10, b"UI", transfer_syntax_uid)
        + _meta(0x12, b"UI", implementation_uid)
        + _meta(0x13, b"SH", implementation_version, b" ")
    )
    return _PREAMBLE + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements)) + elements


def _meta(number: int, vr: bytes, text: str, padding: bytes = b"\0") -> bytes:
    value = text.encode("ascii")
    padded = value + padding if len(value) % 2 else value
    return struct.pack("<HH2sH", 2, number, vr, len(padded)) + padded
