"""Studies fetched from a real Orthanc by C-GET and C-MOVE, and from archives that fail."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, JPEG2000Lossless
from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from node.deliver.archive import DimseArchive
from node.deliver.association import QUICK, Peer
from node.deliver.taken_classes import IMAGES, TAKEN, taken_contexts
from node.domain.retrieval import Retrieved, StudySearch
from node.errors import DestinationUnreachable, RetrievalFailed, SopClassRefused
from node.ports.retrieval import Incoming
from tests.integration.receiving import AE_TITLE, serving
from tests.objects import MR, data_set, part10
from tests.orthanc import Orthanc
from tests.peers import free_port


@dataclass
class Basket:
    """A ``Taker`` that keeps what comes, and refuses so many."""

    refuses: int = 0
    taken: list[Incoming] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def take(self, incoming: Incoming) -> int:
        if self.refuses:
            self.refuses -= 1
            return 0xA700
        self.taken.append(incoming)
        return 0

    def close(self, how: str) -> None:
        self.ended.append(how)


def image(study: str, number: int = 1, sop_class_uid: str = MR, **attributes: Any) -> Dataset:
    made = data_set(sop_class_uid, number, study)
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture(scope="module")
def node_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, node_port: int) -> Iterator[Orthanc]:
    """Müller's two MR studies, the first with a CT image, and one of Smith."""
    node = (AE_TITLE, "127.0.0.1", node_port)
    with Orthanc(tmp_path_factory.mktemp("orthanc"), node=node) as made:
        mueller = {"PatientID": "M1", "PatientName": "Müller^Jörg"}
        for number in (1, 2, 3):
            made.post("/instances", part10(image("one", number, StudyDate="20200101", AccessionNumber="A1", **mueller)))
        made.post("/instances", part10(image("one", 1, str(CTImageStorage), StudyDate="20200101", AccessionNumber="A1",
                                             Modality="CT", **mueller)))  # fmt: skip
        made.post("/instances", part10(image("two", 1, StudyDate="20210101", AccessionNumber="A2", **mueller)))
        made.post("/instances", part10(image("three", 1, PatientID="S1", StudyDate="20210101", AccessionNumber="A3")))
        yield made


def archive(port: int, basket: Basket | None = None, timeout_s: float = 60.0) -> DimseArchive:
    peer = Peer("ORTHANC", "127.0.0.1", port, AE_TITLE, timeout_s)
    return DimseArchive("archive", peer, None if basket is None else lambda: basket)


def uid_of(study: str) -> str:
    return str(data_set(study=study).StudyInstanceUID)


# ------------------------------------------------------------------------------------------------ Orthanc


def test_looking_for_studies_and_series(orthanc: Orthanc) -> None:
    asked = archive(orthanc.dicom_port)
    (one,) = asked.studies(StudySearch(accession_number="A1"))
    assert (one.study_instance_uid, one.patient_id, one.patient_name) == (uid_of("one"), "M1", "Müller^Jörg")
    assert (one.study_date, sorted(one.modalities), one.instances) == ("20200101", ["CT", "MR"], 4)

    def found(**wanted: str) -> set[str]:
        return {study.accession_number for study in asked.studies(StudySearch(**wanted))}

    assert found(patient_id="M1") == {"A1", "A2"}
    assert found(first_date="20210101") == {"A2", "A3"}
    assert found(first_date="20200101", last_date="20201231") == {"A1"}
    assert found(modality="CT") == {"A1"}
    assert found(study_instance_uid=uid_of("two")) == {"A2"}
    assert found(accession_number="A9") == set()
    series = {one.modality: one.instances for one in asked.series(uid_of("one"))}
    assert series == {"MR": 3, "CT": 1}


def test_a_study_by_c_get(orthanc: Orthanc) -> None:
    basket = Basket()
    assert archive(orthanc.dicom_port, basket).retrieve(uid_of("one")) == Retrieved(4)
    assert basket.ended == ["released"]
    made = [image("one", number) for number in (1, 2, 3)] + [image("one", 1, str(CTImageStorage))]
    assert {one.sop_instance_uid for one in basket.taken} == {str(one.SOPInstanceUID) for one in made}
    for one in basket.taken:
        read = dcmread(BytesIO(one.part10))
        assert (str(read.SOPInstanceUID), str(read.PatientName)) == (one.sop_instance_uid, "Müller^Jörg")
        assert read.file_meta.TransferSyntaxUID == one.transfer_syntax_uid


