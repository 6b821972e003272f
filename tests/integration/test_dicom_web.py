"""The node's DICOMweb asked by a library's client, and held against Orthanc's answers about the same objects."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pydicom.encaps import get_frame
from pydicom.uid import JPEG2000Lossless, RLELossless

from node.app.web import site
from node.database.held_objects import SqlHeldObjects
from node.deliver.part10 import split
from node.domain.study import Instance, StoredInstance
from node.ports import View
from node.receive import header as headers
from node.show.application import make_web
from tests.orthanc import DICOM_WEB_PLUGIN, Orthanc
from tests.peers import absent, data_dir, free_port
from tests.seeded import SERIES, SLICES, STUDY, Seeded, seeded
from tests.unit.results.runs import AT
from tests.waiting import wait_for

COMPRESSED = ("CT1_J2KR", "CT1_JLSL", "CT1_RLE", "US1_RLE")
# What each server says of itself, and what the other does not index.
OF_THE_SERVER = {"00080005", "00080056", "00081190", "00080054"}


@dataclass(frozen=True, slots=True)
class Both:
    """``files`` by SOP Instance UID; the same are in Orthanc."""

    ours: str
    theirs: str
    files: dict[str, bytes]

    def client(self) -> DICOMwebClient:
        return DICOMwebClient(self.ours)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    if not DICOM_WEB_PLUGIN.is_file():
        absent("Orthanc's DICOMweb plugin is not installed")
    folder = tmp_path_factory.mktemp("both")
    with seeded(folder) as made, Orthanc(folder / "orthanc", dicom_web=True) as orthanc:
        for name in COMPRESSED:
            receive(made, data_dir("wg04-compressed") / name)
        files = held(made)
        for data in files.values():
            orthanc.post("/instances", data)
        port = free_port()
        application = make_web(site(made.records)).application
        settings = uvicorn.Config(application, port=port, log_config=None, timeout_graceful_shutdown=10)
        server = uvicorn.Server(settings)
        serving = threading.Thread(target=server.run, daemon=True)
        serving.start()
        wait_for(lambda: server.started, "the server serves", timeout_s=60)
        try:
            yield Both(f"http://127.0.0.1:{port}/api/dicom-web", f"{orthanc.url}/dicom-web", files)
        finally:
            server.should_exit = True
            serving.join(60)


def receive(made: Seeded, path: Path) -> None:
    data = path.read_bytes()
    read = dcmread(io.BytesIO(data), stop_before_pixels=True)
    syntax = str(read.file_meta.TransferSyntaxUID)
    told = headers.read(View(data, 0, len(data)), syntax, headers.wanted_tags())
    key = f"{read.StudyInstanceUID}/{read.SeriesInstanceUID}/{read.SOPInstanceUID}.dcm"
    made.records.files.put(data, key)
    instance = Instance(
        str(read.StudyInstanceUID),
        str(read.SeriesInstanceUID),
        str(read.SOPClassUID),
        str(read.SOPInstanceUID),
        syntax,
        told.attributes,
    )
    made.records.catalogue.record(StoredInstance(instance, key, len(data), "0" * 64, "MR1", AT))


def held(made: Seeded) -> dict[str, bytes]:
    stores = {False: made.records.instances, True: made.records.results}
    with made.records.engine.connect() as connection:
        studies = connection.exec_driver_sql("SELECT study_instance_uid FROM study").scalars().all()
    found = {}
    for one in (one for study in studies for one in SqlHeldObjects(made.records.engine).of(study)):
        with stores[one.is_result].open(one.storage_key) as file:
            found[one.sop_instance_uid] = file.read()
    return found


def asked(base: str, path: str) -> list[dict[str, Any]]:
    answer = httpx.get(base + path, headers={"Accept": "application/dicom+json"}, timeout=120, trust_env=False)
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def valued(found: dict[str, Any]) -> dict[str, Any]:
    return {tag: one["Value"] for tag, one in found.items() if one.get("Value") and tag not in OF_THE_SERVER}


# ---------------------------------------------------------------- the same as Orthanc


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/studies", "0020000D"),
        (f"/studies/{STUDY}/series", "0020000E"),
        (f"/studies/{STUDY}/instances", "00080018"),
        (f"/studies/{STUDY}/series/{SERIES}/instances", "00080018"),
        ("/series", "0020000E"),
        ("/instances", "00080018"),
        ("/studies?PatientID=4711", "0020000D"),
        ("/studies?PatientName=Doe*&StudyDate=20260303", "0020000D"),
        ("/series?Modality=SEG", "0020000E"),
    ],
)
def test_searches_find_what_orthanc_finds(both: Both, path: str, key: str) -> None:
    ours = {one[key]["Value"][0]: valued(one) for one in asked(both.ours, path)}
    theirs = {one[key]["Value"][0]: valued(one) for one in asked(both.theirs, path)}
    assert ours.keys() == theirs.keys()
    for uid, expected in theirs.items():
        for tag in expected.keys() & ours[uid].keys():
            assert as_text(ours[uid][tag]) == as_text(expected[tag]), (uid, tag)
        assert {key, "0020000D"} <= ours[uid].keys()


def as_text(values: list[Any]) -> list[str]:
    """Sorted: ModalitiesInStudy has no order; of a name what ASCII holds; a number is the same with its point."""
    return sorted(
        f"{one:g}" if isinstance(one, float) else str(one.get("Alphabetic") if isinstance(one, dict) else one)
        for one in values
    )


def test_metadata_says_what_orthanc_says(both: Both) -> None:
    path = f"/studies/{STUDY}/series/{SERIES}/metadata"
    ours = {one["00080018"]["Value"][0]: valued(one) for one in asked(both.ours, path)}
    theirs = {one["00080018"]["Value"][0]: valued(one) for one in asked(both.theirs, path)}
    assert ours.keys() == theirs.keys()
    for uid, expected in theirs.items():
        assert {tag: as_text(values) for tag, values in ours[uid].items()} == {
            tag: as_text(values) for tag, values in expected.items()
        }


# ---------------------------------------------------------------- a library's client


def test_searches_and_objects_by_a_client(both: Both) -> None:
    client = both.client()
    studies = {str(dcmread(io.BytesIO(data)).StudyInstanceUID) for data in both.files.values()}
    assert {one["0020000D"]["Value"][0] for one in client.search_for_studies()} == studies
    assert len(both.files) == SLICES + 3 + len(COMPRESSED)
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    assert client.search_for_studies(limit=1, offset=1, fields=["SOPClassesInStudy"])[0]["00080062"]["Value"]
    found = client.retrieve_study(STUDY, media_types=(("application/dicom", "*"),))
    assert len(found) == SLICES + 3
    for one in found:
        written = io.BytesIO()
        one.save_as(written)
        sent, stored = split(written.getvalue()), split(both.files[str(one.SOPInstanceUID)])
        assert sent == stored
    assert len(client.retrieve_series_metadata(STUDY, SERIES)) == SLICES


def test_compressed_objects_as_they_are_and_uncompressed(both: Both) -> None:
    client = both.client()
    for data in both.files.values():
        stored = dcmread(io.BytesIO(data))
        if not stored.file_meta.TransferSyntaxUID.is_encapsulated:
            continue
        uids = (stored.StudyInstanceUID, stored.SeriesInstanceUID, stored.SOPInstanceUID)
        same = client.retrieve_instance(*uids, media_types=(("application/dicom", "*"),))
        assert same.file_meta.TransferSyntaxUID == stored.file_meta.TransferSyntaxUID
        assert same.PixelData == stored.PixelData
        plain = client.retrieve_instance(*uids, media_types=(("application/dicom", "1.2.840.10008.1.2.1"),))
        assert (plain.pixel_array == stored.pixel_array).all()
        [frame] = client.retrieve_instance_frames(*uids, [1], media_types=(("application/octet-stream", "*"),))
        assert frame == get_frame(stored.PixelData, 0, number_of_frames=1)
        rendered = client.retrieve_instance_rendered(*uids, media_types=("image/png",))
        assert rendered.startswith(b"\x89PNG")


def test_frames_uncompressed(both: Both) -> None:
    for data in both.files.values():
        stored = dcmread(io.BytesIO(data))
        if stored.file_meta.TransferSyntaxUID not in (JPEG2000Lossless, RLELossless) or stored.SamplesPerPixel > 1:
            continue
        uids = (stored.StudyInstanceUID, stored.SeriesInstanceUID, stored.SOPInstanceUID)
        [frame] = both.client().retrieve_instance_frames(*uids, [1], media_types=("application/octet-stream",))
        assert (
            np.frombuffer(frame, stored.pixel_array.dtype).reshape(stored.pixel_array.shape) == stored.pixel_array
        ).all()


def test_a_form_that_cannot_be_given_is_refused(both: Both) -> None:
    client = both.client()
    with pytest.raises(Exception, match="406"):
        client.retrieve_series(STUDY, SERIES, media_types=(("application/dicom", str(JPEG2000Lossless)),))
    with pytest.raises(Exception, match="404"):
        client.retrieve_study("1.2.3.9")
