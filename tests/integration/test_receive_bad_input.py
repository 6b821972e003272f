"""Hostile and broken senders: a named status where one can be answered, and a server that goes on."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.config import ReceiveSection
from node.receive.peers import Rejection
from node.receive.status import Status
from node.store.space import Space
from tests.integration.raw_scu import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    IMPLICIT_VR,
    MR_STORAGE,
    P_DATA,
    RELEASE_RP,
    RawScu,
    associate_request,
    pdv,
    store_request,
)
from tests.integration.receiving import Serve, Site, data_set_of
from tests.objects import data_set, part10
from tests.waiting import wait_for

SHORT = ReceiveSection(host="127.0.0.1", port=0, timeout_s=3.0)


@pytest.fixture
def site(serve: Serve, tmp_path: Path) -> Iterator[Site]:
    with serve(tmp_path / "site") as running:
        yield running
        running.stop(30.0)
        assert running.is_tidy(), "nothing is left when every association has ended"
        assert [path.name for path in tmp_path.iterdir()] == ["site"], "nothing escapes the data folder"


def encoded(made: Dataset) -> bytes:
    return data_set_of(part10(made))


def store_one(site: Site, data: bytes, sop_class_uid: str, sop_instance_uid: str) -> int | None:
    with RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        scu.store(sop_class_uid, sop_instance_uid, data)
        status = scu.status()
        if status is not None:
            answer = scu.release()
            assert answer is not None
            assert answer[0] == RELEASE_RP
        return status


def assert_serves(site: Site) -> None:
    """A proper instance is still taken, and nothing else lies around."""
    made = data_set(number=999, study="afterwards")
    assert store_one(site, encoded(made), made.SOPClassUID, made.SOPInstanceUID) == Status.SUCCESS
    assert site.data_sets()[made.SOPInstanceUID] == encoded(made)
    site.assert_tidy()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
        b"\x16\x03\x01\x02\x00" + bytes(range(256)),
        os.urandom(4096),
        b"\x01\x00\x00\x00\x00\x10" + b"\xff" * 16,
        b"\x01\x00\xff\xff\xff\xff" + b"A" * 4096,
        b"\x04\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        b"\x09\x00\x00\x00\x00\x00",
        b"\x01\x00",
        b"",
    ],
    ids=["http", "tls", "random", "short-rq", "endless-rq", "data-first", "unknown-type", "cut", "nothing"],
)
def test_garbage_on_the_port(site: Site, garbage: bytes) -> None:
    with RawScu(site.address) as scu:
        scu.connection.sendall(garbage)
    assert_serves(site)


def test_an_association_request_with_broken_items(site: Site) -> None:
    request = bytearray(associate_request("RAW", "AINODE", MR_STORAGE, [IMPLICIT_VR]))
    request[-6:] = b"\xff" * 6
    with RawScu(site.address) as scu:
        scu.connection.sendall(bytes(request))
        scu.answer()
    assert_serves(site)


def test_a_pdu_of_four_gigabytes_ends_the_association(site: Site) -> None:
    with RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        scu.connection.sendall(struct.pack(">BBI", P_DATA, 0, 0xFFFFFFFF) + b"\0" * 100)
        wait_for(lambda: (scu.answer() or (ABORT, b""))[0] == ABORT, "the association ends")
    assert_serves(site)


def test_a_command_without_an_end_ends_the_association(site: Site) -> None:
    fragment = pdv(b"\0" * (1 << 20), command=True, last=False)
    with RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                scu.send(P_DATA, fragment)
        answer = scu.answer()
        assert answer is None or answer[0] == ABORT
    assert_serves(site)


@pytest.mark.parametrize(
    "message",
    [
        pdv(b"\xff" * 50, command=True, last=True),
        pdv(store_request(MR_STORAGE, "1.2.3")[:60], command=True, last=True),
        pdv(store_request(MR_STORAGE, "1.2.3"), command=True, last=True, context_id=99),
        pdv(b"data without a command", command=False, last=True),
        pdv(b"", command=True, last=True),
        struct.pack(">IB", 1 << 20, 1),
    ],
    ids=["noise", "cut", "context", "data", "empty", "pdv-length"],
)
def test_a_broken_message_ends_the_association(site: Site, message: bytes) -> None:
    with RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        scu.send(P_DATA, message)
        answer = scu.answer()
        assert answer is None or answer[0] == ABORT
    assert_serves(site)


@pytest.mark.parametrize("how", ["abort", "close"])
def test_the_sender_vanishes_inside_an_object(site: Site, how: str) -> None:
    made = data_set(size=256)
    with RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        scu.send(P_DATA, pdv(store_request(made.SOPClassUID, made.SOPInstanceUID), command=True, last=True))
        scu.send(P_DATA, pdv(encoded(made)[:50000], command=False, last=False))
        wait_for(site.is_under_way, "the object is under way")
        if how == "abort":
            scu.abort()
    assert_serves(site)
    assert made.SOPInstanceUID not in site.data_sets()


def test_the_sender_vanishes_with_objects_not_yet_served(site: Site) -> None:
    """Several C-STORE without waiting for an answer, then gone: whatever was not served leaves no file."""
    with RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        for number in range(8):
            made = data_set(number=number)
            scu.store(made.SOPClassUID, made.SOPInstanceUID, encoded(made))
        scu.abort()
    assert_serves(site)


def test_a_stalled_sender_is_dropped(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path, SHORT) as site:
        with RawScu(site.address) as scu:
            assert scu.associate()[0] == ASSOCIATE_AC
            scu.connection.sendall(struct.pack(">BBI", P_DATA, 0, 1000) + b"\0" * 10)
            wait_for(lambda: (scu.answer() or (ABORT, b""))[0] == ABORT, "the stalled association ends")
        with RawScu(site.address) as silent:
            wait_for(lambda: silent.answer() is None, "a connection without a request ends")
        assert_serves(site)


def test_a_truncated_data_set(site: Site) -> None:
    made = data_set()
    assert store_one(site, encoded(made)[:-100], made.SOPClassUID, made.SOPInstanceUID) == Status.UNDECODABLE_DATA_SET
    assert_serves(site)


@pytest.mark.parametrize("data", [os.urandom(5000), b"\xff" * 3000, b"not DICOM at all " * 50, b"\x08"])
def test_undecodable_bytes(site: Site, data: bytes) -> None:
    assert store_one(site, data, MR_STORAGE, "1.2.3") == Status.UNDECODABLE_DATA_SET
    assert_serves(site)


def test_no_data_set_bytes(site: Site) -> None:
    assert store_one(site, b"", MR_STORAGE, "1.2.3") == Status.UNDECODABLE_DATA_SET
    assert_serves(site)


def test_a_command_without_a_data_set_is_no_success(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path, SHORT) as site:
        with RawScu(site.address) as scu:
            assert scu.associate()[0] == ASSOCIATE_AC
            scu.send(P_DATA, pdv(store_request(MR_STORAGE, "1.2.3", with_data_set=False), command=True, last=True))
            assert scu.status() != Status.SUCCESS
        assert_serves(site)


@pytest.mark.parametrize("uid", ["../../x", "/etc/passwd", "1.2.3/../../..", "1" * 65, "1.2.3\\4", "1..2"])
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_uids_that_are_no_uids(site: Site, keyword: str, uid: str) -> None:
    made = data_set()
    command_uid = made.SOPInstanceUID
    raw = encoded(made).replace(_element(made, keyword, made[keyword].value), _element(made, keyword, uid))
    assert store_one(site, raw, made.SOPClassUID, command_uid) == Status.INVALID_UID
    assert_serves(site)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
@pytest.mark.parametrize("empty", [True, False])
def test_mandatory_uids_absent_or_empty(site: Site, keyword: str, empty: bool) -> None:
    made = data_set()
    sop_class_uid, sop_instance_uid = made.SOPClassUID, made.SOPInstanceUID
    raw = encoded(made).replace(_element(made, keyword, made[keyword].value), _element(made, keyword, "") * empty)
    assert store_one(site, raw, sop_class_uid, sop_instance_uid) == Status.INCOMPLETE_DATA_SET
    assert_serves(site)


@pytest.mark.parametrize(
    ("uid", "status"),
    [("../../x", Status.INVALID_UID), ("/", Status.INVALID_UID), ("1" * 65, None), ("", None), ("\\", None)],
)
def test_a_command_with_a_uid_that_is_none(serve: Serve, tmp_path: Path, uid: str, status: Status | None) -> None:
    """A failure status, or an aborted association where no response could name the instance."""
    made = data_set()
    with serve(tmp_path / "site", SHORT) as site:
        assert store_one(site, encoded(made), made.SOPClassUID, uid) == status
        assert_serves(site)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_the_data_set_differs_from_the_command(site: Site) -> None:
    made = data_set()
    assert store_one(site, encoded(made), made.SOPClassUID, "1.2.3.4") == Status.DATA_SET_MISMATCH
    assert store_one(site, encoded(made), "1.2.840.10008.5.1.4.1.1.2", made.SOPInstanceUID) == Status.DATA_SET_MISMATCH
    assert_serves(site)


def test_absurd_but_whole_objects_are_taken(site: Site) -> None:
    large = data_set(number=1)
    large.Rows = large.Columns = 65535
    without = data_set(number=2)
    del without.PixelData
    script = data_set(number=3)
    script.PatientName = "<script>alert(1)</script>"
    for made in (large, without, script):
        assert store_one(site, encoded(made), made.SOPClassUID, made.SOPInstanceUID) == Status.SUCCESS
        assert site.data_sets()[made.SOPInstanceUID] == encoded(made)
    assert_serves(site)


@pytest.mark.parametrize("undefined_length", [True, False])
def test_absurd_nesting(site: Site, undefined_length: bool) -> None:
    made = data_set()
    del made.PixelData
    raw = encoded(made) + nested(1000, undefined_length)
    assert store_one(site, raw, made.SOPClassUID, made.SOPInstanceUID) == Status.UNDECODABLE_DATA_SET
    assert_serves(site)


def test_an_identical_duplicate_is_success_without_a_second_copy(site: Site) -> None:
    made = data_set()
    for _ in range(2):
        assert store_one(site, encoded(made), made.SOPClassUID, made.SOPInstanceUID) == Status.SUCCESS
    assert len(site.catalogue.stored()) == 1
    assert site.catalogue.alerts == []
    assert_serves(site)


def test_the_same_uid_with_other_bytes_is_kept_beside(site: Site) -> None:
    first, other = data_set(number=1), data_set(number=1)
    other.SeriesDescription = "other"
    for made in (first, other):
        assert store_one(site, encoded(made), made.SOPClassUID, made.SOPInstanceUID) == Status.SUCCESS
    kept = {stored.variant: data_set_of(site.bytes_of(stored.storage_key)) for stored in site.catalogue.stored()}
    assert kept == {0: encoded(first), 1: encoded(other)}
    assert [alert.subject for alert in site.catalogue.alerts] == [first.SOPInstanceUID]
    assert_serves(site)


def test_a_full_disk(serve: Serve, tmp_path: Path) -> None:
    full = False

    def flush(descriptor: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, "no space left on device")
        os.fsync(descriptor)

    made = data_set()
    with serve(tmp_path, flush=flush) as site:
        full = True
        assert store_one(site, encoded(made), made.SOPClassUID, made.SOPInstanceUID) == Status.OUT_OF_RESOURCES
        assert site.catalogue.stored() == []
        full = False
        assert store_one(site, encoded(made), made.SOPClassUID, made.SOPInstanceUID) == Status.SUCCESS
        assert_serves(site)


ENOUGH, TOO_LITTLE = Space(free_bytes=1 << 31, watermark_bytes=1 << 30), Space(free_bytes=10, watermark_bytes=1 << 30)


def test_below_the_watermark_nothing_is_written(serve: Serve, tmp_path: Path) -> None:
    """The fast path answers the command. The stock path would write the data set first: it takes no association."""
    room = TOO_LITTLE
    with serve(tmp_path, room=lambda: room) as site:
        with RawScu(site.address) as scu:
            kind, body = scu.associate()
            if kind == ASSOCIATE_RJ:
                assert tuple(body[1:4]) == Rejection.TEMPORARY_CONGESTION.value
            else:
                made = data_set()
                assert store_one(site, encoded(made), made.SOPClassUID, made.SOPInstanceUID) == Status.OUT_OF_RESOURCES
        assert (kind == ASSOCIATE_RJ) == (serve.keywords["fast"] is False)  # type: ignore[attr-defined]
        with RawScu(site.address) as scu:
            assert scu.associate("1.2.840.10008.1.20.1")[0] == ASSOCIATE_AC, "a PACS may still report"
        assert not site.is_under_way()
        assert list(site.store.keys()) == []
        room = ENOUGH
        assert_serves(site)


def test_the_disk_fills_while_an_association_is_open(serve: Serve, tmp_path: Path) -> None:
    room = ENOUGH
    first, second = data_set(number=1), data_set(number=2)
    with serve(tmp_path, room=lambda: room) as site, RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        scu.store(first.SOPClassUID, first.SOPInstanceUID, encoded(first))
        assert scu.status() == Status.SUCCESS
        room = TOO_LITTLE
        scu.store(second.SOPClassUID, second.SOPInstanceUID, encoded(second))
        assert scu.status() == Status.OUT_OF_RESOURCES
        site.assert_tidy()
        room = ENOUGH
        scu.store(second.SOPClassUID, second.SOPInstanceUID, encoded(second))
        assert scu.status() == Status.SUCCESS
        assert len(site.catalogue.stored()) == 2


def test_a_row_that_cannot_be_written_is_no_success(serve: Serve, tmp_path: Path) -> None:
    made = data_set()
    with serve(tmp_path) as site:
        site.catalogue.fail_with = RuntimeError("the database is gone")
        assert store_one(site, encoded(made), made.SOPClassUID, made.SOPInstanceUID) == Status.PROCESSING_FAILURE
        site.catalogue.fail_with = None
        assert store_one(site, encoded(made), made.SOPClassUID, made.SOPInstanceUID) == Status.SUCCESS
        assert_serves(site)


def nested(depth: int, undefined_length: bool) -> bytes:
    """A private sequence within a sequence within ... (explicit VR little endian)."""
    content = b""
    for _ in range(depth):
        if undefined_length:
            content = (
                struct.pack("<HH2sHI", 0x7FE1, 0x1001, b"SQ", 0, 0xFFFFFFFF)
                + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
                + content
                + struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
            )
        else:
            item = struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content
            content = struct.pack("<HH2sHI", 0x7FE1, 0x1001, b"SQ", 0, len(item)) + item
    return content


def _element(made: Dataset, keyword: str, value: str) -> bytes:
    """The element as it stands in an explicit VR little endian data set."""
    tag = made.data_element(keyword).tag  # type: ignore[union-attr]
    padded = value.encode() + b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", tag.group, tag.element, b"UI", len(padded)) + padded
