"""Orthanc as the PACS of a site, and DCMTK's programs as the scanners that send to it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pydicom

from node.domain.identity import derive_uid
from tests.e2e.site import Site
from tests.orthanc import Orthanc
from tests.peers import require_program, run_program

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"


class Pacs:
    """``node_port`` is where Orthanc expects the node."""

    def __init__(self, orthanc: Orthanc, node_port: int) -> None:
        self.orthanc = orthanc
        self.node_port = node_port

    def site(self, folder: Path, extra: str = "", database: str | None = None) -> Site:
        """A site whose only destination is this PACS."""
        destinations = f"""
[[destinations]]
name = "pacs"
ae_title = "{self.orthanc.ae_title}"
host = "127.0.0.1"
port = {self.orthanc.dicom_port}
commitment = true
retry_base_s = 0.5
[[routes]]
destinations = ["pacs"]
"""
        return Site(folder, destinations, extra, database, port=self.node_port)

    def instances(self, study_instance_uid: str) -> list[pydicom.FileDataset]:
        """Every object that Orthanc holds of a study."""
        held = [self.orthanc.get_bytes(f"/instances/{ours}/file") for ours in self.orthanc.instances().values()]
        found = [pydicom.dcmread(io.BytesIO(part10)) for part10 in held]
        return [item for item in found if item.StudyInstanceUID == study_instance_uid]


def storescu(site: Site, folder: Path) -> None:
    """As-shipped DCMTK storescu: uncompressed objects."""
    run_program([require_program("storescu"), "-aec", "AINODE", "127.0.0.1", str(site.port), *dicom_files(folder)])


def dcmsend(site: Site, folder: Path) -> None:
    """DCMTK dcmsend: objects as they are, compressed ones too."""
    run_program(
        [
            require_program("dcmsend"),
            "-aec",
            "AINODE",
            "--decompress-never",
            "127.0.0.1",
            str(site.port),
            *dicom_files(folder),
        ]
    )


def dicom_files(folder: Path) -> list[str]:
    """The Part 10 files below a folder, whatever they are called."""
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and _is_part10(path)]


def _is_part10(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def study_of(folder: Path) -> str:
    """The study that the DICOM files of a folder belong to."""
    return str(pydicom.dcmread(dicom_files(folder)[0], stop_before_pixels=True).StudyInstanceUID)


def another_study(source: Path, name: str) -> Iterator[pydicom.FileDataset]:
    """The images of ``source`` as those of a study of their own, which ``name`` stands for."""
    for path in dicom_files(source):
        image = pydicom.dcmread(path)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(image, keyword, derive_uid(name, keyword, str(image[keyword].value)))
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        yield image


def with_identity(source: Path, target: Path) -> Path:
    """A copy of anonymised objects with the UIDs that they lack; DCMTK sends nothing without them."""
    target.mkdir()
    for name in dicom_files(source):
        image = pydicom.dcmread(name)
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID
        image.StudyInstanceUID, image.SeriesInstanceUID = (
            derive_uid("study", source.name),
            derive_uid("series", source.name),
        )
        image.save_as(target / f"{image.SOPInstanceUID}.dcm")
    return target
