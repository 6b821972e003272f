"""One walk over an encoded data set (PS3.5 section 7), without recursion and without decoding a value.

It proves that the data set is whole (every element ends where its container or the data set allows) and not absurdly
deep, and picks up the raw bytes of the few attributes that the node keeps. Sequences of defined length are walked as
well, to see how deep they go; where one of them is damaged inside, it is passed over, since its length is sound.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from node.errors import UndecodableDataSet
from node.receive import plain

MAX_DEPTH = 64
MAX_STEPS = 4_000_000
MAX_VALUE_LENGTH = 64 * 1024

SHARED_GROUPS = 0x52009229
PER_FRAME_GROUPS = 0x52009230
GROUPS = frozenset((SHARED_GROUPS, PER_FRAME_GROUPS))
PIXEL_DATA = 0x7FE00010
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF

# PS3.5 Table 7.1-1: these carry two reserved bytes and a length of four.
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_ITEM_TAGS = (struct.pack("<HH", 0xFFFE, 0xE000), struct.pack(">HH", 0xFFFE, 0xE000))

Buffer = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class Encoding:
    """Explicit or implicit VR, little or big endian."""

    explicit: bool
    little: bool = True


class RawValue(NamedTuple):
    """The bytes of an element; ``vr`` is empty in implicit VR."""

    vr: str
    data: bytes
    little: bool


@dataclass(slots=True)
class Found:
    """``top`` holds elements of the data set itself; ``groups`` those of the first frame's functional groups."""

    top: dict[int, RawValue] = field(default_factory=dict)
    groups: dict[int, RawValue] = field(default_factory=dict)


@dataclass(slots=True)
class _Container:
    """An open sequence (it holds items) or item (it holds elements). ``end`` is None where a delimiter ends it."""

    tag: int
    holds_items: bool
    end: int | None
    explicit: bool
    items: int = 0


class _Malformed(Exception):
    pass


class _Exhausted(Exception):
    """The steps are used up, if every plain sequence has as many elements as it could have."""


