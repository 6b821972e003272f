"""Elements that need no closer look, in little endian: well formed, within their bounds, nested as they should be.

Nearly all elements of nearly all data sets are so. The loops here cost a third of a microsecond for each, so that a
data set is checked before its sender is answered. They decide nothing: at the first element that is not plain they
stop, and the walk (``receive.walk``) looks at it step by step, with the same result as if it had done so from the
beginning.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

Buffer = bytes | mmap.mmap
# Tag, VR, where the value begins and ends.
Element = tuple[int, str, int, int]
# Where it stopped, how many steps the walk would have needed at most, and what was wanted of it.
Taken = tuple[int, int, list[Element]]

# What is deeper than so many sequences and items is left to the walk, which knows the limit. A sequence that turns out
# not to be plain is looked at again, and so is what is inside it: the limit bounds that too.
MAX_OPEN = 16
# A sequence of defined length and no more than this many bytes, without an undefined length anywhere in it, holds too
# few bytes to be nested too deeply; whatever else is wrong with it does not matter, since its length is sound.
MAX_SHORT_SEQUENCE = 512

PIXEL_DATA = 0x7FE00010


def _vrs(names: str) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names.split())


_UNDEFINED = 0xFFFFFFFF
_UNDEFINED_BYTES = b"\xff\xff\xff\xff"
_DELIMITERS = 0xFFFE  # the group of items and delimiters (PS3.5 section 7.5)
_EXPLICIT = struct.Struct("<I2sH").unpack_from
_IMPLICIT = struct.Struct("<III").unpack_from
_TAG_AND_LENGTH = struct.Struct("<II").unpack_from
_LENGTH = struct.Struct("<I").unpack_from
# PS3.5 Table 7.1-2: a length of two bytes.
_SHORT = _vrs("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US")
# Table 7.1-1; SQ, and UN where it may be a sequence, are looked at.
_LONG = _vrs("OB OD OF OL OV OW SV UC UR UT UV")
_SEQUENCE, _UNKNOWN = b"SQ", b"UN"
_NAMES = {vr: vr.decode() for vr in (*_SHORT, *_LONG, _UNKNOWN)}
# The tag of an item in either byte order: in implicit VR, and behind UN, it shows a sequence.
_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_ITEM_NUMBERS = frozenset(_LENGTH(each)[0] for each in _ITEMS)


def swapped(tag: int) -> int:
    """A tag as the number that its four bytes are when read at once: group and element change places."""
    return (tag & 0xFFFF) << 16 | tag >> 16


_ITEM, _ITEM_END, _SEQUENCE_END = swapped(0xFFFEE000), swapped(0xFFFEE00D), swapped(0xFFFEE0DD)


@dataclass(frozen=True, slots=True)
class Wanted:
    """``tags`` are to be picked up; a sequence that is one of ``looked_at`` is the walk's. Both are ``swapped``.

    ``tags`` maps them to what they are in the right order.
    """

    tags: Mapping[int, int]
    looked_at: frozenset[int]


@lru_cache(maxsize=64)
def wanted(tags: frozenset[int], groups: frozenset[int]) -> Wanted:
    """``tags`` to be picked up, and ``groups`` whose insides are of interest."""
    return Wanted({swapped(tag): tag for tag in tags}, frozenset(map(swapped, tags | groups | {PIXEL_DATA})))


NOTHING = wanted(frozenset(), frozenset())


class Take(Protocol):
    """``explicit`` or ``implicit``."""

    def __call__(self, data: Buffer, position: int, end: int, wanted: Wanted, at_most: int, depth: int) -> Taken: ...


def explicit(data: Buffer, position: int, end: int, wanted: Wanted, at_most: int, depth: int) -> Taken:
    """Plain elements from ``position`` on, in explicit VR, while fewer than ``at_most`` steps are taken.

    ``depth`` is the number of sequences and items around them: 0 for elements of the data set itself.
    """
    found: list[Element] = []
    short, long, names, tags = _SHORT, _LONG, _NAMES, wanted.tags
    last, steps = end - 8, 0
    while position <= last and steps < at_most:
        tag, vr, length = _EXPLICIT(data, position)
        start = position + 8
        if vr not in short:
            start = position + 12
            if start > end:
                break
            (length,) = _LENGTH(data, position + 8)
            if vr == _SEQUENCE:
                if tag in wanted.looked_at or tag & 0xFFFF == _DELIMITERS:
                    break
                inside = _sequence(data, start, length, end, explicit, at_most - steps, depth)
                if inside is None:
                    break
                position, more = inside
                steps += more
                continue
            if length == _UNDEFINED or not (vr in long or (vr == _UNKNOWN and data[start : start + 4] not in _ITEMS)):
                break
        following = start + length
        if following > end or tag & 0xFFFF == _DELIMITERS:
            break
        if tag in tags:
            found.append((tags[tag], names[vr], start, following))
        position = following
        steps += 1
    return position, steps, found


def implicit(data: Buffer, position: int, end: int, wanted: Wanted, at_most: int, depth: int) -> Taken:
    """The same in implicit VR."""
    found: list[Element] = []
    items, tags = _ITEM_NUMBERS, wanted.tags
    last, steps = end - 12, 0
    while position <= last and steps < at_most:
        tag, length, first = _IMPLICIT(data, position)
        start = position + 8
        following = start + length
        if length == _UNDEFINED or first in items:
            if tag in wanted.looked_at or tag & 0xFFFF == _DELIMITERS:
                break
            inside = _sequence(data, start, length, end, implicit, at_most - steps, depth)
            if inside is None:
                break
            position, more = inside
            steps += more
            continue
        if following > end or tag & 0xFFFF == _DELIMITERS:
            break
        if tag in tags:
            found.append((tags[tag], "", start, following))
        position = following
        steps += 1
    return position, steps, found


def _sequence(
    data: Buffer, start: int, length: int, end: int, take: Take, at_most: int, depth: int
) -> tuple[int, int] | None:
    """Where the sequence ends whose items begin at ``start``, and how many steps it takes; None: it is not plain."""
    endless = length == _UNDEFINED
    bound = end if endless else start + length
    if bound > end or depth >= MAX_OPEN:
        return None
    if depth == 0 and length <= MAX_SHORT_SEQUENCE and data.find(_UNDEFINED_BYTES, start, bound) < 0:
        return bound, 4 + length // 4
    position, steps = start, 2
    while endless or position < bound:
        if position + 8 > bound:
            return None
        tag, length = _TAG_AND_LENGTH(data, position)
        position += 8
        if endless and tag == _SEQUENCE_END:
            break
        following = _item(data, position, length, bound, take, at_most - steps, depth + 2) if tag == _ITEM else None
        if following is None:
            return None
        position, more = following
        steps += more
    return position, steps


def _item(
    data: Buffer, start: int, length: int, bound: int, take: Take, at_most: int, depth: int
) -> tuple[int, int] | None:
    """The same of an item's elements."""
    endless = length == _UNDEFINED
    end = bound if endless else start + length
    if end > bound:
        return None
    position, steps, _ = take(data, start, end, NOTHING, at_most, depth)
    if not endless:
        return (end, steps + 2) if position == end else None
    if position + 8 > bound or _TAG_AND_LENGTH(data, position)[0] != _ITEM_END:
        return None
    return position + 8, steps + 2
