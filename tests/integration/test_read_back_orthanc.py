"""Looking for results in a real PACS by C-FIND at the level of instances: there, deleted, and never there."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.app import delivering
from node.app.place import Place
from node.app.records import Records, open_records
from node.config import parse
from node.deliver.association import Peer
from node.deliver.find_back import FindBack
from node.deliver.storage_scu import DimseDestination
from node.domain.delivery import Acknowledged
from node.domain.job import Completion
from node.errors import DestinationUnreachable, QueryRefused
from tests.contract.rows import completion, new_job, written
from tests.integration.delivering import NODE_AE_TITLE, storescp
from tests.objects import MR, SEG, SR, data_set, outgoing, part10
from tests.orthanc import Orthanc
from tests.peers import free_port
from tests.waiting import wait_for

TIMEOUT_S = 60.0
WAIT_S = 180.0


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("orthanc")
    with Orthanc(folder, settings={"DicomAlwaysAllowFind": True}) as running:
        yield running


def peer(port: int, ae_title: str = "ORTHANC") -> Peer:
    return Peer(ae_title, "127.0.0.1", port, NODE_AE_TITLE, TIMEOUT_S)


def acknowledged(*objects: Dataset) -> list[Acknowledged]:
    return [
        Acknowledged(
            number, "pacs", str(one.StudyInstanceUID), str(one.SeriesInstanceUID), str(one.SOPClassUID),
            str(one.SOPInstanceUID), datetime(2030, 1, 1, tzinfo=UTC), 1, 3,
        )
        for number, one in enumerate(objects)
    ]  # fmt: skip


def uids(objects: Sequence[Dataset]) -> frozenset[str]:
    return frozenset(str(one.SOPInstanceUID) for one in objects)


def test_what_is_there_is_found_and_what_was_deleted_is_not(orthanc: Orthanc, tmp_path: Path) -> None:
    """Objects of two series in one query each: Orthanc answers for the list of UIDs."""
    made = [data_set(SEG, 1), data_set(SR, 2), data_set(MR, 3)]
    never_sent = data_set(SEG, 4)
    sender = DimseDestination("pacs", peer(orthanc.dicom_port))
    assert [one.error for one in sender.send([outgoing(tmp_path, one) for one in made])] == [None] * 3
    pacs = FindBack("pacs", peer(orthanc.dicom_port))
    assert pacs.held(acknowledged(*made, never_sent)) == uids(made)
    orthanc.lose(str(made[1].SOPInstanceUID))
    assert pacs.held(acknowledged(*made, never_sent)) == uids([made[0], made[2]])


def test_who_does_not_answer_queries_is_named(tmp_path: Path) -> None:
    """DCMTK's storescp takes objects and knows no C-FIND."""
    with storescp(tmp_path / "scp") as port, pytest.raises(QueryRefused):
        FindBack("pacs", peer(port, "STORESCP")).held(acknowledged(data_set(SEG, 1)))
    with pytest.raises(DestinationUnreachable):
        FindBack("pacs", peer(free_port())).held(acknowledged(data_set(SEG, 1)))


def test_the_role_looks_for_what_it_sent_and_sends_once_more_what_is_not_there(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    """One destination is asked itself; for the other one another archive answers, which has nothing."""
    with Orthanc(tmp_path / "empty", settings={"DicomAlwaysAllowFind": True}) as empty:
        pacs = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": orthanc.dicom_port, "commitment": False}
        pacs |= {"read_back": True, "timeout_s": TIMEOUT_S}
        lost = {"query_port": empty.dicom_port, "read_back_patience_s": 1}
        tables = [{"name": "pacs", **pacs}, {"name": "lost", **pacs, **lost}]
        records = open_records(parse({"destinations": tables}, tmp_path, {}))
        finish_a_job(records)
        stop = threading.Event()
        place = Place("deliver", "deliver", "host", "cpu", None, lambda: None, stop)
        role = threading.Thread(target=delivering.serve, args=(records, place))
        role.start()
        try:
            wait_for(lambda: said(records, "pacs") == [("STORED", True, None)] * 2, "what was sent is found", WAIT_S)
            gone = [("FAILED", False, "ReadBackFailed")] * 2
            wait_for(lambda: said(records, "lost") == gone, "what is not there is given up", WAIT_S)
            told = [(one["kind"], one["detail"]["sent_again"]) for one in records.worklist.alerts()]
            attempts = {one["attempt"] for one in records.worklist.deliveries() if one["destination"] == "lost"}
        finally:
            stop.set()
            role.join(WAIT_S)
            records.close()
        assert sorted(told) == [("read_back_missing", False)] * 2 + [("read_back_missing", True)] * 2
        assert attempts == {2}


def finish_a_job(records: Records) -> None:
    made = [data_set(SEG, 11), data_set(SR, 12)]
    new = new_job("k", study_instance_uid=str(made[0].StudyInstanceUID), destinations=("pacs", "lost"))
    records.queue.enqueue(new)
    job = records.queue.claim("w", 60.0)
    assert job is not None
    objects = []
    for one in made:
        uid = str(one.SOPInstanceUID)
        records.results.put(part10(one), uid)
        row = written(str(one.SOPClassUID), uid)
        objects.append(replace(row, storage_key=uid, series_instance_uid=str(one.SeriesInstanceUID)))
    assert records.queue.complete(job, Completion(completion().result, tuple(objects), {}))


def said(records: Records, destination: str) -> list[tuple[str, bool, str | None]]:
    """State, whether it was seen, and what is wrong, of each of its deliveries."""
    rows = [one for one in records.worklist.deliveries() if one["destination"] == destination]
    return [(one["state"], one["read_back_at"] is not None, one["error_code"]) for one in rows]
