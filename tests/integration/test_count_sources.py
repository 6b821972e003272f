"""Counts by C-FIND: a real Orthanc, and peers that are dead, silent, endless or lie."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.dsutils import decode
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from node.deliver.association import QUICK, Peer
from node.deliver.find import FindSource, number_in, text_in
from node.demo.pacs import EmbeddedPacs
from node.domain.completeness import InstanceCount
from node.errors import AssociationRejected, DeliveryError, DestinationUnreachable, QueryRefused, SopClassRefused
from tests.objects import data_set, part10
from tests.orthanc import Orthanc
from tests.peers import data_dir, free_port
from tests.waiting import wait_for

STUDY, SERIES = "1.2.3", "1.2.3.4"
PENDING, SUCCESS, UNABLE = 0xFF00, 0x0000, 0xC001
Answers = Iterator[tuple[int, Dataset | None]]


def source(port: int, timeout_s: float = 5.0, ae_title: str = "ARCHIVE") -> FindSource:
    return FindSource("archive", Peer(ae_title, "127.0.0.1", port, "AINODE", timeout_s))


@contextlib.contextmanager
def archive(on_find: Callable[[evt.Event], Answers], offered: str = "") -> Iterator[int]:
    """A Query/Retrieve SCP that answers as the test says; its port."""
    entity = AE("ARCHIVE")
    entity.add_supported_context(offered or StudyRootQueryRetrieveInformationModelFind)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[*QUICK, (evt.EVT_C_FIND, on_find)])
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        entity.shutdown()


def match(event: evt.Event, **values: Any) -> Dataset:
    """What was asked for, filled in."""
    found = Dataset()
    found.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
    for element in event.identifier:
        found[element.tag] = element
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


# ------------------------------------------------------------------------------------------------ real ones


def test_orthanc_counts_a_series(tmp_path: Path) -> None:
    files = sorted(data_dir("hippocampus-dicom-study3").rglob("*.dcm"))
    with Orthanc(tmp_path, node=("AINODE", "127.0.0.1", free_port())) as orthanc:
        asked = source(orthanc.dicom_port, ae_title=orthanc.ae_title)
        for file in files[:7]:
            orthanc.post("/instances", file.read_bytes())
        (one,) = orthanc.get("/series?expand")
        study = orthanc.studies()[0]
        series = one["MainDicomTags"]["SeriesInstanceUID"]
        assert asked.count(study, series) == InstanceCount(of_series=7)
        orthanc.post("/instances", files[7].read_bytes())
        assert asked.count(study, series) == InstanceCount(of_series=8)
        assert asked.count(study, "1.2.3.4.5.6").of_series is None
        assert asked.count("1.2.3.4.5.6", "1.2.3.4.5.6.7") == InstanceCount()


def test_the_embedded_pacs_counts_a_series(tmp_path: Path) -> None:
    with EmbeddedPacs(tmp_path) as pacs:
        made = [data_set(number=number) for number in range(1, 4)]
        for one in made:
            pacs.holdings.add(part10(one))
        asked = source(pacs.port, ae_title=pacs.ae_title)
        assert asked.count(str(made[0].StudyInstanceUID), str(made[0].SeriesInstanceUID)) == InstanceCount(of_series=3)


# ------------------------------------------------------------------------------------------------ those that answer


def test_a_source_that_counts_only_studies() -> None:
    def on_find(event: evt.Event) -> Answers:
        at_series = event.identifier.QueryRetrieveLevel == "SERIES"
        yield PENDING, match(event) if at_series else match(event, NumberOfStudyRelatedInstances=25)

    with archive(on_find) as port:
        assert source(port).count(STUDY, SERIES) == InstanceCount(of_study=25)


def test_matches_of_other_series_do_not_count() -> None:
    """An SCP that ignores the keys, and one that has the series twice."""

    def others(event: evt.Event) -> Answers:
        for number in range(3):
            yield PENDING, match(event, SeriesInstanceUID=f"9.{number}", NumberOfSeriesRelatedInstances=5)

    def twice(event: evt.Event) -> Answers:
        if event.identifier.QueryRetrieveLevel == "SERIES":
            yield PENDING, match(event, NumberOfSeriesRelatedInstances=5)
            yield PENDING, match(event, NumberOfSeriesRelatedInstances=5)

    for on_find in (others, twice):
        with archive(on_find) as port:
            assert source(port).count(STUDY, SERIES) == InstanceCount()


@pytest.mark.parametrize("value", [b"", b"  ", b"many", b"-4 ", b"1e3 ", b"99999999999 ", b"3\\4 ", b"\xb2 ", b"4.0 "])
def test_numbers_that_are_none(value: bytes) -> None:
    """As they come over the wire, Implicit VR Little Endian."""
    encoded = struct.pack("<HHI", 0x0020, 0x1209, len(value)) + value
    found = decode(BytesIO(encoded), is_implicit_vr=True, is_little_endian=True)
    assert "NumberOfSeriesRelatedInstances" in found
    assert number_in(found, "NumberOfSeriesRelatedInstances") is None


def test_numbers_and_texts_as_they_stand() -> None:
    found = Dataset()
    found.NumberOfSeriesRelatedInstances = "40"
    found.SeriesInstanceUID = "1.2.3"
    assert number_in(found, "NumberOfSeriesRelatedInstances") == 40
    assert text_in(found, "SeriesInstanceUID") == "1.2.3"
    assert text_in(found, "StudyInstanceUID") == ""


# ------------------------------------------------------------------------------------------------ those that do not


def raised(asked: FindSource) -> DeliveryError:
    with pytest.raises(DeliveryError) as error:
        asked.count(STUDY, SERIES)
    return error.value


def test_nobody_there() -> None:
    assert isinstance(raised(source(free_port())), DestinationUnreachable)


def test_somebody_who_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert isinstance(raised(source(silent.getsockname()[1], timeout_s=0.3)), DestinationUnreachable)


def test_somebody_who_does_not_answer_the_query() -> None:
    done = threading.Event()

    def on_find(event: evt.Event) -> Answers:
        done.wait(20)
        yield SUCCESS, None

    with archive(on_find) as port:
        try:
            assert isinstance(raised(source(port, timeout_s=0.5)), DestinationUnreachable)
        finally:
            done.set()


def test_an_answer_without_end() -> None:
    def on_find(event: evt.Event) -> Answers:
        while event.assoc.is_established:
            yield PENDING, match(event, SeriesInstanceUID="9.9", NumberOfSeriesRelatedInstances=1)

    before = threading.active_count()
    with archive(on_find) as port:
        assert isinstance(raised(source(port)), DestinationUnreachable)
    wait_for(lambda: threading.active_count() <= before, "every thread of the association has ended")


def test_an_answer_that_drips() -> None:
    """Each part in time, the whole never."""

    def on_find(event: evt.Event) -> Answers:
        while event.assoc.is_established:
            time.sleep(0.2)
            yield PENDING, match(event)

    with archive(on_find) as port:
        assert isinstance(raised(source(port, timeout_s=0.5)), DestinationUnreachable)


def test_a_query_that_is_refused() -> None:
    def on_find(event: evt.Event) -> Answers:
        yield UNABLE, None

    with archive(on_find) as port:
        error = raised(source(port))
    assert isinstance(error, QueryRefused)
    assert error.details["status"] == UNABLE


def test_a_peer_without_queries_and_one_that_rejects() -> None:
    with archive(lambda _: iter(()), offered=Verification) as port:
        assert isinstance(raised(source(port)), SopClassRefused)
    entity = AE("ARCHIVE")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    entity.require_called_aet = True
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=QUICK)
    assert server is not None
    try:
        assert isinstance(raised(source(server.server_address[1], ae_title="OTHER")), AssociationRejected)
    finally:
        server.shutdown()
        entity.shutdown()


def test_a_peer_that_breaks_off() -> None:
    def on_find(event: evt.Event) -> Answers:
        event.assoc.abort()
        yield PENDING, None

    with archive(on_find) as port:
        assert isinstance(raised(source(port)), DestinationUnreachable)
