"""Orthanc as the PACS: C-STORE and storage commitment, whose reports come on a new association."""

from __future__ import annotations

from pathlib import Path

from node.deliver.part10 import split
from node.domain.delivery import CommitmentReport, DeliveryState
from tests.integration.delivering import NODE_AE_TITLE, Desk, report_receiver
from tests.objects import MR, SEG, SR, data_set, part10
from tests.orthanc import Orthanc
from tests.waiting import wait_for

LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


def test_results_are_stored_committed_and_come_back_bit_for_bit(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "objects")
    for number, kind in enumerate((SEG, SR, MR)):
        desk.add(data_set(kind, number), "pacs")
    with (
        report_receiver(desk.outbox.apply_report) as port,
        Orthanc(tmp_path / "orthanc", node=(NODE_AE_TITLE, "127.0.0.1", port)) as orthanc,
    ):
        destination = desk.destination(orthanc.dicom_port, orthanc.ae_title, commits=True)
        destination.echo()
        desk.sender(destination).run_once()
        wait_for(lambda: desk.outbox.states() == [DeliveryState.COMMITTED] * 3, "Orthanc does not commit")
        assert orthanc.studies() == [data_set().StudyInstanceUID]
        for number, kind in enumerate((SEG, SR, MR)):
            sent = data_set(kind, number)
            assert split(orthanc.part10(str(sent.SOPInstanceUID))) == split(part10(sent))


def test_what_orthanc_lost_fails_its_commitment_and_is_sent_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "objects")
    lost = data_set(SEG, 1)
    desk.add(lost, "pacs")
    desk.add(data_set(SR, 2), "pacs")
    reports: list[CommitmentReport] = []

    def apply(report: CommitmentReport) -> None:
        reports.append(report)
        desk.outbox.apply_report(report)

    with (
        report_receiver(apply) as port,
        Orthanc(tmp_path / "orthanc", node=(NODE_AE_TITLE, "127.0.0.1", port)) as orthanc,
    ):
        desk.sender(desk.destination(orthanc.dicom_port, orthanc.ae_title)).run_once()
        orthanc.lose(str(lost.SOPInstanceUID))
        asking = desk.sender(desk.destination(orthanc.dicom_port, orthanc.ae_title, commits=True))
        asking.run_once()
        wait_for(lambda: bool(reports), "Orthanc does not report")
        assert reports[0].failed == {str(lost.SOPInstanceUID): 0x0112}
        wait_for(lambda: desk.outbox.get(2).state is DeliveryState.COMMITTED, "the other one is not committed")
        asking.run_once()
        wait_for(lambda: desk.outbox.states() == [DeliveryState.COMMITTED] * 2, "it is not committed after all")


def test_orthanc_refuses_label_maps_and_takes_the_rest(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "objects")
    desk.add(data_set(LABEL_MAP, 1), "pacs")
    desk.add(data_set(SR, 2), "pacs")
    with Orthanc(tmp_path / "orthanc") as orthanc:
        destination = desk.destination(orthanc.dicom_port, orthanc.ae_title)
        assert destination.takes([LABEL_MAP, SEG]) == {SEG}, "it says so before anything is sent"
        desk.sender(destination).run_once()
        assert desk.outbox.states() == [DeliveryState.FAILED, DeliveryState.STORED]
        assert desk.outbox.get(1).error_code == "SopClassRefused"


def test_a_pacs_that_comes_back_gets_what_waited(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "objects")
    desk.add(data_set(SEG, 1), "pacs")
    orthanc = Orthanc(tmp_path / "orthanc")
    sender = desk.sender(desk.destination(orthanc.dicom_port, orthanc.ae_title))
    sender.run_once()
    assert desk.outbox.get(1).error_code == "DestinationUnreachable"
    with orthanc:
        desk.clock.advance(1.1)
        sender.run_once()
        assert desk.outbox.states() == [DeliveryState.STORED]
        assert list(orthanc.instances()) == [data_set(SEG, 1).SOPInstanceUID]
