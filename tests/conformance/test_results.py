"""Objects on real series against public validators and readers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

import highdicom as hd
import nibabel
import numpy as np
import pydicom
import pytest
from highdicom.seg import segread
from highdicom.sr import srread

from node.domain.result import CodedConcept, DocumentRef, EarlierResult, Finding, InferenceResult, Outcome
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests.conformance import validators
from tests.peers import data_dir
from tests.unit.results.runs import (
    MAKER,
    MODEL,
    draw,
    header,
    positive,
    run_on,
    save,
)

HIPPOCAMPUS = "hippocampus-dicom-study3"
SERIES = {
    "hippocampus": HIPPOCAMPUS,
    "glioma": "brain-mr-glioma-study3/11-T1post-18670",
    "chest CT": "chest-ct-ricord",
    "sagittal": "mini-series-dicom2nifti/generic_compressed_001",
    "enhanced": "mini-series-dicom2nifti/philips_enhanced_anatomical_001",
}
WORDLESS_SITE = Finding(CodedConcept("233604007", "SCT", "Pneumonia"), probability=0.83)


@dataclass(frozen=True)
class Written:
    """A run, its images and the files of its objects, by modality ("SR 2" is the further report)."""

    run: Run
    images: list[Path]
    files: dict[str, Path]


def _images(name: str) -> list[Path]:
    top, _, rest = SERIES[name].partition("/")
    return sorted((data_dir(top) / rest).glob("*.dcm"))


def _write(run: Run, images: Sequence[Path], folder: Path) -> Written:
    folder.mkdir()
    files = {}
    for written in DicomResultWriter(MAKER, zone=UTC).write(run):
        number = pydicom.dcmread(io.BytesIO(written.part10), stop_before_pixels=True).InstanceNumber
        name = written.modality if number == 1 else f"{written.modality} {number}"
        files[name] = folder / f"{name}.dcm"
        files[name].write_bytes(written.part10)
    return Written(run, list(images), files)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    """A POSITIVE run on every real series."""
    folder = tmp_path_factory.mktemp("real")
    return {name: _write(run_on(_images(name)), _images(name), folder / name) for name in SERIES}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    """Documents on the hippocampus series; those without an evaluation are in ``test_golden``."""
    folder, images = tmp_path_factory.mktemp("outcomes"), _images("hippocampus")
    base = run_on(images)
    assert base.grid is not None
    half = draw(base.grid.shape)
    half[half == 2] = 0
    mixture = replace(base.result, findings=(*base.result.findings, WORDLESS_SITE))
    runs = {
        "finding": run_on(
            images, InferenceResult(Outcome.POSITIVE, (WORDLESS_SITE,)), replace(MODEL, demonstration=True)
        ),
        "mixture": run_on(images, mixture),
        "one segment empty": run_on(images, positive(base.grid, half)),
    }
    written = {name: _write(run, images, folder / name) for name, run in runs.items()}
    successor = replace(base, job=replace(base.job, revision=1), earlier=(_said(written["mixture"]),))
    return written | {"successor": _write(successor, images, folder / "successor")}


def _said(written: Written) -> EarlierResult:
    """Both reports of a run, the main one first."""
    reports = [pydicom.dcmread(written.files[name]) for name in ("SR", "SR 2")]
    refs = (
        DocumentRef(one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPClassUID, one.SOPInstanceUID) for one in reports
    )
    return EarlierResult(tuple(refs))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """An oblique, descending series of a patient whose name and facts are trouble."""
    folder = tmp_path_factory.mktemp("hostile")
    images = save(
        [
            header(
                number,
                SpecificCharacterSet=["", "ISO 2022 IR 87"],
                PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
                PatientAge="0Y",
                ImageOrientationPatient=["0.8", "0.6", "0", "-0.36", "0.48", "0.8"],
                ImagePositionPatient=[f"{value:.6f}" for value in -2.0 * number * np.array([0.48, -0.64, 0.6])],
                TimezoneOffsetFromUTC="+0900",
            )
            for number in range(6)
        ],
        folder,
    )
    return _write(run_on(images), images, folder / "objects")


@pytest.fixture(scope="module")
def spoilt(
    real: dict[str, Written], outcomes: dict[str, Written], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Objects that each validator has to complain of: else nobody would know that it was really asked."""
    folder = tmp_path_factory.mktemp("spoilt")
    kinds = ("no segments", "no procedure of CID 100", "no concept name", "no study of the predecessor")
    files = {name: folder / f"{name}.dcm" for name in kinds}
    seg = pydicom.dcmread(real["hippocampus"].files["SEG"])
    del seg.SegmentSequence
    seg.save_as(files["no segments"])
    report = pydicom.dcmread(real["hippocampus"].files["SR"])
    (procedure,) = (i for i in report.ContentSequence if i.ConceptNameCodeSequence[0].CodeValue == "121058")
    procedure.ConceptCodeSequence[0].CodeValue = "0"
    report.save_as(files["no procedure of CID 100"])
    del report.ContentSequence[0].ConceptNameCodeSequence
    report.save_as(files["no concept name"])
    successor = pydicom.dcmread(outcomes["successor"].files["SR"])
    del successor.PredecessorDocumentsSequence[0].StudyInstanceUID
    successor.save_as(files["no study of the predecessor"])
    return files


