"""QIDO-RS and WADO-RS as programs ask: what is answered, refused and written down."""

from __future__ import annotations

import email
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from argon2 import PasswordHasher
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.admin.accounts import Logins
from node.app.web import site
from node.database.accounts import SqlAccounts
from node.database.held_objects import SqlHeldObjects
from node.domain.audit import Action
from node.show.application import make_web
from node.show.dicom_web import search
from node.show.dicom_web.accesses import A_SITTING
from tests.browsing import Browser
from tests.seeded import COLUMNS, ROWS, SERIES, SLICES, STUDY, Seeded, image, seeded

ROOT = "/api/dicom-web"
IMAGES = f"{ROOT}/studies/{STUDY}/series/{SERIES}/instances"
ICON = bytes(range(256)) * 16
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    with seeded(tmp_path_factory.mktemp("node"), images=[with_icon(number) for number in range(SLICES)]) as made:
        yield made


def with_icon(number: int) -> Dataset:
    """An image with long values in a sequence, and with a text that is no ASCII."""
    icon = Dataset()
    icon.Rows = icon.Columns = 64
    icon.add_new("PixelData", "OW", ICON)
    made = image(number, IconImageSequence=[icon], SpecificCharacterSet="ISO_IR 100")
    made.InstitutionName = "Klinik Köln"
    return made


@pytest.fixture(scope="module")
def client(node: Seeded) -> Browser:
    return Browser(make_web(site(node.records)).application)


