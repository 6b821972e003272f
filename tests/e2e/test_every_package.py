"""Every package that ships, on real images: DCMTK sends, the node works, Orthanc keeps what validators find valid."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from node.infer.registry import BUILT_IN
from tests.conformance.validators import dciodvfy
from tests.e2e.pacs import COMPREHENSIVE_3D_SR, SEG, Pacs, dcmsend, dicom_files, study_of
from tests.e2e.site import Site
from tests.peers import data_dir
from tests.pictures import KINDS, save

DEMONSTRATIONS = {"brain_tumour_mr", "lung_nodule_ct", "retinopathy_fundus"}
# Every second slice of the middle of a chest, as high as a package wants it, and of each the part with one lung: a
# twentieth of the time.
SLAB, ROWS, COLUMNS = slice(34, 82, 2), slice(120, 376), slice(30, 286)


@dataclass(frozen=True, slots=True)
class Input:
    """What is sent, which packages then work, and what each may find."""

    data: str
    packages: Sequence[str]
    outcomes: Sequence[str]
    wrapped_as: str = ""


INPUTS = {
    "a glioma study of four series": Input("brain-mr-glioma-study3", ["brain_tumour_mr"], ["POSITIVE", "NEGATIVE"]),
    "a hippocampus": Input("hippocampus-dicom-study3", ["hippocampus_mr"], ["POSITIVE"]),
    "a chest CT": Input("chest-ct-ricord", ["lung_nodule_ct", "organ_ct"], ["POSITIVE", "NEGATIVE"]),
    "a radiograph with pneumonia": Input(
        "chest-xray-pneumonia-224/train/PNEUMONIA/person825_bacteria_2736", ["chest_xray_pneumonia"], ["POSITIVE"], "DX"
    ),
    "an ultrasound image with a cancer": Input(
        "breast-us-busi/malignant/malignant (128)", ["breast_us"], ["POSITIVE"], "US"
    ),
    "a fundus with retinopathy": Input(
        "fundus-dr-224/diabetic_retinopathy/10046_left", ["retinopathy_fundus"], ["POSITIVE"], "OP"
    ),
}


@pytest.fixture(scope="module")
def site(pacs: Pacs, folder: Path) -> Iterator[Site]:
    named = sorted({package for given in INPUTS.values() for package in given.packages})
    started = pacs.site(folder, extra=f"[models]\nenabled = {named}\n[work]\ndevice = 'cpu'\n")
    try:
        started.start()
        yield started
    finally:
        started.kill()


def images_of(given: Input, folder: Path) -> Path:
    """A folder with the DICOM objects that are sent."""
    folder.mkdir()
    if given.wrapped_as:
        data, _, case = given.data.partition("/")
        (file,) = data_dir(data).glob(f"{case}.*")
        return save(folder, [KINDS[given.wrapped_as](np.asarray(Image.open(file)), study=file.stem)])[0].parent
    paths = dicom_files(data_dir(given.data))
    if given.data == "chest-ct-ricord":
        return save(folder, one_lung(paths))[0].parent
    for number, path in enumerate(paths):
        shutil.copy(path, folder / f"{number:04}.dcm")
    return folder


def one_lung(paths: Sequence[str]) -> list[pydicom.Dataset]:
    """A part of a chest, axial, uncompressed."""
    images = sorted(map(pydicom.dcmread, paths), key=lambda image: image.ImagePositionPatient[2])[SLAB]
    for image in images:
        image.decompress()
        part = np.ascontiguousarray(image.pixel_array[ROWS, COLUMNS])
        down, right = (float(mm) for mm in image.PixelSpacing)
        x, y, z = (float(mm) for mm in image.ImagePositionPatient)
        image.ImagePositionPatient = [x + COLUMNS.start * right, y + ROWS.start * down, z]
        image.Rows, image.Columns = part.shape
        image.PixelData = part.tobytes()
    return list(images)


def test_every_package_is_here() -> None:
    shipped = {path.parent.name for path in BUILT_IN.glob("*/model.toml")}
    assert {package for given in INPUTS.values() for package in given.packages} == shipped


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", INPUTS)
def test_real_images_in_valid_results_in_the_pacs(site: Site, pacs: Pacs, name: str, tmp_path: Path) -> None:
    given = INPUTS[name]
    sent = images_of(given, tmp_path / "sent")
    study = study_of(sent)
    # Two of them are series of one study.
    jobs_before = {job["id"] for job in site.json("queue", "list", "--study", study)["jobs"]}
    objects_before = {item.SOPInstanceUID for item in pacs.instances(study)}
    dcmsend(site, sent)
    assert site.run("wait", study, "--timeout", "400", timeout_s=450).returncode == 0

    jobs = [job for job in site.json("queue", "list", "--study", study)["jobs"] if job["id"] not in jobs_before]
    assert sorted((job["model"], job["state"]) for job in jobs) == [(each, "COMPLETED") for each in given.packages]
    assert {job["outcome"] for job in jobs} <= set(given.outcomes)
    deliveries = site.json("deliveries", "list", "--study", study)["deliveries"]
    assert {one["state"] for one in deliveries} == {"COMMITTED"}
    held = pacs.instances(study)
    assert len(held) == len(deliveries)
    written = [item for item in held if item.SOPInstanceUID not in objects_before]
    reports = [item for item in written if item.SOPClassUID == COMPREHENSIVE_3D_SR]
    assert len(reports) == len(given.packages)
    assert {item.SOPClassUID for item in written} <= {SEG, COMPREHENSIVE_3D_SR}
    assert {report.VerificationFlag for report in reports} == {"UNVERIFIED"}
    demonstrated = [report for report in reports if "demonstration only" in texts(report)]
    assert len(demonstrated) == len(DEMONSTRATIONS & set(given.packages))
    for number, item in enumerate(written):
        item.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
        assert dciodvfy(tmp_path / f"{number}.dcm") == []


def texts(report: pydicom.Dataset) -> set[str]:
    """Every text in the document."""
    here = {str(report.TextValue)} if "TextValue" in report else set()
    return here.union(*(texts(item) for item in report.get("ContentSequence", [])))
