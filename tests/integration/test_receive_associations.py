"""Associations: who is let in, what is recorded about them, several servers on one port, an orderly end."""

from __future__ import annotations

import socket
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import _config, build_role
from pynetdicom.sop_class import MRImageStorage, StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from node.config import AllowedPeer, ReceiveSection
from node.deliver.association import ClosingEntity
from node.deliver.checkpoint import Checkpoint
from node.domain.delivery import CommitmentReport
from node.receive.intake import Intake
from node.receive.recording import RecordNow
from node.receive.status import Status
from node.receive.storage_scp import StorageScp
from node.store.files import FileStore
from tests.fakes.catalogue import FakeCatalogue
from tests.integration.raw_scu import ASSOCIATE_AC, ASSOCIATE_RJ, EXPLICIT_VR, IMPLICIT_VR, MR_STORAGE, RawScu
from tests.integration.receiving import AE_TITLE, ROOM, FixedClock, Serve, data_set_of
from tests.objects import data_set, part10
from tests.peers import require_program
from tests.waiting import wait_for


def reason(answer: tuple[int, bytes]) -> tuple[int, ...]:
    """Result, source and reason of an A-ASSOCIATE-RJ."""
    assert answer[0] == ASSOCIATE_RJ
    return tuple(answer[1][1:4])


@pytest.mark.parametrize(
    ("calling", "called", "rejected"),
    [
        ("CT1", AE_TITLE, None),
        ("MR1", AE_TITLE, None),
        ("CT2", AE_TITLE, (1, 1, 3)),
        ("MR2", AE_TITLE, (1, 1, 3)),
        ("ct1", AE_TITLE, (1, 1, 3)),
        ("CT1", "OTHER", (1, 1, 7)),
    ],
)
def test_only_allowed_peers_get_in(
    serve: Serve, tmp_path: Path, calling: str, called: str, rejected: tuple[int, int, int] | None
) -> None:
    allow = (
        AllowedPeer(ae_title="CT1"),
        AllowedPeer(ae_title="MR1", host="127.0.0.1"),
        AllowedPeer(ae_title="MR2", host="10.0.0.7"),
    )
    with serve(tmp_path, ReceiveSection(host="127.0.0.1", port=0, allow=allow)) as site, RawScu(site.address) as scu:
        answer = scu.associate(calling=calling, called=called)
        if rejected is None:
            assert answer[0] == ASSOCIATE_AC
        else:
            assert reason(answer) == rejected
            assert scu.answer() is None, "the connection ends after the rejection"


def test_the_called_ae_title_is_not_checked_where_configured_so(serve: Serve, tmp_path: Path) -> None:
    config = ReceiveSection(host="127.0.0.1", port=0, check_called_ae=False)
    with serve(tmp_path, config) as site, RawScu(site.address) as scu:
        assert scu.associate(called="WHOEVER")[0] == ASSOCIATE_AC


def test_too_many_associations_are_rejected_for_now(serve: Serve, tmp_path: Path) -> None:
    config = ReceiveSection(host="127.0.0.1", port=0, max_associations=1)
    with serve(tmp_path, config) as site, RawScu(site.address) as first:
        assert first.associate()[0] == ASSOCIATE_AC
        with RawScu(site.address) as second:
            assert reason(second.associate()) == (2, 3, 2)


def test_a_flood_of_connections_is_closed_unread(serve: Serve, tmp_path: Path) -> None:
    config = ReceiveSection(host="127.0.0.1", port=0, max_associations=2)
    with serve(tmp_path, config) as site:
        flood = [RawScu(site.address) for _ in range(20)]
        try:
            wait_for(lambda: sum(_is_closed(scu) for scu in flood) >= 10, "most of the flood is closed")
        finally:
            for scu in flood:
                scu.connection.close()

        def associates() -> bool:
            with RawScu(site.address) as scu:
                try:
                    return scu.associate()[0] == ASSOCIATE_AC
                except (AssertionError, OSError):
                    return False

        wait_for(associates, "a sender gets in after the flood")


def test_echo_by_dcmtk_leaves_no_record(serve: Serve, tmp_path: Path) -> None:
    echoscu = require_program("echoscu")
    with serve(tmp_path) as site:
        host, port = site.address
        subprocess.run([echoscu, "-aec", AE_TITLE, host, str(port)], check=True, timeout=60)
        assert site.catalogue.associations == {}