def parts(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """Media type and content of each part, read by the standard library."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content)
    return [(str(one["Content-Type"]), bytes(one.get_payload(decode=True))) for one in message.get_payload()]  # type: ignore[arg-type,union-attr]


def files(node: Seeded) -> dict[str, bytes]:
    """What the stores hold, by SOP Instance UID."""
    held = SqlHeldObjects(node.records.engine).of(STUDY)
    stores = {False: node.records.instances, True: node.records.results}
    found = {}
    for one in held:
        with stores[one.is_result].open(one.storage_key) as file:
            found[one.sop_instance_uid] = file.read()
    return found


def values(found: Dataset | dict[str, Any], tag: str) -> Any:
    return found[tag].get("Value", [None])[0]


def uids(client: Browser, path: str, tag: str) -> list[str]:
    answer = client.get(ROOT + path)
    assert answer.status_code in (200, 204), answer.text
    return [values(one, tag) for one in answer.json()] if answer.content else []


def instance_of(client: Browser, modality: str) -> str:
    """The address of the first instance of a series of this modality."""
    (found, *_) = client.get(f"{ROOT}/instances", params={"Modality": modality}).json()
    return str(values(found, "00081190")).removeprefix("http://127.0.0.1")


# ---------------------------------------------------------------- searches


def test_studies_are_found_by_their_attributes(client: Browser) -> None:
    (found,) = client.get(f"{ROOT}/studies").json()
    assert values(found, "0020000D") == STUDY
    assert values(found, "00100010") == {"Alphabetic": "Doe^Jane"}
    assert found["00080061"]["Value"] == ["MR", "SEG", "SR"]
    assert values(found, "00201208") == SLICES + 3
    assert values(found, "00081190") == f"http://127.0.0.1{ROOT}/studies/{STUDY}"
    assert found["00080090"] == {"vr": "PN"}
    for query in ("PatientName=doe*", "00100010=DOE^JANE", "StudyInstanceUID=1.9,1.2.3", "ModalitiesInStudy=SEG",
                  "StudyDate=20260101-20261231", "PatientID=", "StudyID=S1&AccessionNumber=A?"):  # fmt: skip
        assert uids(client, f"/studies?{query}", "0020000D") == [STUDY], query
    for query in ("PatientID=4712", "StudyInstanceUID=1.2", "StudyDate=-20200101", "limit=0", "offset=1"):
        assert uids(client, f"/studies?{query}", "0020000D") == [], query
    assert client.get(f"{ROOT}/studies?offset=1").status_code == 204


def test_series_and_instances_with_and_without_a_study(client: Browser) -> None:
    below = uids(client, f"/studies/{STUDY}/series", "0020000E")
    assert len(below) == len(set(below)) == 4
    assert uids(client, "/series", "0020000E") == below
    assert uids(client, f"/series?SeriesInstanceUID={SERIES}", "0020000E") == [SERIES]
    assert uids(client, "/series?SeriesInstanceUID=1.9", "0020000E") == []
    assert uids(client, f"/studies/{STUDY}/series?Modality=MR", "0020000E") == [SERIES]
    images = uids(client, f"/studies/{STUDY}/series/{SERIES}/instances", "00080018")
    assert len(images) == SLICES
    assert len(uids(client, f"/studies/{STUDY}/instances", "00080018")) == SLICES + 3
    (one,) = client.get(f"{ROOT}/instances?SOPInstanceUID={images[1]}").json()
    assert (values(one, "00280010"), values(one, "0020000E"), values(one, "00100020")) == (ROWS, SERIES, "4711")
    (alone,) = client.get(f"{IMAGES}?SOPInstanceUID={images[1]}").json()
    assert "00100020" not in alone
    (more,) = client.get(f"{IMAGES}?SOPInstanceUID={images[1]}&includefield=PatientID,00081030").json()
    assert values(more, "00100020") == "4711"
    (whole,) = client.get(f"{ROOT}/studies?includefield=all").json()
    assert len(whole["00080062"]["Value"]) == 3


def test_remarks_stand_in_a_warning(client: Browser) -> None:
    answer = client.get(f"{ROOT}/instances?limit=2&offset=1&fuzzymatching=true&KVP=120&Modality.CodeValue=x")
    assert len(answer.json()) == 2
    remarks = answer.headers.get_list("warning")
    assert all(one.startswith(f'299 http://127.0.0.1{ROOT}: "') for one in remarks)
    assert [one.split('"')[1].split()[0:3] for one in remarks] == [
        ["The", "fuzzymatching", "parameter"],
        ["The", "attribute", "KVP"],
        ["The", "attribute", "Modality.CodeValue"],
        ["There", "are", "additional"],
    ]
    assert "warning" not in client.get(f"{ROOT}/studies?fuzzymatching=false").headers


def test_pages_of_a_search_are_the_whole(client: Browser) -> None:
    everything = uids(client, "/instances", "00080018")
    assert [uid for at in range(0, 10, 2) for uid in uids(client, f"/instances?limit=2&offset={at}", "00080018")] == (
        everything
    )


def test_a_search_that_would_take_for_ever_is_refused(client: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_STUDIES", 0)
    answer = client.get(f"{ROOT}/series?Modality=XA")
    assert (answer.status_code, answer.json()["code"]) == (413, "SearchTooWide")


@pytest.mark.parametrize(
    "query",
    ["NoSuchKeyword=1", "limit=many", "offset=-1", "StudyDate=yesterday", "StudyInstanceUID=1.2,x", "0010FFFF=1",
     "PatientID=" + "9" * 10_000, "includefield=Nonsense", "StudyTime=25x", "&".join(["PatientID=1"] * 101)],
)  # fmt: skip
def test_what_no_search_is(client: Browser, query: str) -> None:
    answer = client.get(f"{ROOT}/studies?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "UnusableKey"), query


def test_searches_are_answered_as_json_alone(client: Browser) -> None:
    assert client.get(f"{ROOT}/studies", headers={"Accept": "application/dicom+xml"}).status_code == 406
    assert client.get(f"{ROOT}/studies?accept=application/json", headers={"Accept": "text/html"}).status_code == 200
    assert client.get(f"{ROOT}/studies/nonsense/series").status_code == 400
    assert client.get(f"{ROOT}/studies/{'1' * 10_000}/series").status_code == 400


# ---------------------------------------------------------------- retrieval


def test_a_study_comes_as_its_files(node: Seeded, client: Browser) -> None:
    found = parts(client.get(f"{ROOT}/studies/{STUDY}"))
    assert {kind for kind, _ in found} == {"application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
    stored = files(node)
    assert {str(dcmread(io.BytesIO(data)).SOPInstanceUID): data for _, data in found} == stored
    assert len(stored) == SLICES + 3
    assert len(parts(client.get(f"{ROOT}/studies/{STUDY}/series/{SERIES}"))) == SLICES


def test_an_instance_alone(client: Browser) -> None:
    address = instance_of(client, "SR")
    alone = client.get(address, headers={"Accept": "application/dicom"})
    assert alone.headers["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    [(_, data)] = parts(client.get(address, headers={"Accept": 'multipart/related; type="application/dicom"'}))
    assert data == alone.content
    j2k = "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90"
    refused = client.get(address, headers={"Accept": j2k})
    assert (refused.status_code, refused.json()["code"]) == (406, "NotAcceptable")
    assert client.get(f"{ROOT}/studies/{STUDY}", headers={"Accept": "application/dicom"}).status_code == 406
    assert client.get(f"{ROOT}/studies/{STUDY}", headers={"Accept": "text/html"}).status_code == 406


def test_metadata_is_the_data_set_with_its_pixels_elsewhere(node: Seeded, client: Browser) -> None:
    answer = client.get(f"{ROOT}/studies/{STUDY}/metadata")
    assert answer.headers["content-type"] == "application/dicom+json"
    found = {values(one, "00080018"): one for one in answer.json()}

    def octets(_: str, __: str, uri: str) -> bytes:
        return client.get(uri, headers={"Accept": "application/octet-stream"}).content

    for uid, data in files(node).items():
        expected = dcmread(io.BytesIO(data))
        told = found[uid]
        pixels = told.pop("7FE00010", None)
        if "PixelData" in expected:
            assert pixels is not None
            assert pixels["BulkDataURI"].endswith(f"/instances/{uid}/bulkdata/7FE00010")
            del expected.PixelData
        else:
            assert pixels is None
        again = Dataset.from_json(told, octets)
        assert again.SpecificCharacterSet == "ISO_IR 192"
        del again.SpecificCharacterSet
        if "SpecificCharacterSet" in expected:
            del expected.SpecificCharacterSet
        assert again == expected
    assert len(client.get(f"{ROOT}/studies/{STUDY}/series/{SERIES}/metadata").json()) == SLICES
    assert len(client.get(f"{instance_of(client, 'SEG')}/metadata").json()) == 1


def test_frames_of_an_image(client: Browser) -> None:
    address = instance_of(client, "MR")
    data_set = dcmread(io.BytesIO(client.get(address, headers={"Accept": "application/dicom"}).content))
    for accept in ("*/*", "multipart/related; type=application/octet-stream; transfer-syntax=*"):
        [(kind, pixels)] = parts(client.get(f"{address}/frames/1", headers={"Accept": accept}))
        assert kind == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
        assert pixels == data_set.PixelData
    alone = client.get(f"{address}/frames/1", headers={"Accept": "application/octet-stream"})
    assert alone.content == data_set.PixelData
    [(_, bulk)] = parts(client.get(f"{address}/bulkdata/7FE00010"))
    assert bulk == data_set.PixelData


def test_frames_of_a_segmentation(node: Seeded, client: Browser) -> None:
    address = instance_of(client, "SEG")
    data_set = dcmread(io.BytesIO(client.get(address, headers={"Accept": "application/dicom"}).content))
    whole = data_set.pixel_array.reshape(-1, ROWS, COLUMNS)
    found = parts(client.get(f"{address}/frames/{len(whole)},1,2"))
    for (_, content), expected in zip(found, (whole[-1], whole[0], whole[1]), strict=True):
        bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
        assert (bits[: ROWS * COLUMNS].reshape(ROWS, COLUMNS) == expected).all()
    assert len(parts(client.get(f"{address}/bulkdata/7FE00010"))) == len(whole)


@pytest.mark.parametrize(
    ("frames", "status"), [("0", 400), ("1,,2", 400), ("-1", 400), ("x", 400), ("2", 404), ("1,999999999", 404),
                           ("9" * 10_000, 400), ("%31%00", 400)]
)  # fmt: skip
def test_frames_that_are_none(client: Browser, frames: str, status: int) -> None:
    answer = client.get(f"{instance_of(client, 'MR')}/frames/{frames}", headers={"Accept": "application/octet-stream"})
    assert answer.status_code == status or (frames == "1,999999999" and answer.status_code == 406)


def test_what_is_not_here_is_not_found(client: Browser) -> None:
    for path in (
        "/studies/1.9",
        f"/studies/{STUDY}/series/1.9",
        f"/studies/1.9/series/{SERIES}",
        f"/studies/{STUDY}/series/{SERIES}/instances/1.9",
        f"/studies/{STUDY}/series/{SERIES}/instances/1.9/metadata",
        "/studies/1.9/thumbnail",
        "/nothing",
    ):
        answer = client.get(ROOT + path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path
    assert client.get(f"{instance_of(client, 'SR')}/frames/1").status_code == 404
    assert client.get(f"{instance_of(client, 'SR')}/bulkdata/00080018").status_code == 404
    assert client.get(f"{instance_of(client, 'SR')}/bulkdata/0040A730/999/0040A730").status_code == 404
    assert client.get(f"{ROOT}/studies/../../etc/passwd").status_code == 404


def test_rendered_images(client: Browser) -> None:
    address = instance_of(client, "MR")
    png = client.get(f"{address}/rendered?window=500,1000", headers={"Accept": "image/png"})
    assert (png.headers["content-type"], picture(png).shape) == ("image/png", (ROWS, COLUMNS))
    jpeg = client.get(f"{address}/frames/1/rendered?quality=50&viewport=32,32")
    assert (jpeg.headers["content-type"], picture(jpeg).shape) == ("image/jpeg", (24, 32))
    narrow = client.get(f"{address}/rendered?window=10,2,linear", headers={"Accept": "image/png"})
    assert set(np.unique(picture(narrow))) <= {0, 255} | set(range(256))
    assert picture(narrow).mean() > picture(png).mean()
    for path in (f"/studies/{STUDY}/thumbnail", f"/studies/{STUDY}/series/{SERIES}/thumbnail"):
        assert max(picture(client.get(ROOT + path)).shape) <= 128
    assert client.get(f"{address}/thumbnail").status_code == 200
    assert client.get(f"{instance_of(client, 'SEG')}/rendered").status_code == 406
    assert client.get(f"{address}/frames/2/rendered").status_code == 404
    assert client.get(f"{address}/rendered", headers={"Accept": "image/gif"}).status_code == 406
    for wrong in ("window=1", "window=1,0", "viewport=5", "viewport=a,b", "quality=101", "window=" + "1" * 10_000):
        assert client.get(f"{address}/rendered?{wrong}").status_code == 400, wrong


def picture(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_long_values_are_fetched_by_themselves(client: Browser) -> None:
    address = instance_of(client, "MR")
    [found] = client.get(f"{address}/metadata").json()
    assert values(found, "00080080") == "Klinik Köln"
    [icon] = found["00880200"]["Value"]
    bulk = icon["7FE00010"]["BulkDataURI"]
    assert bulk.endswith(f"{address}/bulkdata/00880200/0/7FE00010")
    answer = client.get(bulk, headers={"Accept": "application/octet-stream"})
    assert answer.content == ICON
    assert parts(client.get(bulk)) == [("application/octet-stream", ICON)]
    assert client.get(bulk, headers={"Accept": "image/png"}).status_code == 406
    assert client.get(bulk.replace("/0/", "/1/")).status_code == 404


# ---------------------------------------------------------------- who may, and who did


def test_only_named_users_where_others_reach_it(node: Seeded) -> None:
    accounts = SqlAccounts(node.records.engine, node.clock, "test")
    named = Logins(accounts, node.clock, PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    named.add("reader", PASSWORD)
    reached = make_web(replace(site(node.records), open_reading=False, logins=named)).application
    client, before = Browser(reached, "http://node.hospital.example"), len(accesses(node))
    for path in ("/studies", f"/studies/{STUDY}", f"/studies/{STUDY}/metadata", "/instances", "/series"):
        assert client.get(ROOT + path).status_code == 401, path
    client.post("/login", data={"name": "reader", "password": PASSWORD, "next": "/"})
    for path in ("/studies", f"/studies/{STUDY}/metadata", f"/studies/{STUDY}", "/studies/1.9"):
        client.get(ROOT + path)
    assert accesses(node)[: len(accesses(node)) - before] == [("user:reader", STUDY)]
    node.clock.advance(A_SITTING.total_seconds())
    client.get(f"{ROOT}/studies/{STUDY}/thumbnail")
    assert len(accesses(node)) == before + 2


def test_who_is_nobody_is_written_down_too(node: Seeded) -> None:
    Browser(make_web(site(node.records)).application).get(f"{ROOT}/studies/{STUDY}/thumbnail")
    assert accesses(node)[0] == ("web", STUDY)


def test_other_names_of_this_machine_read_nothing(node: Seeded) -> None:
    stranger = Browser(make_web(site(node.records)).application, "http://evil.example")
    assert stranger.get(f"{ROOT}/studies").status_code == 421


def accesses(made: Seeded) -> list[tuple[str, str | None]]:
    found = made.records.audit.newest(100)
    return [(one.actor, one.study_instance_uid) for one in found if one.action == Action.STUDY_ACCESSED]
