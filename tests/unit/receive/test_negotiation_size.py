from __future__ import annotations

import struct

import pytest

from node.receive.negotiation_size import MAX_ITEMS, MAX_LENGTH, require_bounded
from tests.fuzz.mutation import corpus


def item(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def pdu(items: bytes, kind: int = 1) -> bytes:
    body = bytes(68) + items
    return struct.pack(">BBI", kind, 0, len(body)) + body


def context(transfer_syntaxes: int) -> bytes:
    return item(0x20, bytes(4) + item(0x30, b"1.2") + item(0x40, b"1.2.840.10008.1.2.1") * transfer_syntaxes)


@pytest.mark.parametrize("request_bytes", corpus("associations"), ids=lambda each: f"{len(each)}-bytes")
def test_usual_requests_are_no_matter(request_bytes: bytes) -> None:
    require_bounded(request_bytes)


def test_the_largest_that_anyone_needs() -> None:
    user = item(0x50, item(0x51, bytes(4)) + item(0x52, b"1.2") + item(0x54, bytes(30)) * 384)
    require_bounded(pdu(item(0x10, b"1.2") + context(64) * 128 + user))


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize(
    "items",
    [
        item(0x10) * (MAX_ITEMS + 1),
        item(0x20, bytes(4)) * (MAX_ITEMS + 1),
        context(2000) * 5,
        item(0x21, bytes(4) + item(0x40) * 10000) + item(0x10),
        item(0x50, item(0x51, bytes(4)) * 7000) * 2,
    ],
    ids=["applications", "contexts", "transfer-syntaxes", "answers", "user-items"],
)
def test_too_many_items(items: bytes, kind: int) -> None:
    with pytest.raises(ValueError, match="too many items"):
        require_bounded(pdu(items, kind))


def test_as_many_as_allowed() -> None:
    require_bounded(pdu(item(0x10) * MAX_ITEMS))


def test_too_long() -> None:
    with pytest.raises(ValueError, match="too long"):
        require_bounded(pdu(item(0x10, bytes(0xFFFF)) * (MAX_LENGTH // 0x10000)))


def test_lengths_that_are_wrong_end_the_count() -> None:
    require_bounded(pdu(item(0x20, b"")[:3]))
    require_bounded(pdu(struct.pack(">BBH", 0x10, 0, 0xFFFF)))
    require_bounded(b"\x01\0\0\0")
    require_bounded(b"")


def test_data_are_of_any_length() -> None:
    require_bounded(b"\x04" + bytes(MAX_LENGTH * 2))
