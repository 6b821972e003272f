"""Destinations that refuse, fail, break off or are not there, over real associations."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from node.deliver.association import Peer
from node.deliver.part10 import split
from node.deliver.storage_scu import DimseDestination
from node.demo.send import send
from node.domain.delivery import CommitmentReport, DeliveryState
from node.errors import AssociationRejected, DestinationUnreachable, SopClassRefused
from tests.fakes.peer_pacs import FaultyPacs
from tests.integration.delivering import Desk, report_receiver, storescp
from tests.objects import MR, SC, SEG, SR, data_set, part10
from tests.peers import free_port
from tests.waiting import wait_for

SCHEDULED, STORED = DeliveryState.SCHEDULED, DeliveryState.STORED
COMMITTED, FAILED = DeliveryState.COMMITTED, DeliveryState.FAILED


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "objects")


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[FaultyPacs]:
    made = FaultyPacs(tmp_path / "pacs")
    made.refused = frozenset({SC})
    with made:
        yield made


@contextmanager
def blackhole() -> Iterator[int]:
    """Takes TCP connections and never says a word."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            while True:
                try:
                    held.append(listening.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in held:
                connection.close()


def test_a_refused_sop_class_fails_alone(desk: Desk, pacs: FaultyPacs) -> None:
    for number, kind in enumerate((SEG, SC, SR)):
        desk.add(data_set(kind, number), "pacs")
    desk.sender(desk.destination(pacs.port)).run_once()
    assert desk.outbox.states() == [STORED, FAILED, STORED]
    assert desk.outbox.get(2).error_code == "SopClassRefused"
    assert sorted(held.sop_class_uid for held in pacs.instances()) == sorted([SEG, SR])


def test_every_sop_class_refused(desk: Desk, pacs: FaultyPacs) -> None:
    desk.add(data_set(SC), "pacs")
    desk.sender(desk.destination(pacs.port)).run_once()
    assert desk.outbox.get(1).error_code == "SopClassRefused"


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0x0110])
def test_a_failure_status_then_recovery(desk: Desk, pacs: FaultyPacs, status: int) -> None:
    desk.add(data_set(SEG), "pacs")
    sender = desk.sender(desk.destination(pacs.port))
    pacs.status = status
    sender.run_once()
    assert (desk.outbox.get(1).state, desk.outbox.get(1).error_code) == (SCHEDULED, "StoreRefused")
    assert f"{status:04X}H" in (desk.outbox.get(1).error or "")
    pacs.status = None
    desk.clock.advance(1.1)
    sender.run_once()
    assert desk.outbox.states() == [STORED]


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_warnings_are_delivered(desk: Desk, pacs: FaultyPacs, status: int) -> None:
    desk.add(data_set(SEG), "pacs")
    pacs.status = status
    desk.sender(desk.destination(pacs.port)).run_once()
    assert desk.outbox.states() == [STORED]


def test_an_abort_midway_leaves_what_was_stored_and_repeats_the_rest(desk: Desk, pacs: FaultyPacs) -> None:
    for number in range(3):
        desk.add(data_set(MR, number), "pacs")
    pacs.abort_after = 1
    sender = desk.sender(desk.destination(pacs.port))
    sender.run_once()
    assert desk.outbox.states() == [STORED, SCHEDULED, SCHEDULED]
    assert {desk.outbox.get(one).error_code for one in (2, 3)} == {"DestinationUnreachable"}
    pacs.abort_after = None
    desk.clock.advance(1.1)
    sender.run_once()
    assert desk.outbox.states() == [STORED] * 3
    assert [held.receptions for held in pacs.instances()] == [1, 1, 1]


def test_only_implicit_vr_is_accepted_then_the_object_is_recoded(desk: Desk, tmp_path: Path) -> None:
    peer = FaultyPacs(tmp_path / "implicit")
    peer.only_syntaxes = [str(ImplicitVRLittleEndian)]
    made = data_set(SR)
    desk.add(made, "pacs")
    with peer:
        desk.sender(desk.destination(peer.port)).run_once()
        (held,) = peer.instances()
    received = split(held.path.read_bytes())
    assert received == split(part10(data_set(SR), ImplicitVRLittleEndian))


