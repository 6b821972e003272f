"""Data sets alike in structure: most images of a series have the same elements, of the same lengths.

Where a data set proves to be like one that was walked before, there is nothing left to walk. The proof is exact: all
bytes by which the walk decides (tags, VRs, lengths, items, delimiters, at every depth) are the same, in their places.
Only data sets in explicit VR little endian whose elements all have a length are learned; others are walked each time.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from node.receive.walk import GROUPS, MAX_VALUE_LENGTH, UNDEFINED

Buffer = bytes | mmap.mmap
T = TypeVar("T")

MAX_DEPTH = 8
MAX_PARTS = 2048  # of more elements than that, none is learned
MAX_LENGTHS = 256
SHAPES_OF_A_LENGTH = 4
LEARN_AT = 2  # a length that comes once teaches nothing

NOWHERE = -1  # the tag of what is not at the top of the data set
# Tag and VR of an element, where its header begins, where its structure ends, where its value begins and ends.
Part = tuple[int, str, int, int, int, int]

_ELEMENT = struct.Struct("<HH2sH").unpack_from
_ITEM_HEADER = struct.Struct("<HHI").unpack_from
_LENGTH = struct.Struct("<I").unpack_from
_DELIMITERS = 0xFFFE  # the group of items and delimiters (PS3.5 section 7.5)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD
# PS3.5 Table 7.1-2 (a length of two bytes) and Table 7.1-1 (of four).
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG = frozenset(b"OB OD OF OL OV OW SV UC UN UR UT UV".split())
# What begins so behind UN is a sequence, in either byte order.
_ITEM_TAGS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """``pick`` gives the values of the wanted ``elements`` (tag and VR), for each tag the first one's at the top."""

    structure: struct.Struct
    expected: tuple[bytes, ...]
    elements: tuple[tuple[int, str], ...]
    values: struct.Struct

    def fits(self, data: Buffer, start: int) -> bool:
        """Whether the data set at ``start``, of the length that this one had, has the same structure."""
        return self.structure.unpack_from(data, start) == self.expected

    def pick(self, data: Buffer, start: int) -> tuple[bytes, ...]:
        return self.values.unpack_from(data, start)


class Shapes:
    """Those seen lately, by the length of the data set; for one set of ``wanted`` tags, and for many threads."""

    def __init__(self, wanted: Iterable[int]) -> None:
        self._wanted = frozenset(wanted)
        self._guard = threading.Lock()
        self._shapes: dict[int, tuple[Shape, ...]] = {}
        self._misses: dict[int, int] = {}

    def of(self, data: Buffer, start: int, end: int) -> Shape | None:
        """The shape of ``data[start:end]``, which then is whole and well formed; None where it is not known."""
        for shape in self._shapes.get(end - start, ()):
            if shape.fits(data, start):
                return shape
        return None

    def learn(self, data: Buffer, start: int, end: int) -> None:
        """``data[start:end]``, explicit VR little endian, has been walked, and nothing is wrong with it."""
        length = end - start
        with self._guard:
            misses = self._misses.pop(length, 0) + 1
            if misses < LEARN_AT:
                _keep(self._misses, length, misses)
                return
            shape = shape_of(data, start, end, self._wanted)
            if shape is not None:
                _keep(self._shapes, length, (shape, *self._shapes.get(length, ())[: SHAPES_OF_A_LENGTH - 1]))


def shape_of(data: Buffer, start: int, end: int, wanted: frozenset[int]) -> Shape | None:
    """None where something in it is left to the walk."""
    try:
        parts = list(_elements(data, start, end, 0))
    except (_LeftToTheWalk, struct.error):
        return None
    if not parts or len(parts) > MAX_PARTS:
        return None
    found: dict[int, tuple[str, int, int]] = {}
    for tag, vr, _, _, value, until in parts:
        if tag in wanted and until - value <= MAX_VALUE_LENGTH:
            found.setdefault(tag, (vr, value, until))
    structure = _picking(start, ((begin, until) for _, _, begin, until, _, _ in parts))
    values = _picking(start, ((value, until) for _, value, until in found.values()))
    elements = tuple((tag, vr) for tag, (vr, _, _) in found.items())
    return Shape(structure, structure.unpack_from(data, start), elements, values)


class _LeftToTheWalk(Exception):
    pass


def _elements(data: Buffer, position: int, end: int, depth: int) -> Iterator[Part]:
    """All that lies before ``end``, at every depth."""
    while position < end:
        position = yield from _element(data, position, end, depth)
    if position > end:
        raise _LeftToTheWalk


def _element(data: Buffer, at: int, end: int, depth: int) -> Generator[Part, None, int]:
    """Where the next one begins."""
    group, element, vr, length = _ELEMENT(data, at)
    value = at + 8
    if vr not in _SHORT:
        (length,) = _LENGTH(data, value)
        value += 4
    tag = group << 16 | element
    if group == _DELIMITERS or tag in GROUPS or value > end:
        raise _LeftToTheWalk
    if vr == b"SQ":
        yield NOWHERE, "", at, value, value, value
        return (yield from _items(data, value, length, end, depth + 1))
    until: int = value + length
    if length == UNDEFINED or until > end or not (vr in _SHORT or vr in _LONG):
        raise _LeftToTheWalk
    structure = _beginning_of_unknown(data, value, length) if vr == b"UN" else value
    yield NOWHERE if depth else tag, vr.decode(), at, structure, value, until
    return until


def _beginning_of_unknown(data: Buffer, value: int, length: int) -> int:
    """The first bytes show whether it is a sequence."""
    if 0 < length < 4 or data[value : value + 4] in _ITEM_TAGS:
        raise _LeftToTheWalk
    return value + min(length, 4)


def _items(data: Buffer, at: int, length: int, end: int, depth: int) -> Generator[Part, None, int]:
    """Where the sequence ends."""
    bound = end if length == UNDEFINED else at + length
    if bound > end or depth > MAX_DEPTH:
        raise _LeftToTheWalk
    while length == UNDEFINED or at < bound:
        group, element, size = _ITEM_HEADER(data, at)
        if group != _DELIMITERS or at + 8 > bound:
            raise _LeftToTheWalk
        yield NOWHERE, "", at, at + 8, at, at
        at += 8
        if element == _SEQUENCE_END and length == UNDEFINED:
            return at
        if element != _ITEM:
            raise _LeftToTheWalk
        at = yield from _item(data, at, size, bound, depth)
    return at


def _item(data: Buffer, at: int, length: int, bound: int, depth: int) -> Generator[Part, None, int]:
    """Where it ends, behind its delimiter where it has one."""
    if length != UNDEFINED:
        if at + length > bound:
            raise _LeftToTheWalk
        yield from _elements(data, at, at + length, depth)
        return at + length
    while _ITEM_HEADER(data, at)[:2] != (_DELIMITERS, _ITEM_END):
        at = yield from _element(data, at, bound, depth)
    if at + 8 > bound:
        raise _LeftToTheWalk
    yield NOWHERE, "", at, at + 8, at, at
    return at + 8


def _picking(start: int, ranges: Iterable[tuple[int, int]]) -> struct.Struct:
    """Unpacks these ranges, which follow each other, as bytes; they count from ``start``."""
    words, at = ["<"], start
    for begin, until in ranges:
        words.append(f"{begin - at}x{until - begin}s")
        at = until
    return struct.Struct("".join(words))


def _keep(into: dict[int, T], length: int, value: T) -> None:
    """At most so many; the oldest makes room."""
    into.pop(length, None)
    into[length] = value
    if len(into) > MAX_LENGTHS:
        del into[next(iter(into))]