def test_every_end_is_recorded_as_what_it_was(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path) as site:
        for number, how in enumerate(("released", "aborted", "lost")):
            made = data_set(number=number)
            with RawScu(site.address) as scu:
                scu.associate(calling="CT1")
                scu.store(made.SOPClassUID, made.SOPInstanceUID, data_set_of(part10(made)))
                assert scu.status() == Status.SUCCESS
                if how == "released":
                    scu.release()
                elif how == "aborted":
                    scu.abort()
            assert site.wait_for_ends(number + 1)[-1] == how
        recorded = list(site.catalogue.associations.values())
        assert {(each.calling_ae, each.called_ae, each.peer_host) for each in recorded} == {
            ("CT1", AE_TITLE, "127.0.0.1")
        }
        assert {stored.association_id for stored in site.catalogue.stored()} == set(site.catalogue.associations)


def test_what_a_dead_receiver_left_open_is_ended_at_start(tmp_path: Path) -> None:
    catalogue = FakeCatalogue()
    catalogue.open_association("mine", "CT1", AE_TITLE, "127.0.0.1", "receiver-1")
    catalogue.open_association("other", "CT1", AE_TITLE, "127.0.0.1", "receiver-2")
    store = FileStore(tmp_path)
    scp = _scp(store, catalogue, receiver="receiver-1")
    scp.start()
    scp.stop(drain_s=0)
    store.close()
    assert {name: each.ended for name, each in catalogue.associations.items()} == {"mine": "lost", "other": None}


