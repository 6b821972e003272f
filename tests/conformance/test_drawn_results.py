"""Key object selections, Secondary Captures and presentation states against public validators, with SEG and SR."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from node.app.writing import source_picture
from node.domain.rendition import PICTURES
from node.domain.result import Finding, GraphicType, HeatMap, InferenceResult, Location, Outcome, Segmentation
from node.domain.study import SopRef
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests import pictures
from tests.conformance import validators
from tests.peers import data_dir
from tests.unit.results.runs import ANTERIOR, MAKER, MODEL, SEGMENTS, header, not_evaluable, run_on, save

CLASSIFIER = replace(MODEL, id="classifier", segments=())


@dataclass(frozen=True)
class Study:
    """What a PACS has of a study in the end: the images, and every object of the result by its modality."""

    images: list[Path]
    files: dict[str, list[Path]]

    @property
    def written(self) -> list[Path]:
        return [path for paths in self.files.values() for path in paths]


def _write(run: Run, images: list[Path], folder: Path) -> Study:
    folder.mkdir()
    objects = DicomResultWriter(MAKER, zone=UTC, pictures=source_picture).write(replace(run, renditions=PICTURES))
    files: dict[str, list[Path]] = {}
    for number, written in enumerate(objects):
        path = folder / f"{number}.dcm"
        path.write_bytes(written.part10)
        files.setdefault(written.modality, []).append(path)
    return Study(images, files)


def _with_key_images(run: Run) -> Run:
    assert run.grid is not None
    middle = len(run.grid.sources) // 2
    return replace(run, result=replace(run.result, key_images=run.grid.sources[middle : middle + 2]))


def _on_a_radiograph(folder: Path) -> tuple[Run, list[Path]]:
    """Of a monochrome image of 12 bits, with a heat map and a region."""
    folder.mkdir()
    image = pictures.dx(np.random.default_rng(0).integers(0, 4096, (60, 50), dtype=np.uint16))
    ref = SopRef(str(image.SOPClassUID), str(image.SOPInstanceUID))
    heat = np.zeros((60, 50), np.float32)
    heat[10:30, 20:40] = 1
    region = Location(GraphicType.POLYGON, ((10.0, 20.0), (10.0, 40.0), (30.0, 40.0)))
    finding = Finding(ANTERIOR, probability=0.7, image=ref, location=region)
    paths = pictures.save(folder, [image])
    result = InferenceResult(Outcome.POSITIVE, (finding,), heat_maps=(HeatMap(ref, heat),), key_images=(ref,))
    return replace(run_on(paths, not_evaluable(), CLASSIFIER), result=result), paths


def _on_a_knee(folder: Path) -> tuple[Run, list[Path]]:
    """A paired body part without a side, patient and study with facts that a picture has to repeat."""

    def slice_of(number: int) -> Dataset:
        image = header(
            number, Rows=16, Columns=12, BodyPartExamined="KNEE", StudyDescription="Knee", IssuerOfPatientID="Hospital",
            SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", BitsAllocated=16, BitsStored=12, HighBit=11,
            PixelRepresentation=0, RescaleSlope=1, RescaleIntercept=0, RescaleType="US",
            WindowCenter=100, WindowWidth=200,
        )  # fmt: skip
        image.PixelData = np.arange(16 * 12, dtype=np.uint16).tobytes()
        return image

    folder.mkdir()
    paths = save([slice_of(number) for number in range(3)], folder)
    run = run_on(paths, InferenceResult(Outcome.NEGATIVE))
    label_map = np.zeros((3, 16, 12), np.uint8)
    label_map[1, 4:9, 3:8] = 1
    found = Finding(SEGMENTS[0].type, segment=1)
    return replace(run, result=InferenceResult(Outcome.POSITIVE, (found,), Segmentation(SEGMENTS, label_map))), paths


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    folder = tmp_path_factory.mktemp("drawn")
    hippocampus = sorted(data_dir("hippocampus-dicom-study3").glob("*.dcm"))
    enhanced = sorted((data_dir("mini-series-dicom2nifti") / "philips_enhanced_anatomical_001").glob("*.dcm"))
    runs = {
        "volume": (_with_key_images(run_on(hippocampus)), hippocampus),
        "frames": (_with_key_images(run_on(enhanced)), enhanced),
        "negative": (run_on(hippocampus, InferenceResult(Outcome.NEGATIVE)), hippocampus),
        "not evaluable": (run_on(hippocampus, not_evaluable()), hippocampus),
        "radiograph": _on_a_radiograph(folder / "images of dx"),
        "knee": _on_a_knee(folder / "images of a knee"),
    }
    return {name: _write(run, images, folder / name) for name, (run, images) in runs.items()}


def test_every_kind_is_there(studies: dict[str, Study]) -> None:
    found = {name: {modality: len(paths) for modality, paths in study.files.items()} for name, study in studies.items()}
    assert found == {
        "volume": {"PR": 1, "OT": 2, "SEG": 1, "KO": 1, "SR": 1},
        "frames": {"PR": 1, "OT": 2, "SEG": 1, "KO": 1, "SR": 1},
        "negative": {"OT": 1, "SR": 1},
        "not evaluable": {"OT": 1, "SR": 1},
        "radiograph": {"PR": 1, "OT": 1, "KO": 1, "SR": 1},
        "knee": {"PR": 1, "OT": 1, "SEG": 1, "SR": 1},
    }


def test_every_object_is_valid(studies: dict[str, Study]) -> None:
    complaints = {path: validators.dciodvfy(path) for study in studies.values() for path in study.written}
    assert {path: found for path, found in complaints.items() if found} == {}


def test_dcmtk_takes_the_presentation_states(studies: dict[str, Study]) -> None:
    for study in studies.values():
        for path in study.files.get("PR", []):
            assert validators.dcmpschk(path) == []


def test_the_whole_study_fits_together(studies: dict[str, Study]) -> None:
    for study in studies.values():
        assert validators.dcentvfy([*study.images, *study.written]) == []


def test_validators_notice_what_is_wrong(studies: dict[str, Study], tmp_path: Path) -> None:
    """Else nobody would know that they were really asked."""

    def spoilt(modality: str, keyword: str) -> Path:
        dataset = pydicom.dcmread(studies["volume"].files[modality][0])
        delattr(dataset, keyword)
        dataset.save_as(tmp_path / f"{modality}.dcm")
        return tmp_path / f"{modality}.dcm"

    assert validators.dciodvfy(spoilt("KO", "CurrentRequestedProcedureEvidenceSequence"))
    assert validators.dciodvfy(spoilt("OT", "ConversionType"))
    assert validators.dcmpschk(spoilt("PR", "DisplayedAreaSelectionSequence"))