def test_one_series_by_c_get(orthanc: Orthanc) -> None:
    basket = Basket()
    series = str(image("one", 1, str(CTImageStorage)).SeriesInstanceUID)
    assert archive(orthanc.dicom_port, basket).retrieve(uid_of("one"), [series]) == Retrieved(1)
    assert [one.sop_class_uid for one in basket.taken] == [str(CTImageStorage)]


def test_a_study_by_c_move_to_our_receiver(orthanc: Orthanc, node_port: int, tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", node_port))
    with serving(tmp_path, listener=listener) as site:
        assert archive(orthanc.dicom_port).retrieve(uid_of("one")) == Retrieved(4)
        assert len(site.catalogue.stored()) == 4
        assert {one.calling_ae for one in site.catalogue.stored()} == {"ORTHANC"}


def test_a_receiver_that_is_not_there(orthanc: Orthanc) -> None:
    with pytest.raises(RetrievalFailed) as error:
        archive(orthanc.dicom_port).retrieve(uid_of("two"))
    assert error.value.retryable


def test_what_we_refuse_is_no_success(orthanc: Orthanc) -> None:
    basket = Basket(refuses=1)
    with pytest.raises(RetrievalFailed):
        archive(orthanc.dicom_port, basket).retrieve(uid_of("one"))


def test_a_study_that_is_not_there(orthanc: Orthanc) -> None:
    """Orthanc says that it cannot; one that says that nothing was to be sent says as much."""
    basket = Basket()
    with pytest.raises(RetrievalFailed):
        archive(orthanc.dicom_port, basket).retrieve("1.2.3.4.5.6")
    assert basket.taken == []


# ------------------------------------------------------------------------------------------------ those that fail


@pytest.fixture
def failing(request: pytest.FixtureRequest) -> Iterator[int]:
    """An archive that answers C-MOVE and C-GET with what the test says; its port."""
    entity = AE("ORTHANC")
    models = (
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
        StudyRootQueryRetrieveInformationModelMove,
    )
    for model in models[: request.param["models"]]:
        entity.add_supported_context(model)

    def on_get(event: evt.Event) -> Iterator[Any]:
        if request.param.get("abort"):
            event.assoc.abort()
        yield 2
        yield request.param.get("status", 0xA702), None

    handlers: Any = [*QUICK, (evt.EVT_C_GET, on_get)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    yield server.server_address[1]
    server.shutdown()
    entity.shutdown()


@pytest.mark.parametrize("failing", [{"models": 1}], indirect=True)
def test_an_archive_that_only_answers_queries(failing: int) -> None:
    basket = Basket()
    for one in (archive(failing, basket), archive(failing)):
        with pytest.raises(SopClassRefused):
            one.retrieve("1.2.3")
    assert (basket.taken, basket.ended) == ([], ["lost"])


@pytest.mark.parametrize("failing", [{"models": 3}], indirect=True)
def test_an_archive_that_cannot(failing: int) -> None:
    with pytest.raises(RetrievalFailed) as error:
        archive(failing, Basket()).retrieve("1.2.3")
    assert error.value.details["status"] == 0xA702


@pytest.mark.parametrize("failing", [{"models": 3, "abort": True}], indirect=True)
def test_an_archive_that_breaks_off(failing: int) -> None:
    basket = Basket()
    with pytest.raises(DestinationUnreachable):
        archive(failing, basket).retrieve("1.2.3")
    assert basket.ended == ["lost"]


def test_nobody_there() -> None:
    with pytest.raises(DestinationUnreachable):
        archive(free_port()).studies(StudySearch(accession_number="1"))


# ------------------------------------------------------------------------------------------------ what is proposed


def test_what_is_taken_fits_into_one_association() -> None:
    assert len(set(TAKEN)) == len(TAKEN)
    assert set(IMAGES) < set(TAKEN)
    assert len(taken_contexts()) < 128
    assert any(JPEG2000Lossless in context.transfer_syntax for context in taken_contexts())
