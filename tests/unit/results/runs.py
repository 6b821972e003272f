"""Runs to write results of: series made by code, or read from files, with label maps drawn by code."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from node.domain.identity import derive_uid
from node.domain.job import Job, JobState, Priority
from node.domain.model import InputLimits, InputSelection, ModelDescription, Runtime
from node.domain.result import (
    AlgorithmIdentification,
    CodedConcept,
    Finding,
    InferenceResult,
    Measurement,
    Outcome,
    Reason,
    Segment,
    Segmentation,
)
from node.domain.study import ByteRange, Grid, Instance, SopRef, StoredInstance
from node.ports import Run
from node.results.context import Maker

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MAKER = Maker("ainode project", "ainode", "0.1.0")
STRUCTURE = CodedConcept("91723000", "SCT", "Anatomical Structure")
HIPPOCAMPUS = CodedConcept("5366008", "SCT", "Hippocampus")
ANTERIOR = CodedConcept("HIPP-ANT", "99AINODE", "Anterior hippocampus")
POSTERIOR = CodedConcept("HIPP-POST", "99AINODE", "Posterior hippocampus")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
MILLILITRE = CodedConcept("mL", "UCUM", "mL")
SEGMENTS = (
    Segment(1, "Anterior hippocampus", STRUCTURE, ANTERIOR, HIPPOCAMPUS, (230, 97, 1)),
    Segment(2, "Posterior hippocampus", STRUCTURE, POSTERIOR, HIPPOCAMPUS, (94, 60, 153)),
)
MODEL = ModelDescription(
    id="hippocampus_mr",
    version="1.0.0",
    title="Hippocampus",
    intended_use="tests",
    folder="",
    algorithm=AlgorithmIdentification(
        "ainode hippocampus_mr",
        "1.0.0",
        CodedConcept("123110", "DCM", "Artificial Intelligence"),
        "ainode project",
        "ab" * 32,
    ),
    selection=InputSelection(),
    limits=InputLimits(),
    runtime=Runtime(),
    weights_file="weights.safetensors",
    segments=SEGMENTS,
)


def job() -> Job:
    return Job(
        id=1,
        key="k",
        state=JobState.IN_PROGRESS,
        model=MODEL.id,
        model_version=MODEL.version,
        study_instance_uid="1.2.3",
        series_instance_uids=("1.2.3.4",),
        revision=0,
        accession_number="A1",
        destinations=("pacs",),
        priority=Priority.MEDIUM,
        attempt=1,
        max_attempts=3,
        created_at=AT,
    )


def draw(shape: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Two bodies without any symmetry, each in its own part of the grid; the first slice stays empty where it may."""
    k, r, c = np.indices(shape) / np.array(shape).reshape(3, 1, 1, 1)
    label_map = np.zeros(shape, np.uint8)
    label_map[((k - 0.5) / 0.4) ** 2 + ((r - 0.3) / 0.2) ** 2 + ((c - 0.6) / 0.3) ** 2 < 1] = 1
    label_map[(r > 0.55) & (r < 0.8) & (c > 0.1) & (c < 0.2 + 0.4 * k)] = 2
    label_map[-1, 0, 0] = 1  # the last bit of nothing in particular: a corner must survive too
    return label_map


def positive(grid: Grid, label_map: npt.NDArray[np.uint8] | None = None) -> InferenceResult:
    """Both segments with their volumes."""
    label_map = draw(grid.shape) if label_map is None else label_map
    findings = tuple(
        Finding(
            segment.type,
            (Measurement(VOLUME, float((label_map == segment.number).sum()) * grid.voxel_volume_ml, MILLILITRE),),
            segment=segment.number,
            site=HIPPOCAMPUS,
            probability=0.9,
        )
        for segment in SEGMENTS
    )
    return InferenceResult(Outcome.POSITIVE, findings, Segmentation(SEGMENTS, label_map))


def not_evaluable(text: str = "field of view of 240 mm; the model reads 20 to 80 mm") -> InferenceResult:
    return InferenceResult(Outcome.NOT_EVALUABLE, reason=Reason("UnsupportedImage", text))


