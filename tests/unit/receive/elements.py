"""Data sets made of bytes, element by element."""

from __future__ import annotations

import struct

LONG_VRS = ("OB", "OW", "SQ", "UN", "UT", "UC", "UR", "OF", "OD", "OL", "OV", "SV", "UV")
UNDEFINED = 0xFFFFFFFF


def explicit(tag: int, vr: str, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    """An element in explicit VR; ``length`` overrides the true one."""
    size = len(value) if length is None else length
    head = struct.pack(f"{order}HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack(f"{order}HI", 0, size) if vr in LONG_VRS else struct.pack(f"{order}H", size)) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes, undefined: bool = False) -> bytes:
    if undefined:
        return implicit(0xFFFEE000, content, UNDEFINED) + implicit(0xFFFEE00D, b"")
    return implicit(0xFFFEE000, content)


def sequence(tag: int, *items: bytes, undefined: bool = False) -> bytes:
    """A sequence in explicit VR."""
    content = b"".join(item(each, undefined) for each in items)
    if undefined:
        return explicit(tag, "SQ", content, UNDEFINED) + implicit(0xFFFEE0DD, b"")
    return explicit(tag, "SQ", content)
