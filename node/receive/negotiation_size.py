"""How much an association may be negotiated about, asked before pynetdicom decodes the request.

It takes some 20 us for each item of an A-ASSOCIATE-RQ (PS3.8 section 9.3.2), in a lock that all associations of the
process share: a request of 4 MiB made of empty items would slow down everybody for 20 s.
"""

from __future__ import annotations

import struct

# 128 presentation contexts, each with its abstract syntax and 64 transfer syntaxes, and a user information with as
# many roles and extended negotiations as there are contexts, are 9000 items of about 300 KB.
MAX_ITEMS = 10_000
MAX_LENGTH = 512 << 10

ASSOCIATE_RQ, ASSOCIATE_AC = 1, 2
_ITEM = struct.Struct(">BxH")
# Where the items begin: in the PDU, and in those items that hold others (sections 9.3.2.2 and 9.3.2.3, 9.3.3.2).
_FIRST_ITEM = 74
_SUB_ITEMS = {0x20: 8, 0x21: 8, 0x50: 4}


def require_bounded(pdu: bytes | bytearray) -> None:
    """Of the PDUs that negotiate; any other is of any length.

    Raises:
        ValueError: it is longer than ``MAX_LENGTH``, or has more items than ``MAX_ITEMS``.
    """
    if not pdu or pdu[0] not in (ASSOCIATE_RQ, ASSOCIATE_AC):
        return
    if len(pdu) > MAX_LENGTH:
        raise ValueError("the association request is too long")
    if _items(pdu) > MAX_ITEMS:
        raise ValueError("the association request has too many items")


def _items(pdu: bytes | bytearray) -> int:
    """How many items there are, those within items too: what an item holds begins just behind its header.

    Where a length is wrong the count may be too; but there pynetdicom reads no further either.
    """
    count, at = 0, _FIRST_ITEM
    while at + _ITEM.size <= len(pdu):
        kind, length = _ITEM.unpack_from(pdu, at)
        at += _SUB_ITEMS.get(kind, _ITEM.size + length)
        count += 1
    return count
