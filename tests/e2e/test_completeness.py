"""Completeness by evidence, with the node as processes: silence is an hour away, so what closes is evidence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom.association import Association

from node.app.clock import SystemClock
from node.database.engine import make_engine
from node.deliver.association import ClosingEntity
from node.domain.identity import derive_uid
from node.domain.study import CloseReason
from node.errors import NotFound
from node.show.worklist import Worklist
from tests.e2e.pacs import dicom_files, storescu, study_of
from tests.e2e.site import Site
from tests.orthanc import Orthanc
from tests.peers import data_dir, free_port
from tests.waiting import wait_for

ROLES = ("receive", "timers")
SOURCE = """
[[sources]]
name = "archive"
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {port}
timeout_s = 2.0
"""
PATIENT = SOURCE.replace("timeout_s = 2.0", "timeout_s = 20.0\ngranted_s = 20.0")
HOUR = {"AINODE_RECEIVE__QUIET_PERIOD_S": "3600", "AINODE_RECEIVE__OPEN_ASSOCIATION_QUIET_S": "3600"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An archive that answers the node's questions."""
    with Orthanc(tmp_path_factory.mktemp("archive"), node=("AINODE", "127.0.0.1", free_port())) as orthanc:
        yield orthanc


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts sites, and ends them."""
    started: list[Site] = []

    def start(extra: str = "", **environment: str) -> Site:
        site = Site(tmp_path / f"site{len(started)}", extra=extra)
        site.extra_environment = HOUR | environment
        started.append(site)
        site.start(ROLES)
        return site

    yield start
    for site in started:
        site.kill()


@pytest.fixture
def images(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A real series of 40 images under UIDs of its own, whose headers do not state their count."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in dicom_files(data_dir("hippocampus-dicom-study3")):
        image = pydicom.dcmread(name)
        image.StudyInstanceUID = derive_uid("completeness", request.node.name, "study")
        image.SeriesInstanceUID = derive_uid("completeness", request.node.name, "series")
        image.SOPInstanceUID = derive_uid("completeness", request.node.name, str(image.InstanceNumber))
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.pop("ImagesInAcquisition", None)
        image.save_as(folder / f"{int(image.InstanceNumber):03d}.dcm")
    return folder


def some(images: Path, target: str, numbers: range) -> Path:
    """A folder with these images alone."""
    chosen = images.parent / target
    chosen.mkdir()
    for number in numbers:
        shutil.copy(images / f"{number:03d}.dcm", chosen)
    return chosen


def completeness(site: Site, study: str) -> dict[str, Any]:
    """What is known of the study's one series, as ``why --json`` tells it; read here, as often as it takes.

    A row may come a little after its acknowledgement: before there is any, the series has no state.
    """
    engine = make_engine(f"sqlite:///{site.folder}/var/ainode.db")
    try:
        (series,) = Worklist(engine, SystemClock()).why(study)["studies"][0]["series"]
    except NotFound:
        return {"state": None, "revision": 0, "instances": 0}
    finally:
        engine.dispose()
    return {**series["completeness"], **{key: series[key] for key in ("state", "revision", "instances")}}


def closed(site: Site, study: str, revision: int = 1) -> dict[str, Any]:
    """The same, once that revision is closed."""

    def found() -> dict[str, Any] | None:
        done = completeness(site, study)
        return done if (done["state"], done["revision"]) == ("CLOSED", revision) else None

    return wait_for(found, f"revision {revision} is closed", timeout_s=60)  # type: ignore[return-value]


def associated(site: Site) -> Association:
    entity = ClosingEntity("SCANNER")
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", site.port, ae_title="AINODE")
    assert association.is_established
    return association


def store(association: Association, folder: Path) -> None:
    for name in dicom_files(folder):
        assert association.send_c_store(pydicom.dcmread(name)).Status == 0


def test_an_archive_that_counts_the_series_closes_it_and_why_says_so(
    node: Callable[..., Site], archive: Orthanc, images: Path
) -> None:
    study = study_of(images)
    for name in dicom_files(images):
        archive.post("/instances", Path(name).read_bytes())
    site = node(SOURCE.format(port=archive.dicom_port))
    storescu(site, some(images, "first", range(1, 31)))
    # A gapless grid, but the archive counts more: nothing but silence would close it.
    wait_for(lambda: completeness(site, study)["instances"] == 30, "thirty images have their rows")
    assert completeness(site, study)["state"] == "RECEIVING"
    storescu(site, some(images, "second", range(31, 41)))
    done = closed(site, study)
    assert done["reason"] == CloseReason.SOURCE_COUNT.value
    assert (done["evidence"]["source"], done["evidence"]["source_counts"]) == ("archive", 40)
    told = site.run("why", study).stdout
    assert "Source archive, asked by C-FIND at" in told
    assert "counts 40 instances of the series; all of them are here." in told


def test_a_dead_archive_costs_nothing_but_itself(node: Callable[..., Site], images: Path) -> None:
    site = node(SOURCE.format(port=free_port()))
    storescu(site, images)
    done = closed(site, study_of(images))
    assert done["reason"] == CloseReason.GAPLESS.value
    assert "Instance Numbers 1 to 40 are all here, on 40 positions" in site.run("why", study_of(images)).stdout


def test_an_archive_that_counts_more_leaves_it_to_silence(
    node: Callable[..., Site], archive: Orthanc, images: Path
) -> None:
    for name in dicom_files(images):
        archive.post("/instances", Path(name).read_bytes())
    site = node(PATIENT.format(port=archive.dicom_port), AINODE_RECEIVE__QUIET_PERIOD_S="12")
    storescu(site, some(images, "most", range(1, 40)))
    done = closed(site, study_of(images))
    assert done["reason"] == CloseReason.ASSOCIATION_RELEASED.value
    assert done["evidence"]["lacking"] == ["source archive counts 40 instances"]
    assert "Not shown to be complete: source archive counts 40 instances." in site.run("why", study_of(images)).stdout


def test_a_late_image_opens_a_new_revision_and_why_remembers_the_first(node: Callable[..., Site], images: Path) -> None:
    site = node()
    study = study_of(images)
    storescu(site, some(images, "first", range(1, 40)))
    assert closed(site, study)["reason"] == CloseReason.GAPLESS.value
    storescu(site, some(images, "late", range(40, 41)))
    wait_for(lambda: completeness(site, study)["state"] == "RECEIVING", "the late image opens it again")
    done = site.run("studies", "complete", study)
    assert done.returncode == 0, done.stderr
    second = completeness(site, study)
    assert (second["state"], second["revision"], second["reason"]) == ("CLOSED", 2, CloseReason.OPERATOR.value)
    assert second["evidence"]["instances"] == 40
    (first,) = second["earlier"]
    assert (first["revision"], first["reason"]) == (1, CloseReason.GAPLESS.value)
    assert (
        "revision 1 was complete: association released and no number or position is missing"
        in site.run("why", study).stdout
    )


def test_an_operators_word_closes_one_series_of_a_sender_that_is_still_connected(
    node: Callable[..., Site], images: Path
) -> None:
    site = node()
    study = study_of(images)
    association = associated(site)
    try:
        store(association, some(images, "some", range(1, 6)))
        wait_for(lambda: completeness(site, study)["instances"] == 5, "five images have their rows")
        uid = str(pydicom.dcmread(images / "001.dcm", stop_before_pixels=True).SeriesInstanceUID)
        assert site.run("studies", "complete", study, "--series", "1.2.3").returncode == 1
        assert completeness(site, study)["state"] == "RECEIVING"
        completed = site.json("studies", "complete", study, "--series", uid)
        assert completed == {"completed": [{"series_instance_uid": uid, "error_code": None}]}
        done = completeness(site, study)
        assert (done["state"], done["reason"]) == ("CLOSED", CloseReason.OPERATOR.value)
        assert site.json("studies", "complete", study) == {"completed": []}
        assert site.run("studies", "complete", "1.2.3.4.5.6").returncode == 1
    finally:
        association.release()