def test_an_object_arrives_bit_for_bit(desk: Desk, pacs: FaultyPacs) -> None:
    made = data_set(SEG, size=700)  # larger than several PDUs
    desk.add(made, "pacs")
    desk.sender(desk.destination(pacs.port)).run_once()
    (held,) = pacs.instances()
    assert split(held.path.read_bytes()) == split(part10(data_set(SEG, size=700)))


def test_nobody_listens(desk: Desk) -> None:
    with pytest.raises(DestinationUnreachable):
        desk.destination(free_port()).echo()


def test_no_such_host() -> None:
    with pytest.raises(DestinationUnreachable):
        DimseDestination("x", Peer("PEER", "no-such-host.invalid", 104, "AINODE", 2.0)).echo()


def test_connected_but_never_answered(desk: Desk) -> None:
    with blackhole() as port, pytest.raises(DestinationUnreachable):
        desk.destination(port, timeout_s=0.5).echo()


def test_a_rejected_association(desk: Desk, tmp_path: Path) -> None:
    with storescp(tmp_path / "scp", "--refuse") as port, pytest.raises(AssociationRejected):
        desk.destination(port).echo()


@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
def test_storescp_breaks_off(desk: Desk, tmp_path: Path, option: str) -> None:
    for number in range(2):
        desk.add(data_set(SEG, number, size=400), "pacs")
    with storescp(tmp_path / "scp", option) as port:
        desk.sender(desk.destination(port)).run_once()
    assert desk.outbox.states() == [SCHEDULED, SCHEDULED]
    with storescp(tmp_path / "sound") as port:
        desk.clock.advance(1.1)
        desk.sender(desk.destination(port)).run_once()
    assert desk.outbox.states() == [STORED, STORED]


def test_storescp_takes_results(desk: Desk, tmp_path: Path) -> None:
    desk.add(data_set(SEG, 1), "pacs")
    desk.add(data_set(SR, 2), "pacs")
    with storescp(tmp_path / "scp", "+B") as port:
        destination = desk.destination(port)
        destination.echo()
        desk.sender(destination).run_once()
    assert desk.outbox.states() == [STORED, STORED]
    received = {split(path.read_bytes()).data_set for path in (tmp_path / "scp").iterdir()}
    assert received == {split(part10(data_set(SEG, 1))).data_set, split(part10(data_set(SR, 2))).data_set}


def test_storescp_does_not_know_label_map_segmentations(desk: Desk, tmp_path: Path) -> None:
    label_map = "1.2.840.10008.5.1.4.1.1.66.7"
    desk.add(data_set(label_map, 1), "pacs")
    desk.add(data_set(SEG, 2), "pacs")
    with storescp(tmp_path / "scp") as port:
        desk.sender(desk.destination(port)).run_once()
    assert desk.outbox.states() == [FAILED, STORED]
    assert desk.outbox.get(1).error_code == SopClassRefused.code


def test_storescp_offers_no_commitment(desk: Desk, tmp_path: Path) -> None:
    desk.add(data_set(SEG), "pacs")
    with storescp(tmp_path / "scp") as port:
        desk.sender(desk.destination(port, commits=True)).run_once()
    assert desk.outbox.states() == [STORED]
    assert desk.outbox.commitments == {}
    assert [one.id for one in desk.outbox.uncommitted("pacs")] == [1]


@pytest.mark.parametrize("dead", ["closed port", "blackhole"])
def test_a_dead_destination_does_not_delay_the_live_one(desk: Desk, pacs: FaultyPacs, dead: str) -> None:
    """Every delivery to the live one is stored while the first attempt at the dead one may still be waiting."""
    for number in range(5):
        desk.add(data_set(SEG, number), "dead", "live", job_id=number)
    with blackhole() as hole:
        lost = desk.destination(free_port() if dead == "closed port" else hole, name="dead", timeout_s=6.0)
        live = desk.destination(pacs.port, name="live", commits=True)
        with desk.serving(desk.sender(lost), desk.sender(live)):
            wait_for(
                lambda: [desk.outbox.get(one).state for one in range(2, 11, 2)] == [COMMITTED] * 5,
                "the live destination is not served",
            )
            progressed = [desk.outbox.get(one).state for one in range(1, 11, 2)]
        assert COMMITTED not in progressed
        assert STORED not in progressed
        if dead == "blackhole":
            assert (1, SCHEDULED) not in desk.outbox.history[: desk.outbox.history.index((2, STORED))]


