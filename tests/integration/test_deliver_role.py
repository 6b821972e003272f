"""The deliver role with a destination of each type: a result reaches all of them, and one that is away is named."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest

from node.app import delivering
from node.app.place import Place
from node.app.records import Records, open_records
from node.app.status import destination_states
from node.config import parse
from node.domain.delivery import DeliveryState
from node.domain.job import NewJob, Priority
from node.infer.record import completion, result_object, storage_key
from node.results.writer import DicomResultWriter
from tests.fakes.fhir_peer import FhirServer
from tests.fakes.web_peer import StowServer
from tests.integration.hl7_peer import Hl7Peer, hl7_peer
from tests.peers import free_port
from tests.unit.results.runs import MAKER, header, run_on, save
from tests.waiting import wait_for

OBJECTS = ("share", "web")
MESSAGES = ("ris", "ehr")
AWAY = "away"
WAIT_S = 120.0


@pytest.fixture
def ris(tmp_path: Path) -> Iterator[Hl7Peer]:
    with hl7_peer(tmp_path / "hl7") as peer:
        yield peer


def opened(folder: Path, ris: Hl7Peer, web: StowServer, ehr: FhirServer) -> Records:
    (folder / "share").mkdir()
    away = {"ae_title": "AWAY", "host": "127.0.0.1", "port": free_port(), "open_after": 1, "timeout_s": 5}
    tables = [
        {"name": "share", "type": "folder", "path": "share", "concurrency": 2},
        {"name": "web", "type": "stow", "url": web.url, "read_back": True, "timeout_s": WAIT_S},
        {"name": "ris", "type": "hl7", "host": "127.0.0.1", "port": ris.port, "timeout_s": WAIT_S},
        {"name": "ehr", "type": "fhir", "url": ehr.url, "timeout_s": WAIT_S},
        {"name": AWAY, **away},
    ]
    return open_records(parse({"destinations": tables}, folder, {}))


def finish_a_job(records: Records, folder: Path) -> dict[str, str]:
    """A POSITIVE result of a small series; its SOP Instance UIDs by modality."""
    images = folder / "images"
    images.mkdir()
    run = run_on(
        save(
            [
                header(number, PatientName="Wang^XiaoDong=王^小東", SpecificCharacterSet="ISO_IR 192")
                for number in range(3)
            ],
            images,
        )
    )
    named = (*OBJECTS, *MESSAGES, AWAY)
    new = NewJob("k", run.model.id, run.model.version, "1.2.3", ("1.2.3.4",), 1, "A1", named, Priority.HIGH)
    records.queue.enqueue(new)
    job = records.queue.claim("w", 60.0)
    assert job is not None
    written = {storage_key("1.2.3", one): one for one in DicomResultWriter(MAKER, zone=UTC).write(run)}
    for key, one in written.items():
        records.results.put(one.part10, key)
    objects = [result_object(one, key) for key, one in written.items()]
    assert records.queue.complete(job, completion(run, {}, objects, {}))
    return {one.modality: one.sop_instance_uid for one in written.values()}


def test_a_result_reaches_every_destination(tmp_path: Path, ris: Hl7Peer) -> None:
    with StowServer() as web, FhirServer() as ehr:
        records = opened(tmp_path, ris, web, ehr)
        uids = finish_a_job(records, tmp_path)
        stop = threading.Event()
        place = Place("deliver", "deliver", "host", "cpu", None, lambda: None, stop)
        role = threading.Thread(target=delivering.serve, args=(records, place))
        role.start()
        try:
            wait_for(lambda: _settled(records), "everything but what is away is stored", WAIT_S)
            wait_for(lambda: _is_away(records), "the heartbeat says who is away, and what waits", WAIT_S)
            states = {one["name"]: one for one in destination_states(records)}
        finally:
            stop.set()
            role.join(60)
            records.close()
        assert not role.is_alive()
        by_name = {name: [one["circuit"]["open"], one["waiting"], one["type"]] for name, one in states.items()}
        assert by_name == {
            "share": [False, 0, "folder"], "web": [False, 0, "stow"], "ris": [False, 0, "hl7"],
            "ehr": [False, 0, "fhir"], AWAY: [True, 2, "dimse"],
        }  # fmt: skip
        assert states[AWAY]["circuit"]["error_code"] == "DestinationUnreachable"
        assert set(web.kept) == set(uids.values())
        assert {path.stem for path in (tmp_path / "share").rglob("*.dcm")} == set(uids.values())
        _message_says(ris, uids["SR"])
        _transaction_says(ehr, uids["SR"])


def _message_says(ris: Hl7Peer, report_uid: str) -> None:
    (message,) = ris.messages()
    assert str(message.segment("PID")[5]) == "Wang^XiaoDong~王^小東^^^^^^I"
    assert str(message.segment("OBR")[18]) == "A1"
    told = [(str(one[3]), str(one[5])) for one in message.segments("OBX")]
    assert told[0] == ("^SR Instance UID", report_uid)
    assert ("121111^Summary^DCM", "POSITIVE") in told
    volumes = [one for one in message.segments("OBX") if str(one[3]).startswith("118565006^")]
    assert [str(one[6]) for one in volumes] == ["mL^mL^UCUM"] * 2


def _transaction_says(ehr: FhirServer, report_uid: str) -> None:
    (report,) = ehr.kept["DiagnosticReport"]
    assert report["identifier"][0]["value"] == f"urn:oid:{report_uid}"
    assert report["subject"]["display"] == "Wang^XiaoDong=王^小東"
    assert report["conclusion"].startswith("POSITIVE")
    assert len(ehr.kept["Observation"]) == 3


def _settled(records: Records) -> bool:
    deliveries = records.worklist.deliveries()
    assert len(deliveries) == 8  # SEG and SR, to three places; the report alone to two
    assert not [one for one in deliveries if one["state"] == DeliveryState.FAILED], deliveries
    there = [one for one in deliveries if one["destination"] != AWAY]
    seen = all(one["read_back_at"] is not None for one in there if one["destination"] == "web")
    return seen and all(one["state"] == DeliveryState.STORED for one in there)


def _is_away(records: Records) -> bool:
    (found,) = (one for one in destination_states(records) if one["name"] == AWAY)
    return bool(found["circuit"]["open"]) and found["waiting"] == 2