def test_two_servers_share_one_listening_socket(tmp_path: Path) -> None:
    """Stopping one of them must leave the port open for the other."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    catalogue = FakeCatalogue()
    stores = [FileStore(tmp_path), FileStore(tmp_path)]
    servers = [_scp(store, catalogue, listener=listener.dup()) for store in stores]
    for server in servers:
        server.start()
    listener.close()
    try:
        for number in range(8):
            _store(address, number)
        servers[1].stop(drain_s=5)
        for number in range(8, 16):
            _store(address, number)
    finally:
        for server in reversed(servers):
            server.stop(drain_s=5)
        for store in stores:
            store.close()
    assert len(catalogue.stored()) == 16
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


def test_the_same_instance_from_many_senders_at_once_is_stored_once(serve: Serve, tmp_path: Path) -> None:
    made = data_set(size=128)
    written = data_set_of(part10(made))
    statuses: list[int | None] = []

    def send(address: tuple[str, int]) -> None:
        with RawScu(address) as scu:
            scu.associate()
            scu.store(made.SOPClassUID, made.SOPInstanceUID, written)
            statuses.append(scu.status())
            scu.release()

    with serve(tmp_path) as site:
        senders = [threading.Thread(target=send, args=(site.address,)) for _ in range(12)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert statuses == [Status.SUCCESS] * 12
        assert len(site.catalogue.stored()) == 1
        assert site.data_sets() == {made.SOPInstanceUID: written}
        assert site.wait_for_ends(12) == ["released"] * 12
        site.assert_tidy()


def test_stop_lets_an_association_finish_and_aborts_one_that_does_not(tmp_path: Path) -> None:
    catalogue = FakeCatalogue()
    store = FileStore(tmp_path)
    scp = _scp(store, catalogue)
    scp.start()
    with RawScu(scp.address) as finishing:
        finishing.associate()
        stopping = threading.Thread(target=scp.stop, args=(20.0,))
        stopping.start()
        wait_for(lambda: _refuses(scp.address), "nothing more is accepted")
        made = data_set()
        finishing.store(made.SOPClassUID, made.SOPInstanceUID, data_set_of(part10(made)))
        assert finishing.status() == Status.SUCCESS
        finishing.release()
        stopping.join()
    scp = _scp(store, catalogue)
    scp.start()
    with RawScu(scp.address) as idle:
        idle.associate()
        scp.stop(drain_s=0.0)
        answer = idle.answer()
        assert answer is not None
        assert answer[0] == 7, "A-ABORT"
    store.close()


def test_the_process_is_as_before_when_the_server_has_stopped(serve: Serve, tmp_path: Path) -> None:
    before = (tempfile.tempdir, _config.UNRESTRICTED_STORAGE_SERVICE, _config.STORE_RECV_CHUNKED_DATASET)
    with serve(tmp_path):
        assert tempfile.tempdir != before[0]
    assert (tempfile.tempdir, _config.UNRESTRICTED_STORAGE_SERVICE, _config.STORE_RECV_CHUNKED_DATASET) == before


@pytest.mark.parametrize(
    ("proposed", "accepted"),
    [
        ((IMPLICIT_VR, EXPLICIT_VR), IMPLICIT_VR),
        (("1.2.840.10008.1.2.2", EXPLICIT_VR), EXPLICIT_VR),
        (("1.2.840.113619.5.2", IMPLICIT_VR), IMPLICIT_VR),
        (("1.2.840.10008.1.2.4.202", EXPLICIT_VR), "1.2.840.10008.1.2.4.202"),
    ],
)
@pytest.mark.parametrize("abstract_syntax", [MR_STORAGE, "1.3.46.670589.11.0.0.12.1", "1.2.840.10008.5.1.4.1.1.999"])
def test_any_storage_class_and_the_first_syntax_of_the_standard(
    serve: Serve, tmp_path: Path, abstract_syntax: str, proposed: tuple[str, ...], accepted: str
) -> None:
    with serve(tmp_path) as site, RawScu(site.address) as scu:
        kind, body = scu.associate(abstract_syntax, proposed)
        assert kind == ASSOCIATE_AC
        assert struct.pack(">BBH", 0x40, 0, len(accepted)) + accepted.encode() in body
        assert b"1.2.840.10008.1.2.4.50" not in body


def test_a_query_is_no_service_of_ours(serve: Serve, tmp_path: Path) -> None:
    with serve(tmp_path) as site, RawScu(site.address) as scu:
        kind, body = scu.associate("1.2.840.10008.5.1.4.1.2.2.1")
        assert kind == ASSOCIATE_AC
        assert body.count(b"\x21\x00") == 1
        at = body.index(b"\x21\x00")
        assert body[at + 6] == 3, "abstract syntax not supported"


@pytest.mark.parametrize("with_role", [True, False])
def test_a_commitment_report_on_an_association_of_the_pacs(serve: Serve, tmp_path: Path, with_role: bool) -> None:
    with serve(tmp_path) as site:
        pacs = ClosingEntity(ae_title="PACS")
        pacs.add_requested_context(StorageCommitmentPushModel)
        pacs.add_requested_context(Verification)
        roles = [build_role(StorageCommitmentPushModel, scp_role=True)] if with_role else []
        association = pacs.associate(*site.address, ae_title=AE_TITLE, ext_neg=roles)
        assert association.is_established
        # Else its own thread may take an answer that comes at once, and we wait for it until the time is out.
        association._reactor_checkpoint = Checkpoint(association)  # type: ignore[assignment]
        try:
            assert _report(association, "2.25.1", failed=True) == Status.SUCCESS
            assert _report(association, "1.2.3", failed=False) == Status.PROCESSING_FAILURE
            assert _report(association, "../../x", failed=False) == Status.INVALID_ARGUMENT
        finally:
            association.release()
        assert site.reports[0] == CommitmentReport("2.25.1", committed=("1.2.3.4",), failed={"1.2.3.5": 0x0112})


def _report(association: object, transaction_uid: str, failed: bool) -> int:
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = [_reference("1.2.3.4")]
    if failed:
        information.FailedSOPSequence = [_reference("1.2.3.5")]
        information.FailedSOPSequence[0].FailureReason = 0x0112
    status, _ = association.send_n_event_report(  # type: ignore[attr-defined]
        information, 2 if failed else 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1"
    )
    return int(status.Status)


def _reference(sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = MRImageStorage
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def _scp(
    store: FileStore, catalogue: FakeCatalogue, receiver: str = "receiver", listener: socket.socket | None = None
) -> StorageScp:
    intake = Intake(store, RecordNow(catalogue), FixedClock(), lambda: ROOM)
    config = ReceiveSection(host="127.0.0.1", port=0)
    return StorageScp(
        config, AE_TITLE, intake, store.incoming, lambda report: True, receiver=receiver, listener=listener
    )


def _store(address: tuple[str, int], number: int) -> None:
    made = data_set(number=number)
    with RawScu(address) as scu:
        scu.associate()
        scu.store(made.SOPClassUID, made.SOPInstanceUID, data_set_of(part10(made)))
        assert scu.status() == Status.SUCCESS
        scu.release()


def _is_closed(scu: RawScu) -> bool:
    scu.connection.setblocking(False)
    try:
        return scu.connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def _refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # it was still in the queue of the closing socket
    return False