# ---------------------------------------------------------------- series


def header(number: int, **attributes: object) -> Dataset:
    """One MR image of a synthetic axial series of 6 x 8 pixels, 2 mm apart; an attribute of None is absent."""
    with disable_value_validation():
        dataset = _header(number)
        for keyword, value in attributes.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
    return dataset


def _header(number: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = derive_uid("test image", str(number))
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = "1.2.3.4"
    dataset.FrameOfReferenceUID = "1.2.3.5"
    dataset.Modality = "MR"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "4711"
    dataset.PatientBirthDate = "19700101"
    dataset.PatientSex = "F"
    dataset.StudyDate, dataset.StudyTime = "20260303", "101500"
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "S1", "A1", ""
    dataset.Manufacturer = "Scanner works"
    dataset.SeriesNumber = 7
    dataset.Rows, dataset.Columns = 6, 8
    dataset.PixelSpacing = [1.5, 0.75]
    dataset.SliceThickness = 2
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [-10, -20, 2.0 * number]
    return dataset


def save(datasets: Sequence[Dataset], folder: Path) -> list[Path]:
    """The data sets as Part 10 files."""
    paths = []
    for number, dataset in enumerate(datasets):
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{number:04}.dcm"
        with disable_value_validation():
            dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def grid_of(headers: Sequence[Dataset]) -> Grid:
    """The grid of single-frame images in any order, or of the frames of one enhanced multi-frame image."""
    planes = [plane for dataset in headers for plane in _planes(dataset)]
    orientation = planes[0][1]
    normal = np.cross(orientation[:3], orientation[3:])
    planes.sort(key=lambda plane: float(plane[0] @ normal))
    origin, step = planes[0][0], (planes[-1][0] - planes[0][0]) / max(1, len(planes) - 1)
    if len(planes) == 1:
        step = normal
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = orientation[3:] * planes[0][2][0]
    affine[:3, 2] = orientation[:3] * planes[0][2][1]
    affine[:3, 3] = origin
    first = headers[0]
    return Grid(
        (len(planes), int(first.Rows), int(first.Columns)),
        affine,
        str(first.get("FrameOfReferenceUID", "")),
        tuple(plane[3] for plane in planes),
    )


Plane = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], list[float], SopRef]


def _planes(dataset: Dataset) -> list[Plane]:
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return [
            (
                np.array(dataset.ImagePositionPatient, float),
                np.array(dataset.ImageOrientationPatient, float),
                [float(value) for value in dataset.PixelSpacing],
                SopRef(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID)),
            )
        ]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    planes = []
    for number, item in enumerate(dataset.PerFrameFunctionalGroupsSequence, 1):
        groups = {
            keyword: (item if keyword in item else shared)[keyword].value[0]
            for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        }
        planes.append(
            (
                np.array(groups["PlanePositionSequence"].ImagePositionPatient, float),
                np.array(groups["PlaneOrientationSequence"].ImageOrientationPatient, float),
                [float(value) for value in groups["PixelMeasuresSequence"].PixelSpacing],
                SopRef(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), number),
            )
        )
    return planes


def run_on(paths: Sequence[Path], result: InferenceResult | None = None, model: ModelDescription = MODEL) -> Run:
    """A run on Part 10 files; without ``result`` a POSITIVE one with the drawn label map."""
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    without_volume = result is not None and result.outcome in (Outcome.NOT_EVALUABLE, Outcome.FAILED)
    grid = None if without_volume else grid_of(headers)
    if result is None:
        assert grid is not None
        result = positive(grid)
    sources = tuple(
        StoredInstance(
            Instance(
                str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID), str(dataset.SOPClassUID),
                str(dataset.SOPInstanceUID), str(dataset.file_meta.TransferSyntaxUID),
            ),
            str(path), path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest(), "CT1", AT,
        )
        for path, dataset in zip(paths, headers, strict=True)
    )  # fmt: skip
    locations = tuple(ByteRange(str(path), 0, path.stat().st_size) for path in paths)
    return Run(
        replace(job(), study_instance_uid=str(headers[0].StudyInstanceUID)), model, result, grid, sources, locations
    )