class Walk:
    """``data[start:end]`` is the data set; ``wanted`` are the tags to pick up, at the top or in functional groups.

    ``groups`` is False where nothing is wanted in functional groups. ``max_steps`` bounds the elements, items and
    fragments looked at, whatever a hostile structure makes of them.
    """

    def __init__(
        self,
        data: Buffer,
        start: int,
        end: int,
        encoding: Encoding,
        wanted: Collection[int],
        max_steps: int = MAX_STEPS,
        groups: bool = True,
    ) -> None:
        self._data = data
        self._end = end
        self._wanted = wanted
        self._little = encoding.little
        self._tag_length = struct.Struct("<HHI" if encoding.little else ">HHI")
        self._long = struct.Struct("<I" if encoding.little else ">I")
        self._short = struct.Struct("<H" if encoding.little else ">H")
        self._explicit = encoding.explicit
        self._start = start
        self._max_steps = max_steps
        self._groups = GROUPS if groups else frozenset()
        self._wanted_plain = plain.wanted(frozenset(wanted), self._groups)
        self._begin(plainly=encoding.little)

    def _begin(self, plainly: bool) -> None:
        self._plainly = plainly
        self._position = self._start
        self._open = [_Container(tag=0, holds_items=False, end=self._end, explicit=self._explicit)]
        self._steps_left = self._max_steps
        self._found = Found()

    def run(self) -> Found:
        """
        Raises:
            UndecodableDataSet: truncated, malformed, nested more than 64 levels deep, or too many elements.
        """
        try:
            return self._run()
        except _Exhausted:
            # Plain sequences are counted by an upper bound of their steps; now each step is.
            self._begin(plainly=False)
            return self._run()

    def _run(self) -> Found:
        while self._open:
            try:
                self._plain_elements(self._open[-1])
                self._count()
                self._step(self._open[-1])
            except (_Malformed, struct.error) as error:
                self._pass_over(str(error) or "the data set is truncated")
        return self._found

    def _plain_elements(self, container: _Container) -> None:
        """Those that can be taken without a closer look; it stops where one cannot, or at the end."""
        if not self._plainly or container.holds_items:
            return
        wanted = self._wanted_plain if self._place() is not None else plain.NOTHING
        depth = len(self._open) - 1
        if depth and self._in_first_group():
            depth = plain.MAX_OPEN  # something may be wanted inside any sequence there
        end = self._end if container.end is None else container.end
        take: plain.Take = plain.explicit if container.explicit else plain.implicit
        self._position, steps, found = take(self._data, self._position, end, wanted, self._steps_left, depth)
        self._steps_left -= steps
        into = self._place() if found else None
        if into is not None:
            for tag, vr, start, following in found:
                if tag not in into and following - start <= MAX_VALUE_LENGTH:
                    into[tag] = RawValue(vr, self._data[start:following], True)

    def _in_first_group(self) -> bool:
        return self._open[1].tag in self._groups and self._open[1].items == 1

    def _count(self) -> None:
        self._steps_left -= 1
        if self._steps_left < 0:
            raise _Exhausted if self._plainly else UndecodableDataSet("too many data elements")

    def _step(self, container: _Container) -> None:
        if container.end is not None and self._position >= container.end:
            if self._position > container.end:
                raise _Malformed("the data set is truncated")
            self._open.pop()
        elif self._position + 8 > self._end:
            self._padding(container)
        elif container.holds_items:
            self._item(container)
        else:
            self._element(container)

    def _padding(self, container: _Container) -> None:
        """Fewer bytes than an element has: only zeros at the very end are tolerated."""
        if len(self._open) > 1 or bytes(self._data[self._position : self._end]).strip(b"\x00"):
            raise _Malformed("the data set is truncated")
        self._position = self._end
        container.end = self._end

    def _item(self, sequence: _Container) -> None:
        tag, length = self._header()
        self._position += 8
        if tag == SEQUENCE_END and sequence.end is None:
            self._open.pop()
        elif tag == ITEM:
            end = None if length == UNDEFINED else self._within(sequence, length)
            sequence.items += 1
            self._enter(_Container(sequence.tag, False, end, sequence.explicit))
        else:
            raise _Malformed("an item is missing in a sequence")

    def _element(self, container: _Container) -> None:
        tag, length = self._header()
        if tag == ITEM_END and container.end is None:
            self._position += 8
            self._open.pop()
            return
        vr = b""
        self._position += 8
        if container.explicit:
            vr, length = self._explicit_header()
        if tag >> 16 == 0xFFFE:
            raise _Malformed("a delimiter out of place")
        self._value(container, tag, vr, length)

    def _value(self, container: _Container, tag: int, vr: bytes, length: int) -> None:
        start = self._position
        if length == UNDEFINED:
            self._undefined(container, tag, vr)
            return
        end = self._within(container, length)
        if tag in self._wanted:
            self._keep(tag, vr, start, end)
        if vr == b"SQ" or (vr in (b"", b"UN") and self._data[start : start + 4] in _ITEM_TAGS):
            explicit = container.explicit and vr == b"SQ"
            self._enter(_Container(tag, True, end, explicit))
        else:
            self._position = end

    def _undefined(self, container: _Container, tag: int, vr: bytes) -> None:
        """A sequence, or encapsulated pixel data (PS3.5 Annex A.4)."""
        if vr in (b"SQ", b"UN", b"") and tag != PIXEL_DATA:
            # PS3.5 section 6.2.2: an unknown VR of undefined length is encoded in implicit VR little endian.
            self._enter(_Container(tag, True, None, container.explicit and vr == b"SQ"))
        else:
            self._fragments()

    def _fragments(self) -> None:
        while True:
            self._count()
            if self._position + 8 > self._end:
                raise _Malformed("the pixel data are truncated")
            tag, length = self._header()
            self._position += 8
            if tag == SEQUENCE_END:
                return
            if tag != ITEM or length == UNDEFINED or self._position + length > self._end:
                raise _Malformed("the pixel data are truncated")
            self._position += length

    def _keep(self, tag: int, vr: bytes, start: int, end: int) -> None:
        into = self._place()
        if into is not None and end - start <= MAX_VALUE_LENGTH and tag not in into:
            into[tag] = RawValue(vr.decode("ascii"), bytes(self._data[start:end]), self._little)

    def _place(self) -> dict[int, RawValue] | None:
        if len(self._open) == 1:
            return self._found.top
        # data set > functional groups > item > one functional group > item
        if len(self._open) == 5 and self._in_first_group():
            return self._found.groups
        return None

    def _header(self) -> tuple[int, int]:
        group, element, length = self._tag_length.unpack_from(self._data, self._position)
        return group << 16 | element, length

    def _explicit_header(self) -> tuple[bytes, int]:
        vr = bytes(self._data[self._position - 4 : self._position - 2])
        if not (vr.isalpha() and vr.isupper()):
            raise _Malformed("a value representation is missing")
        if vr not in _LONG_VRS:
            return vr, self._short.unpack_from(self._data, self._position - 2)[0]
        if self._position + 4 > self._end:
            raise _Malformed("the data set is truncated")
        self._position += 4
        return vr, self._long.unpack_from(self._data, self._position - 4)[0]

    def _within(self, container: _Container, length: int) -> int:
        end = self._position + length
        if end > (self._end if container.end is None else container.end):
            raise _Malformed("the data set is truncated")
        return end

    def _enter(self, container: _Container) -> None:
        if len(self._open) > 2 * MAX_DEPTH:
            raise UndecodableDataSet("sequences are nested too deeply", limit=MAX_DEPTH)
        self._open.append(container)

    def _pass_over(self, what: str) -> None:
        """Go on behind the outermost sequence of defined length; without one the data set is unreadable."""
        for depth, container in enumerate(self._open[1:], start=1):
            if container.end is not None and container.end <= self._end:
                self._position = container.end
                del self._open[depth:]
                return
        raise UndecodableDataSet(what, offset=self._position)


def sniff(data: Buffer, start: int, end: int, declared: Encoding) -> Encoding:
    """The encoding as the first element shows it: some senders negotiate implicit VR and send explicit VR, or the

    other way round. Like every reader we believe the bytes: an explicit element has two capital letters for its VR.
    """
    if end - start < 8:
        return declared
    vr = bytes(data[start + 4 : start + 6])
    return Encoding(explicit=vr.isalpha() and vr.isupper() and vr.isascii(), little=declared.little)