@pytest.fixture(scope="module")
def pixelmed(real: dict[str, Written], hostile: Written, spoilt: dict[str, Path]) -> dict[Path, list[str]]:
    """One call for all reports: starting the validator takes longer than asking it.

    It sees no pixels: it is asked of the other documents in ``test_golden``.
    """
    reports = [written.files["SR"] for written in (*real.values(), hostile)]
    return validators.pixelmed([*reports, spoilt["no procedure of CID 100"]])


@pytest.mark.timeout(900)  # Java on a busy machine
def test_objects_are_valid(
    real: dict[str, Written],
    outcomes: dict[str, Written],
    hostile: Written,
    spoilt: dict[str, Path],
    pixelmed: dict[Path, list[str]],
) -> None:
    """dciodvfy on every object, dsrdump on every report, PixelMed's validator on one of every series: no error."""
    everything = [*real.values(), *outcomes.values(), hostile]
    files = [path for written in everything for path in written.files.values()]
    reports = [path for path in files if path.stem.startswith("SR")]
    assert (len(files), len(reports)) == (20, 11)
    assert len(set(reports) & set(pixelmed)) == len(SERIES) + 1
    complaints = {path: validators.dciodvfy(path) + pixelmed.get(path, []) for path in files}
    for path in reports:
        complaints[path] = complaints[path] + validators.dsrdump(path)
    assert {path: found for path, found in complaints.items() if found} == {}


@pytest.mark.timeout(900)  # Java on a busy machine
def test_validators_notice_what_is_wrong(spoilt: dict[str, Path], pixelmed: dict[Path, list[str]]) -> None:
    assert validators.dciodvfy(spoilt["no segments"])
    assert validators.dciodvfy(spoilt["no study of the predecessor"])
    assert pixelmed[spoilt["no procedure of CID 100"]]
    assert validators.dsrdump(spoilt["no concept name"])


def test_dcmtk_follows_the_successor_to_its_predecessors(outcomes: dict[str, Written]) -> None:
    listed = validators.predecessors(outcomes["successor"].files["SR"])
    wanted = {pydicom.dcmread(outcomes["mixture"].files[name]).SOPInstanceUID for name in ("SR", "SR 2")}
    assert listed == wanted
    assert validators.predecessors(outcomes["mixture"].files["SR"]) == set()


def test_results_fit_into_their_study(real: dict[str, Written]) -> None:
    for written in real.values():
        assert validators.dcentvfy([*written.images, *written.files.values()]) == []