def test_commitment_on_the_same_association(desk: Desk, pacs: FaultyPacs) -> None:
    desk.add(data_set(SEG, 1), "pacs")
    desk.add(data_set(SR, 2), "pacs")
    desk.sender(desk.destination(pacs.port, commits=True)).run_once()
    assert desk.outbox.states() == [COMMITTED, COMMITTED]
    wait_for(lambda: all(held.committed for held in pacs.instances()), "the PACS did not see its report taken")


def test_a_report_in_hand_is_answered_before_the_association_ends(
    desk: Desk, pacs: FaultyPacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made durable for longer than a report is waited for."""
    apply = desk.outbox.apply_report

    def slowly(report: CommitmentReport) -> object:
        time.sleep(1.5)
        return apply(report)

    monkeypatch.setattr(desk.outbox, "apply_report", slowly)
    desk.add(data_set(SEG, 1), "pacs")
    desk.sender(desk.destination(pacs.port, commits=True)).run_once()
    assert desk.outbox.states() == [COMMITTED]
    wait_for(lambda: pacs.instances()[0].committed, "the PACS did not see its report taken")


def test_commitment_on_a_new_association(desk: Desk, pacs: FaultyPacs) -> None:
    desk.add(data_set(SEG, 1), "pacs")
    with report_receiver(desk.outbox.apply_report) as port:
        pacs.report_to("127.0.0.1", port)
        desk.sender(desk.destination(pacs.port, commits=True)).run_once()
        wait_for(lambda: desk.outbox.states() == [COMMITTED], "no report on a new association")
        wait_for(lambda: pacs.instances()[0].committed, "the PACS did not see its report taken")


def test_what_the_pacs_lost_is_sent_again_and_then_committed(desk: Desk, pacs: FaultyPacs) -> None:
    lost = data_set(SEG, 1)
    desk.add(lost, "pacs")
    desk.add(data_set(SR, 2), "pacs")
    sender = desk.sender(desk.destination(pacs.port))
    sender.run_once()
    pacs.holdings.discard(str(lost.SOPInstanceUID))
    asking = desk.sender(desk.destination(pacs.port, commits=True))
    asking.run_once()
    assert desk.outbox.states() == [SCHEDULED, COMMITTED]
    assert desk.outbox.get(1).error_code == "CommitmentFailed"
    asking.run_once()
    assert desk.outbox.states() == [COMMITTED, COMMITTED]


def test_a_report_that_never_comes_is_asked_for_again(desk: Desk, pacs: FaultyPacs) -> None:
    desk.add(data_set(SEG, 1), "pacs")
    pacs.silent = True
    sender = desk.sender(desk.destination(pacs.port, commits=True))
    sender.run_once()
    sender.run_once()
    assert (desk.outbox.states(), len(pacs.transaction_uids)) == ([STORED], 1)
    pacs.silent = False
    desk.clock.advance(61)
    assert desk.outbox.expire_commitments() == 1
    sender.run_once()
    assert desk.outbox.states() == [COMMITTED]
    assert len(set(pacs.transaction_uids)) == 2
    assert [held.receptions for held in pacs.instances()] == [1]


def test_files_are_sent_to_the_node_as_they_are(pacs: FaultyPacs, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(part10(data_set(MR, number)))
    (folder / "capture.dcm").write_bytes(part10(data_set(SC, 9)))
    (folder / "notes.txt").write_text("no DICOM", encoding="utf-8")
    told: list[tuple[int, int]] = []
    sent = send([folder], ("127.0.0.1", pacs.port), "PEER", lambda done, of: told.append((done, of)))
    assert list(sent.studies) == [data_set().StudyInstanceUID]
    assert sent.instances == 3
    assert {path.name for path, _ in sent.problems} == {"notes.txt", "capture.dcm"}
    assert told == [(done, 4) for done in range(1, 5)]
