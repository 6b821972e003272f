"""Whatever ends an association, or keeps one from beginning: its slot is free at once, and nobody else is harmed.

The limits are so low, and the timeout is so long, that a slot which stays taken would be seen.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from node.config import ReceiveSection
from node.receive.associations import ABORTED
from node.receive.status import Status
from tests.fuzz.mutation import FOLDER
from tests.integration.raw_scu import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    EXPLICIT_VR,
    MR_STORAGE,
    P_DATA,
    RawScu,
    pdv,
    store_request,
)
from tests.integration.receiving import Serve, Site, data_set_of
from tests.objects import data_set, part10
from tests.waiting import wait_for

PATIENT = ReceiveSection(host="127.0.0.1", port=0, timeout_s=300.0, max_associations=2)
# The result of an A-ASSOCIATE-RJ that is transient (PS3.8 Table 9-21).
FOR_NOW = 2
IMPOSSIBLE = (
    "no-abstract-syntax",
    "no-transfer-syntax",
    "even-context-id",
    "unknown-identity-type",
    "item-out-of-place",
    "transfer-syntax-in-user",
)


@pytest.fixture
def site(serve: Serve, tmp_path: Path) -> Iterator[Site]:
    with serve(tmp_path / "site", PATIENT) as running:
        yield running


@contextlib.contextmanager
def associated(site: Site) -> Iterator[RawScu]:
    """An association, which is to be had as soon as there is a slot."""

    def attempt() -> RawScu | None:
        scu = RawScu(site.address)
        with contextlib.suppress(AssertionError, ConnectionError):  # closed unread: there is no slot
            if scu.associate()[0] == ASSOCIATE_AC:
                return scu
        scu.connection.close()
        return None

    with wait_for(attempt, "a slot is free", timeout_s=100.0) as scu:
        yield scu


def store(scu: RawScu, number: int) -> str:
    made = data_set(number=number)
    scu.store(MR_STORAGE, made.SOPInstanceUID, data_set_of(part10(made)))
    assert scu.status() == Status.SUCCESS
    return str(made.SOPInstanceUID)


@pytest.mark.parametrize(("source", "reason"), [(3, 0), (255, 255), (2, 3), (2, 7)])
def test_an_abort_is_one_whatever_it_says(site: Site, source: int, reason: int) -> None:
    with associated(site) as other:
        stored = [store(other, 1)]
        for number in (2, 3, 4):
            with associated(site) as scu:
                stored.append(store(scu, number))
                scu.send(P_DATA, pdv(store_request(MR_STORAGE, "1.2.3"), command=True, last=True))
                scu.send(P_DATA, pdv(b"begun", command=False, last=False))
                scu.send(ABORT, bytes([0, 0, source, reason]))
                assert scu.answer() is None, "closed without another word"
        stored.append(store(other, 5))
        other.release()
    ends = site.wait_for_ends(4)
    # By the provider it is nobody's decision.
    assert sorted(map(str, ends)) == sorted([ABORTED if source != 2 else "lost"] * 3 + ["released"])
    assert sorted(site.data_sets()) == sorted(stored)
    site.assert_tidy()


def test_impossible_requests_are_aborted(site: Site) -> None:
    with associated(site) as other:
        for name in IMPOSSIBLE:
            answer = attempted(site, (FOLDER / "associations" / f"{name}.bin").read_bytes())
            assert answer is not None, name
            assert answer[0] == ABORT, name
        store(other, 1)
        other.release()
    site.assert_tidy()


@pytest.mark.parametrize(("contexts", "transfer_syntaxes"), [(128, 80), (20, 2400)], ids=["many-items", "too-long"])
def test_a_negotiation_without_bounds_is_aborted(site: Site, contexts: int, transfer_syntaxes: int) -> None:
    answer = attempted(site, request_of([(2 * each + 1, transfer_syntaxes) for each in range(contexts)]))
    assert answer == (ABORT, b"\0\0\0\0")
    with associated(site) as scu:
        store(scu, 1)


def test_a_large_negotiation_is_accepted(site: Site) -> None:
    answer = attempted(site, request_of([(number, 60) for number in range(1, 256, 2)]))
    assert answer is not None
    assert answer[0] == ASSOCIATE_AC


def attempted(site: Site, request: bytes) -> tuple[int, bytes] | None:
    """What a request is answered; where there is no slot for it yet (closed, or rejected for now), it is sent again."""

    def attempt() -> tuple[int, bytes] | None:
        with RawScu(site.address) as scu, contextlib.suppress(ConnectionError):
            scu.connection.sendall(request)
            answer = scu.answer()
            return None if answer is not None and answer[0] == ASSOCIATE_RJ and answer[1][1] == FOR_NOW else answer
        return None

    return wait_for(attempt, "an answer", timeout_s=100.0)


def request_of(contexts: Sequence[tuple[int, int]]) -> bytes:
    """An A-ASSOCIATE-RQ with presentation contexts of so many transfer syntaxes each."""
    items = item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, transfer_syntaxes in contexts:
        names = item(0x30, MR_STORAGE.encode()) + item(0x40, EXPLICIT_VR.encode()) * transfer_syntaxes
        items += item(0x20, bytes([number, 0, 0, 0]) + names[: 0xFFFF - 4])
    items += item(0x50, item(0x51, struct.pack(">I", 65536)) + item(0x52, b"1.2.3.4"))
    body = struct.pack(">HH", 1, 0) + b"AINODE".ljust(16) + b"RAW".ljust(16) + bytes(32) + items
    return struct.pack(">BBI", 1, 0, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body
