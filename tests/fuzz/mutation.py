"""Damage to streams of PDUs: seeded, fast, and half of the time so that the lengths around it are right again.

Most damage to a length ends a connection at once, and hides what would have come after it. Where the lengths are made
good, it is the values inside that are wrong, and the stream is read to its end.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.receive import pdu

FOLDER = Path(__file__).parent / "corpus"
# Values at which something changes: types of PDUs and items, control headers, ends of ranges, parts of UIDs.
BYTES = (0, 1, 2, 3, 4, 5, 6, 7, 0x10, 0x20, 0x2E, 0x30, 0x40, 0x50, 0x58, 0x7F, 0x80, 0xFE, 0xFF)
LENGTHS = (0, 1, 2, 5, 6, 7, 255, 1024, 0xFFFF, pdu.MAX_LENGTH, pdu.MAX_LENGTH + 1, 0x7FFFFFFF, 0xFFFFFFFF)
LONGEST = 20000


def corpus(kind: str = "") -> list[bytes]:
    """The streams that follow an association request; or, of ``kind`` ``associations``, the requests."""
    return [path.read_bytes() for path in sorted((FOLDER / kind).glob("*.bin"))]


def write_down(found: bytes, kind: str = "") -> Path:
    """Add a stream that broke something to the corpus, so that it is tried again from now on."""
    path = FOLDER / kind / f"found-{random.Random(found).getrandbits(32):08x}.bin"
    path.write_bytes(found)
    return path


def split(stream: bytes) -> list[bytes]:
    """The PDUs of a stream; what is no whole one at its end is the last."""
    found, at = [], 0
    while at < len(stream):
        whole = at + pdu.HEADER_LENGTH <= len(stream)
        end = at + pdu.HEADER_LENGTH + pdu.header(stream, at)[1] if whole else len(stream)
        found.append(stream[at : min(end, len(stream))])
        at = end
    return found


@dataclass(frozen=True, slots=True)
class Mutator:
    """Streams made of ``seeds``, always the same ones for the same ``chance``."""

    chance: random.Random
    seeds: Sequence[bytes]

    def stream(self) -> bytes:
        chance = self.chance
        parts = split(chance.choice(self.seeds))
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
            if parts and chance.random() < 0.6:
                at = chance.randrange(len(parts))
                parts[at] = self._damaged(parts[at])
            else:
                parts = self._shuffled(parts)
        made = b"".join(parts)[:LONGEST]
        return made[: chance.randrange(len(made) + 1)] if chance.random() < 0.05 else made

    def pieces(self) -> list[int]:
        """In what sizes it arrives."""
        chance = self.chance
        return [] if chance.random() < 0.7 else [chance.choice((1, 2, 5, 6, 7, 64, 500)) for _ in range(3)]

    def _damaged(self, part: bytes) -> bytes:
        """One PDU with wrong bytes; its length is made good half of the time, and those inside it sometimes."""
        head, body = part[: pdu.HEADER_LENGTH], bytearray(part[pdu.HEADER_LENGTH :])
        if self.chance.random() < 0.1:
            return self._bytes(bytearray(part))
        damaged = self._bytes(body)
        if self.chance.random() < 0.5 or len(head) < pdu.HEADER_LENGTH:
            return head + damaged
        return head[:2] + struct.pack(">I", len(damaged)) + self._with_lengths(head[0], damaged)

    def _with_lengths(self, kind: int, body: bytes) -> bytes:
        """Let the first presentation data value fill the PDU, if there is one."""
        if kind != pdu.P_DATA or len(body) < 6 or self.chance.random() < 0.7:
            return body
        return struct.pack(">I", len(body) - 4) + body[4:]

    def _bytes(self, changed: bytearray) -> bytes:
        chance = self.chance
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(changed) + 1)
            way = chance.randrange(7)
            if way <= 1 and at < len(changed):
                changed[at] = chance.choice(BYTES) if way else changed[at] ^ 1 << chance.randrange(8)
            elif way == 2:
                changed[at:at] = chance.randbytes(chance.choice((1, 2, 4, 8)))
            elif way == 3:
                del changed[at : at + chance.choice((1, 2, 4, 8, 64))]
            elif way == 4:
                changed[at : at + 4] = struct.pack(chance.choice((">I", "<I")), chance.choice(LENGTHS))
            elif way == 5:
                changed[at : at + 2] = struct.pack(chance.choice((">H", "<H")), chance.choice(LENGTHS) & 0xFFFF)
            else:
                until = min(len(changed), at + chance.choice((1, 8, 64)))
                changed[at:at] = changed[at:until]
        return bytes(changed)

    def _shuffled(self, parts: list[bytes]) -> list[bytes]:
        """PDUs left out, doubled, in another order, of another stream, or with another partition."""
        chance = self.chance
        others = split(chance.choice(self.seeds))
        at, to = chance.randrange(len(parts) + 1), chance.randrange(len(others) + 1)
        way = chance.randrange(5)
        if way == 0:
            return parts[:at] + parts[at + 1 :]
        if way == 1:
            return parts[:at] + parts[at : at + 1] * 2 + parts[at + 1 :]
        if way == 2:
            return parts[:at] + others[to:]
        if way == 3:
            return parts[:at] + others[to : to + 1] + parts[at:]
        return [*parts[:at], self._joined(parts[at : at + 2]), *parts[at + 2 :]]

    def _joined(self, parts: Sequence[bytes]) -> bytes:
        """The contents of P-DATA-TF PDUs in one."""
        bodies = b"".join(part[pdu.HEADER_LENGTH :] for part in parts)
        return struct.pack(">BBI", pdu.P_DATA, 0, len(bodies)) + bodies