@pytest.mark.parametrize("name", SERIES)
def test_dcmqi_reads_the_same_voxels(name: str, real: dict[str, Written], tmp_path: Path) -> None:
    """In patient coordinates: dcmqi has its own idea of the order of axes."""
    written = real[name]
    grid, segmentation = written.run.grid, written.run.result.segmentation
    assert grid is not None
    assert segmentation is not None
    segments = validators.segimage2itkimage(written.files["SEG"], tmp_path)
    assert [s.attributes["SegmentLabel"] for s in segments] == [s.label for s in segmentation.segments]
    for number, segment in enumerate(segments, 1):
        image = nibabel.Nifti1Image.from_filename(segment.nifti)
        voxels = np.argwhere(np.asarray(image.dataobj) > 0)
        # NIfTI counts x to the right and y to the front (RAS), DICOM to the left and to the back (LPS)
        in_patient = np.diag([-1, -1, 1, 1]) @ image.affine @ np.c_[voxels, np.ones(len(voxels))].T
        index = np.rint((np.linalg.inv(grid.affine) @ in_patient)[:3]).astype(int).T
        back = np.zeros(grid.shape, bool)
        back[tuple(index.T)] = True
        assert np.array_equal(back, segmentation.label_map == number)


@pytest.mark.parametrize("name", SERIES)
def test_dcmqi_reads_the_same_numbers(name: str, real: dict[str, Written], tmp_path: Path) -> None:
    written = real[name]
    seg = pydicom.dcmread(written.files["SEG"], stop_before_pixels=True)
    groups = validators.tid1500reader(written.files["SR"], tmp_path)
    assert len(groups) == len(written.run.result.findings)
    for group, finding in zip(groups, written.run.result.findings, strict=True):
        assert group["Finding"]["CodeValue"] == finding.concept.value
        assert group["ReferencedSegment"] == finding.segment
        assert group["TrackingUniqueIdentifier"] == seg.SegmentSequence[group["ReferencedSegment"] - 1].TrackingUID
        volume, certainty = group["measurementItems"]
        assert float(volume["value"]) == pytest.approx(finding.measurements[0].value, rel=1e-9)
        assert (volume["units"]["CodeValue"], volume["units"]["CodingSchemeDesignator"]) == ("mL", "UCUM")
        assert volume["measurementAlgorithmIdentification"]["AlgorithmName"] == MODEL.algorithm.name
        assert finding.probability is not None
        assert float(certainty["value"]) == pytest.approx(100 * finding.probability)


def test_dcmqi_reads_a_seg_with_an_empty_segment(outcomes: dict[str, Written], tmp_path: Path) -> None:
    first, second = validators.segimage2itkimage(outcomes["one segment empty"].files["SEG"], tmp_path)
    assert np.asarray(nibabel.Nifti1Image.from_filename(first.nifti).dataobj).any()
    assert not np.asarray(nibabel.Nifti1Image.from_filename(second.nifti).dataobj).any()


@pytest.mark.parametrize("name", SERIES)
def test_highdicom_reads_both(name: str, real: dict[str, Written]) -> None:
    written = real[name]
    seg = segread(written.files["SEG"])
    assert seg.segmentation_type is hd.seg.SegmentationTypeValues.BINARY
    assert list(seg.segment_numbers) == [1, 2]
    report = srread(written.files["SR"])
    assert isinstance(report.content, hd.sr.MeasurementReport)
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_uid for group in groups] == [seg.get_segment_description(n).tracking_uid for n in (1, 2)]
    for group in groups:
        assert group.referenced_segment is not None
        assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID


def test_highdicom_reads_every_document(outcomes: dict[str, Written]) -> None:
    for written in outcomes.values():
        for name, path in written.files.items():
            if name.startswith("SR"):
                assert isinstance(srread(path), hd.sr.Comprehensive3DSR)
