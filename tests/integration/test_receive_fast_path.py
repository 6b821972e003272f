"""What is particular to the fast path: that it is taken at all, where it ends; and that no peer delays another."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

from node.config import ReceiveSection
from node.receive import self_check
from node.receive.status import Status
from node.receive.storage_scp import StorageScp
from tests.integration.raw_scu import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    IMPLICIT_VR,
    MR_STORAGE,
    P_DATA,
    RawScu,
    element,
    pdu,
    pdv,
    store_request,
)
from tests.integration.receiving import Serve, Site, data_set_of, serving
from tests.objects import data_set, part10
from tests.peers import REPOSITORY
from tests.waiting import wait_for

VERIFICATION = "1.2.840.10008.1.1"
# Long enough for a busy machine to say something on every association meanwhile.
SHORT = ReceiveSection(host="127.0.0.1", port=0, timeout_s=5.0, max_associations=3)


def encoded(number: int = 1, size: int = 16) -> tuple[str, bytes]:
    made = data_set(number=number, size=size)
    return str(made.SOPInstanceUID), data_set_of(part10(made))


def store(scu: RawScu, number: int, size: int = 16) -> int | None:
    uid, data = encoded(number, size)
    scu.store(MR_STORAGE, uid, data)
    return scu.status()


def echo(scu: RawScu) -> int | None:
    body = element(0x0002, VERIFICATION.encode()) + element(0x0100, b"\x30\0") + element(0x0110, b"\1\0")
    body += element(0x0800, b"\1\1")
    scu.send(P_DATA, pdv(element(0, struct.pack("<I", len(body))) + body, command=True, last=True, context_id=3))
    return scu.status()


def begin(scu: RawScu, number: int, size: int = 256) -> bytes:
    """Send a C-STORE-RQ and some of its data set; the rest of it."""
    uid, data = encoded(number, size)
    scu.send(P_DATA, pdv(store_request(MR_STORAGE, uid), command=True, last=True))
    scu.send(P_DATA, pdv(data[:50000], command=False, last=False))
    return data[50000:]


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that pynetdicom read."""
    seen: list[str] = []
    on_message = StorageScp._on_message

    def noted(scp: StorageScp, event: Any) -> None:
        seen.append(type(event.message).__name__)
        on_message(scp, event)

    monkeypatch.setattr(StorageScp, "_on_message", noted)
    return seen


def test_pynetdicom_sees_no_plain_c_store_and_everything_else(tmp_path: Path, messages: list[str]) -> None:
    with serving(tmp_path) as site, RawScu(site.address) as scu:
        assert scu.associate(further=[(VERIFICATION, IMPLICIT_VR)])[0] == ASSOCIATE_AC
        for number in range(3):
            assert store(scu, number) == Status.SUCCESS
            assert echo(scu) == Status.SUCCESS
        assert messages == ["C_ECHO_RQ"] * 3
        assert len(site.catalogue.stored()) == 3


def test_a_peer_that_takes_tiny_pdus_is_answered_in_tiny_pdus(tmp_path: Path, messages: list[str]) -> None:
    with serving(tmp_path) as site, RawScu(site.address) as scu:
        assert scu.associate(max_length=64)[0] == ASSOCIATE_AC
        uid, data = encoded()
        scu.store(MR_STORAGE, uid, data)
        first, *others = [scu.answer() for _ in range(3)]
        assert first is not None
        assert all(answer is not None and len(answer[1]) <= 64 for answer in (first, *others))
        assert messages == ["C_STORE_RQ"]
        assert len(site.catalogue.stored()) == 1


def test_answers_keep_the_order_of_requests_that_do_not_wait(tmp_path: Path) -> None:
    with serving(tmp_path) as site, RawScu(site.address) as scu:
        assert scu.associate(further=[(VERIFICATION, IMPLICIT_VR)])[0] == ASSOCIATE_AC
        uids = [encoded(number)[0] for number in range(4)]
        body = element(0x0002, VERIFICATION.encode()) + element(0x0100, b"\x30\0") + element(0x0110, b"\1\0")
        ping = element(0, struct.pack("<I", len(body) + 10)) + body + element(0x0800, b"\1\1")
        sent = b""
        for number in range(4):
            uid, data = encoded(number)
            sent += pdu(P_DATA, pdv(store_request(MR_STORAGE, uid), command=True, last=True))
            sent += pdu(P_DATA, pdv(data, command=False, last=True))
            sent += pdu(P_DATA, pdv(ping, command=True, last=True, context_id=3))
        scu.connection.sendall(sent)
        answers = [scu.answer() for _ in range(8)]
        named = [next((uid for uid in uids if answer and uid.encode() in answer[1]), "echo") for answer in answers]
        assert named == [each for uid in uids for each in (uid, "echo")]


@pytest.mark.parametrize("how", ["inside a PDU", "between PDUs"])
def test_who_stops_inside_an_object_loses_his_own_slot_alone(serve: Serve, tmp_path: Path, how: str) -> None:
    with serve(tmp_path, SHORT) as site, ExitStack() as stack:
        stalled, silent, good = (stack.enter_context(RawScu(site.address)) for _ in range(3))
        for scu in (stalled, silent, good):
            assert scu.associate()[0] == ASSOCIATE_AC
        begin(stalled, 1)
        if how == "inside a PDU":
            stalled.connection.sendall(struct.pack(">BBI", P_DATA, 0, 1000) + b"\0" * 10)
        wait_for(site.is_under_way, "the object is under way")
        with RawScu(site.address) as fourth:
            assert fourth.associate()[0] == ASSOCIATE_RJ
        number = 10
        for scu in (stalled, silent):
            while not _has_ended(scu):
                number += 1
                assert store(good, number) == Status.SUCCESS, "others go on meanwhile"
        assert store(good, 5) == Status.SUCCESS
        good.release()
        wait_for(lambda: _gets_in(site), "the slots are free again")
        assert encoded(1)[0] not in site.data_sets()
        site.assert_tidy()


