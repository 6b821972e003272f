"""A Patient ID is corrected in a real Orthanc between reception and sending: the result is held until released."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select
from typer.testing import CliRunner

from node.admin.cli.root import cli
from node.app import delivering
from node.app.place import Place
from node.app.records import Records
from node.database.tables import alert
from node.domain.delivery import DeliveryState
from tests.fakes.uses import MemoryUses
from tests.integration.retrieving import AE_TITLE, Holder, holding
from tests.objects import MR, SR, data_set, part10
from tests.orthanc import Orthanc
from tests.peers import free_port
from tests.waiting import wait_for

WAIT_S = 120.0
IMAGES = [data_set(MR, number, "one") for number in (1, 2)]
REPORT = data_set(SR, 1, "one")
STUDY, REPORT_UID = str(REPORT.StudyInstanceUID), str(REPORT.SOPInstanceUID)


@contextmanager
def delivers(records: Records) -> Iterator[None]:
    stop = threading.Event()
    place = Place("deliver", "deliver", "host", "cpu", None, lambda: None, stop)
    role = threading.Thread(target=delivering.serve, args=(records, place))
    role.start()
    try:
        yield
    finally:
        stop.set()
        role.join(WAIT_S)
        assert not role.is_alive()


def delivery(records: Records) -> dict[str, Any]:
    (found,) = records.worklist.deliveries()
    return dict(found)


def test_a_result_of_another_patient_is_held_and_released(tmp_path: Path) -> None:
    # Orthanc answers queries of those alone that it knows.
    with Orthanc(tmp_path / "orthanc", node=(AE_TITLE, "127.0.0.1", free_port())) as orthanc:
        destination = f"""
[[destinations]]
name = "pacs"
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {orthanc.dicom_port}
commitment = false
requery = true
retry_base_s = 0.2
"""
        with holding(tmp_path / "node", destination) as holder:
            _held_then_released(holder, orthanc, tmp_path / "node" / "ainode.toml")


def _held_then_released(holder: Holder, orthanc: Orthanc, config: Path) -> None:
    records = holder.records
    assert isinstance(holder.uses, MemoryUses)
    for image in IMAGES:
        orthanc.post("/instances", part10(image))
    holder.receive(*map(part10, IMAGES))
    _correct(orthanc, "CORRECTED-7")
    holder.write_results(STUDY, REPORT)
    with delivers(records):
        wait_for(lambda: delivery(records)["error_code"] == "PatientMismatch", "the result is held", timeout_s=WAIT_S)
        found = delivery(records)
        assert found["state"] == DeliveryState.SCHEDULED
        assert "PatientID" in found["error"]
        assert "CORRECTED-7" not in found["error"]
        with records.engine.connect() as connection:
            (raised,) = connection.execute(select(alert).where(alert.c.kind == "patient_mismatch")).all()
        assert raised.detail["differs"] == ["PatientID"]
        assert REPORT_UID not in orthanc.instances()
        done = CliRunner().invoke(cli, ["-c", str(config), "deliveries", "release", str(found["id"])])
        assert done.exit_code == 0, done.output
        wait_for(lambda: delivery(records)["state"] == DeliveryState.STORED, "it is sent", timeout_s=WAIT_S)
    assert REPORT_UID in orthanc.instances()


def _correct(orthanc: Orthanc, patient_id: str) -> None:
    """Give the study another Patient ID, everything else as it is."""
    (patient,) = orthanc.get("/patients")
    kept = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    wanted = {"Replace": {"PatientID": patient_id}, "Keep": kept, "Force": True, "KeepSource": False}
    orthanc.post(f"/patients/{patient}/modify", wanted)
    (corrected,) = orthanc.get("/studies?expand")
    assert corrected["PatientMainDicomTags"]["PatientID"] == patient_id
    assert corrected["MainDicomTags"]["StudyInstanceUID"] == STUDY
