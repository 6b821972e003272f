"""Every check of ``verify`` catches what it is there for: objects are spoilt one attribute at a time."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from node.errors import ResultVerificationFailed
from node.ports import EncodedObject
from node.results.context import ResultContext
from node.results.source import read_headers
from node.results.verify import verify
from node.results.writer import ENCODERS
from tests.unit.results.runs import MAKER, header, run_on, save

Objects = list[EncodedObject]


@pytest.fixture
def context(series: list[Path]) -> ResultContext:
    run = run_on(series)
    return ResultContext(run, read_headers(run.sources, run.locations), MAKER, UTC)


@pytest.fixture
def objects(context: ResultContext) -> Objects:
    return [written for encoder in ENCODERS for written in encoder.encode(context)]


def spoil(objects: Objects, modality: str, change: Callable[[Dataset], None]) -> Objects:
    spoilt = []
    for written in objects:
        if written.modality == modality:
            dataset = pydicom.dcmread(io.BytesIO(written.part10))
            change(dataset)
            buffer = io.BytesIO()
            dataset.save_as(buffer)
            spoilt.append(replace(written, part10=buffer.getvalue()))
        else:
            spoilt.append(written)
    return spoilt


def walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from walk(child)


def item_of(report: Dataset, code: str) -> Dataset:
    return next(item for item in walk(report) if item.ConceptNameCodeSequence[0].CodeValue == code)


def _flip_bit(dataset: Dataset) -> None:
    dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]


def _move_frame(dataset: Dataset) -> None:
    dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient = [-10, -20, 1]


def _swap_segments(dataset: Dataset) -> None:
    first, second = dataset.SegmentSequence
    first.TrackingUID, second.TrackingUID = second.TrackingUID, first.TrackingUID


def _refer_elsewhere(dataset: Dataset) -> None:
    item_of(dataset, "121191").ReferencedSOPSequence[0].ReferencedSOPInstanceUID = dataset.SOPInstanceUID


def _other_segment(dataset: Dataset) -> None:
    item_of(dataset, "121191").ReferencedSOPSequence[0].ReferencedSegmentNumber = 2


def _other_number(dataset: Dataset) -> None:
    item_of(dataset, "118565006").MeasuredValueSequence[0].NumericValue = "1"


def _other_unit(dataset: Dataset) -> None:
    item_of(dataset, "118565006").MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = "cm3"


def _other_finding(dataset: Dataset) -> None:
    item_of(dataset, "121071").ConceptCodeSequence[0].CodeValue = "HIPP-POST"


def _lose_source(dataset: Dataset) -> None:
    series = dataset.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    for item in series:
        if len(item.ReferencedSOPSequence) > 1:
            del item.ReferencedSOPSequence[0]


def _lose_outcome(dataset: Dataset) -> None:
    items = next(i for i in walk(dataset) if i.ConceptNameCodeSequence[0].CodeValue == "C0034375").ContentSequence
    del items[0]


def _other_tracking(dataset: Dataset) -> None:
    items = [item for item in walk(dataset) if item.ConceptNameCodeSequence[0].CodeValue == "112040"]
    items[0].UID, items[1].UID = items[1].UID, items[0].UID


def _set(keyword: str, value: object) -> Callable[[Dataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


SPOILT: list[tuple[str, str, Callable[[Dataset], None]]] = [
    ("SEG", "voxels", _flip_bit),
    ("SEG", "frames lie on the grid", _move_frame),
    ("SEG", "segments and their Tracking UIDs", _swap_segments),
    ("SEG", "Frame of Reference", _set("FrameOfReferenceUID", "1.2.3")),
    ("SEG", "UIDs are copied or derived", _set("DimensionOrganizationUID", generate_uid())),
    ("SEG", "UIDs are UIDs", _set("DimensionOrganizationUID", "1.2.x")),
    ("SEG", "Rows and Columns", _set("Rows", 5)),
    ("SEG", "Pixel Data is complete", _set("PixelData", b"\0\0")),
    ("SEG", "PatientName", _set("PatientName", "Doe^John")),
    ("SEG", "Series Description", _set("SeriesDescription", "AI")),
    ("SR", "PatientID", _set("PatientID", "4712")),
    ("SR", "PatientBirthDate", lambda dataset: delattr(dataset, "PatientBirthDate")),
    ("SR", "StudyInstanceUID", _set("StudyInstanceUID", "1.2.3.4")),
    ("SR", "AccessionNumber", _set("AccessionNumber", "")),
    ("SR", "PatientAge", _set("PatientAge", "030Y")),
    ("SR", "SOP Instance UID", _set("SOPInstanceUID", "1.2.3")),
    ("SR", "Series Instance UID", _set("SeriesInstanceUID", "1.2.3.4")),
    ("SR", "Modality", _set("Modality", "OT")),
    ("SR", "COMPLETE, PRELIMINARY, UNVERIFIED", _set("VerificationFlag", "VERIFIED")),
    ("SR", "references resolve", _refer_elsewhere),
    ("SR", "Referenced Segment", _other_segment),
    ("SR", "measurement", _other_number),
    ("SR", "measurement", _other_unit),
    ("SR", "Finding", _other_finding),
    ("SR", "the evidence is the sources and our objects", _lose_source),
    ("SR", "the outcome is coded", _lose_outcome),
    ("SR", "Tracking UID", _other_tracking),
]


@pytest.mark.filterwarnings("ignore::UserWarning")  # spoilt values make pydicom warn
@pytest.mark.parametrize(("modality", "check", "change"), SPOILT)
def test_a_spoilt_object_does_not_leave(
    modality: str, check: str, change: Callable[[Dataset], None], context: ResultContext, objects: Objects
) -> None:
    verify(context, objects)
    with pytest.raises(ResultVerificationFailed) as caught:
        verify(context, spoil(objects, modality, change))
    assert caught.value.details["check"] == check


def test_what_is_missing(context: ResultContext, objects: Objects) -> None:
    seg, report = objects
    with pytest.raises(ResultVerificationFailed, match="SEG exactly where"):
        verify(context, [report])
    with pytest.raises(ResultVerificationFailed, match="every report"):
        verify(context, [seg])
    with pytest.raises(ResultVerificationFailed, match="unique"):
        verify(context, [seg, report, report])


@pytest.mark.parametrize("length", [0, 100, 131])
def test_what_cannot_be_read(length: int, context: ResultContext, objects: Objects) -> None:
    seg, report = objects
    with pytest.raises(ResultVerificationFailed) as caught:
        verify(context, [seg, replace(report, part10=report.part10[:length])])
    assert caught.value.details["check"] == "readable"


def test_a_series_of_the_source_is_not_ours(context: ResultContext, objects: Objects) -> None:
    seg, report = spoil(objects, "SR", _set("SeriesInstanceUID", "1.2.3.4"))
    with pytest.raises(ResultVerificationFailed, match="a series of its own"):
        verify(context, [seg, replace(report, series_instance_uid="1.2.3.4")])


def test_what_the_source_says_of_its_study_refers_to_no_image(tmp_path: Path) -> None:
    """Referenced Study Sequence (PS3.3 C.7.2.1) is copied as it is: its instance is none of the source images."""
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", "1.2.3.4.5"
    run = run_on(save([header(number, ReferencedStudySequence=[study]) for number in range(1, 5)], tmp_path))
    context = ResultContext(run, read_headers(run.sources, run.locations), MAKER, UTC)
    written = [one for encoder in ENCODERS for one in encoder.encode(context)]
    copies = [pydicom.dcmread(io.BytesIO(one.part10)).get("ReferencedStudySequence") for one in written]
    assert any(copies)
    verify(context, written)