def _has_ended(scu: RawScu) -> bool:
    scu.connection.setblocking(False)
    try:
        peeked = scu.connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        scu.connection.settimeout(20)
    return peeked in (b"", bytes([ABORT]))


def _gets_in(site: Site) -> bool:
    with ExitStack() as stack:
        scus = [stack.enter_context(RawScu(site.address)) for _ in range(3)]
        return all(scu.associate()[0] == ASSOCIATE_AC for scu in scus)


def test_an_object_may_take_longer_than_the_timeout(tmp_path: Path) -> None:
    """The time counts from the last byte; after the object the association is as fresh as ever."""
    with serving(tmp_path, SHORT) as site, RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        rest = begin(scu, 1)
        pieces = [rest[at : at + len(rest) // 5] for at in range(0, len(rest), len(rest) // 5)]
        for index, piece in enumerate(pieces):
            _pause(1.0)
            scu.send(P_DATA, pdv(piece, command=False, last=index == len(pieces) - 1))
        assert scu.status() == Status.SUCCESS
        assert store(scu, 2) == Status.SUCCESS
        assert len(site.data_sets()) == 2


def _pause(seconds: float) -> None:
    """A slow sender."""
    with socket.socket() as nobody:
        nobody.settimeout(seconds)
        nobody.bind(("127.0.0.1", 0))
        nobody.listen()
        with pytest.raises(TimeoutError):
            nobody.accept()


def test_stopping_inside_an_object_aborts_and_leaves_nothing(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path) as site, RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        begin(scu, 1)
        wait_for(site.is_under_way, "the object is under way")
        site.stop(0.0)
        answer = scu.answer()
        assert answer is None or answer[0] == ABORT
        assert not site.is_under_way()
        assert site.catalogue.stored() == []


def test_a_pynetdicom_that_differs_is_served_by_its_own_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, messages: list[str]
) -> None:
    monkeypatch.setattr(self_check, "ATTRIBUTES", (*self_check.ATTRIBUTES, "dul._no_such_name"))
    with structlog.testing.capture_logs() as logs, serving(tmp_path) as site, RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        assert store(scu, 1) == Status.SUCCESS
    assert messages == ["C_STORE_RQ"]
    warnings = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["event"], line["differs"]) for line in warnings] == [
        ("receive.fast_path_unusable", "dul._no_such_name")
    ]


def test_the_configured_stock_path_warns_of_nothing(tmp_path: Path, messages: list[str]) -> None:
    with structlog.testing.capture_logs() as logs, serving(tmp_path, fast=False) as site, RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        assert store(scu, 1) == Status.SUCCESS
    assert messages == ["C_STORE_RQ"]
    assert [line for line in logs if line["log_level"] == "warning"] == []


def test_no_small_answer_waits(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP_NODELAY on every accepted socket; and acknowledgements are asked for again after each read and write."""
    no_delay: list[int] = []
    asked: list[int] = []
    for module in ("fast_path", "inflow", "storage_scp", "transport"):
        original = sys.modules[f"node.receive.{module}"].acknowledge_at_once

        def noted(connection: socket.socket, original: Any = original) -> None:
            asked.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            original(connection)

        monkeypatch.setattr(f"node.receive.{module}.acknowledge_at_once", noted)
    opened = StorageScp._on_opened

    def on_opened(scp: StorageScp, association: Any, host: str) -> None:
        no_delay.append(association.dul.socket.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        opened(scp, association, host)

    monkeypatch.setattr(StorageScp, "_on_opened", on_opened)
    with serve(tmp_path) as site, RawScu(site.address) as scu:
        assert scu.associate()[0] == ASSOCIATE_AC
        before = len(asked)
        assert store(scu, 1) == Status.SUCCESS
        assert len(asked) - before >= 2
    assert no_delay == [1]
    assert set(asked) == {1}


PROCESS = """
import socket, sys
from pathlib import Path
from node.config import ReceiveSection
from tests.integration.receiving import serving
config = ReceiveSection(host="127.0.0.1", port=0, processes=2)
with serving(Path(sys.argv[1]), config, listener=socket.socket(fileno=int(sys.argv[2]))) as site:
    print("serving", flush=True)
    sys.stdin.read()
    print(len(site.catalogue.stored()), flush=True)
"""


def test_idle_processes_take_their_share_of_one_port(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path / str(number)), str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=environment,
            pass_fds=[listener.fileno()],
        )
        for number in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert any(line == "serving\n" for line in process.stdout)
        with ExitStack() as stack:
            scus = [stack.enter_context(RawScu(listener.getsockname())) for _ in range(24)]
            for number, scu in enumerate(scus):
                assert scu.associate()[0] == ASSOCIATE_AC
                assert store(scu, number) == Status.SUCCESS
            for scu in scus:
                scu.release()
        outputs = [process.communicate(timeout=60)[0] for process in processes]
        shares = [int(next(line for line in output.splitlines() if line.isdigit())) for output in outputs]
        assert sum(shares) == 24
        assert min(shares) >= 1
    finally:
        listener.close()
        for process in processes:
            process.kill()
            process.wait(timeout=30)
