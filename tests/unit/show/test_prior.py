"""An earlier study of the same patient beside the one that is shown."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pydicom
import pytest

from node.app.web import site
from node.database.earlier import SqlEarlier
from node.domain.identity import derive_uid
from node.domain.study import Instance, StoredInstance
from node.ports import View
from node.receive import header as headers
from node.show.application import make_web
from tests.browsing import Browser
from tests.seeded import SERIES, STUDY, Seeded, image, seeded
from tests.unit.results.runs import AT, save

PAGE = f"/studies/{STUDY}"


@pytest.fixture
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    with seeded(tmp_path_factory.mktemp("node")) as made:
        yield made


def receive(
    node: Seeded, folder: pytest.TempPathFactory, name: str, slices: int = 3, **changed: str
) -> tuple[str, str]:
    """The UIDs of a further study of the patient, and of its series."""
    study, series = derive_uid("study", name), derive_uid("series", name)
    made = []
    for number in range(slices):
        one = image(number, **changed)
        one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID = study, series, derive_uid(name, str(number))
        one.FrameOfReferenceUID = derive_uid("frame", name)
        made.append(one)
    for path in save(made, folder.mktemp(name)):
        data = path.read_bytes()
        read = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
        key = f"{study}/{series}/{read.SOPInstanceUID}.dcm"
        node.records.files.put(data, key)
        syntax = str(read.file_meta.TransferSyntaxUID)
        told = headers.read(View(data, 0, len(data)), syntax, headers.wanted_tags())
        known = Instance(study, series, str(read.SOPClassUID), str(read.SOPInstanceUID), syntax, told.attributes)
        node.records.catalogue.record(StoredInstance(known, key, len(data), read.SOPInstanceUID, "MR1", AT))
    return study, series


def earlier(node: Seeded) -> list[str]:
    return [one.series_instance_uid for one in SqlEarlier(node.records.engine).of(STUDY, SERIES)]


def test_the_best_to_compare_with_comes_first(node: Seeded, tmp_path_factory: pytest.TempPathFactory) -> None:
    def series(name: str, **changed: str) -> str:
        return receive(node, tmp_path_factory, name, **changed)[1]

    older = series("older", StudyDate="20200101")
    other = series("other", StudyDate="20210101", SeriesDescription="T2 axial")
    same = series("same", StudyDate="20210101")
    series("stranger", StudyDate="20210101", PatientID="ANOTHER")
    series("namesake", StudyDate="20210101", PatientBirthDate="19000101")
    series("later", StudyDate="20990101")
    series("undated", StudyDate="")
    series("ct", StudyDate="20210101", Modality="CT")
    assert earlier(node) == [same, other, older]


def test_the_page_shows_it_beside(node: Seeded, tmp_path_factory: pytest.TempPathFactory) -> None:
    client = Browser(make_web(site(node.records)).application)
    assert "data-compare" not in client.get(PAGE).text, "there is none yet"
    study, series = receive(node, tmp_path_factory, "prior", StudyDate="20200102")
    page = client.get(PAGE, params={"compare": 1, "slice": 6}).text
    assert "Compare with 2020-01-02" in page
    assert "Prior of 2020-01-02" in page
    assert f"/studies/{study}" in page
    shown = f"/api/v1/studies/{study}/series/{series}/slices/2.png?window=default"
    assert f'src="{shown}"' in page, "the last of three for the last of six"
    assert client.get(shown).status_code == 200
    assert 'data-slices="0 0 1 1 2 2"' in page
    hidden = client.get(PAGE, params={"slice": 6}).text
    assert "Compare with 2020-01-02" in hidden
    assert shown not in hidden
