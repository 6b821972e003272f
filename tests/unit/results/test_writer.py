"""What stands in the written objects."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from node.domain.result import CodedConcept, Finding, InferenceResult, Measurement, Outcome, Reason, Segmentation
from node.domain.study import ByteRange, Grid
from node.errors import ObjectMissing, ResultVerificationFailed
from node.ports import EncodedObject
from node.results.context import Maker
from node.results.writer import DicomResultWriter
from tests.unit.results.runs import (
    AT,
    HIPPOCAMPUS,
    MAKER,
    MILLILITRE,
    MODEL,
    VOLUME,
    draw,
    grid_of,
    header,
    not_evaluable,
    positive,
    run_on,
    save,
)
from tests.unit.results.seen import label_map_of


def read(written: EncodedObject) -> Dataset:
    with disable_value_validation():  # what is copied verbatim may break its rules
        dataset = pydicom.dcmread(io.BytesIO(written.part10))
        dataset.decode()
    return dataset


def walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from walk(child)


def texts(report: Dataset) -> list[str]:
    return [str(item.TextValue) for item in walk(report) if item.ValueType == "TEXT"]


def outcome_code(report: Dataset) -> str:
    items = [item for item in walk(report) if item.ConceptNameCodeSequence[0].CodeValue == "111017"]
    return str(items[0].ConceptCodeSequence[0].CodeValue)


def grid(paths: Sequence[Path]) -> Grid:
    return grid_of([pydicom.dcmread(path) for path in paths])


# ---------------------------------------------------------------- outcomes


def test_a_positive_result_is_a_seg_and_a_report(series: list[Path], writer: DicomResultWriter) -> None:
    seg, report = map(read, writer.write(run_on(series)))
    assert (seg.Modality, report.Modality) == ("SEG", "SR")
    assert seg.SeriesInstanceUID != report.SeriesInstanceUID
    assert seg.StudyInstanceUID == report.StudyInstanceUID == "1.2.3"
    for dataset in (seg, report):
        assert dataset.SeriesDescription == "AI ainode hippocampus_mr 1.0.0 - POSITIVE - unverified"
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["Anterior hippocampus", "Posterior hippocampus"]
    assert outcome_code(report) == "111242"
    volumes = [
        item
        for item in walk(report)
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeMeaning == "Volume"
    ]
    label_map = draw(grid(series).shape)
    assert [float(item.MeasuredValueSequence[0].NumericValue) for item in volumes] == pytest.approx(
        [(label_map == number).sum() * 1.5 * 0.75 * 2 / 1000 for number in (1, 2)]
    )
    procedure = [i for i in walk(report) if i.ConceptNameCodeSequence[0].CodeValue == "121058"]
    assert procedure[0].ConceptCodeSequence[0].CodeValue == "25056-3"


def test_a_negative_result_is_a_document(series: list[Path], writer: DicomResultWriter) -> None:
    (report,) = map(read, writer.write(run_on(series, InferenceResult(Outcome.NEGATIVE))))
    assert outcome_code(report) == "111241"
    assert "NEGATIVE" in texts(report)
    assert "NEGATIVE" in report.SeriesDescription


@pytest.mark.parametrize(
    "result", [not_evaluable(), InferenceResult(Outcome.FAILED, reason=Reason("WorkerLost", "the process died"))]
)
def test_no_evaluation_is_a_document_with_its_reason(
    result: InferenceResult, series: list[Path], writer: DicomResultWriter
) -> None:
    assert result.reason is not None
    (report,) = map(read, writer.write(run_on(series, result)))
    assert outcome_code(report) == "111245"
    assert f"{result.outcome}: {result.reason.text} ({result.reason.code})" in texts(report)
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert len(evidence) == len(series)


def test_every_report_says_how_far_to_trust_it(series: list[Path], writer: DicomResultWriter) -> None:
    for result in (None, not_evaluable(), InferenceResult(Outcome.NEGATIVE)):
        report = read(writer.write(run_on(series, result))[-1])
        assert "AI result, not verified; not for diagnostic use" in texts(report)
        assert "demonstration only" not in texts(report)
        assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    report = read(writer.write(run_on(series, model=replace(MODEL, demonstration=True)))[-1])
    assert "demonstration only" in texts(report)


def test_findings_without_a_segment(series: list[Path], writer: DicomResultWriter) -> None:
    finding = Finding(HIPPOCAMPUS, (Measurement(VOLUME, 1 / 3, MILLILITRE),), probability=0.83)
    (report,) = map(read, writer.write(run_on(series, InferenceResult(Outcome.POSITIVE, (finding,)))))
    group = next(item for item in walk(report) if item.ConceptNameCodeSequence[0].CodeMeaning == "Measurement Group")
    assert group.ContentTemplateSequence[0].TemplateIdentifier == "1501"
    numbers = [str(item.MeasuredValueSequence[0].NumericValue) for item in walk(group) if item.ValueType == "NUM"]
    assert float(numbers[0]) == pytest.approx(1 / 3)
    assert float(numbers[1]) == 83.0


def test_findings_of_both_kinds_are_two_reports_that_hang_together(
    series: list[Path], writer: DicomResultWriter
) -> None:
    result = positive(grid(series))
    result = replace(result, findings=(Finding(HIPPOCAMPUS, probability=0.5), *result.findings))
    seg, further, main = map(read, writer.write(run_on(series, result)))
    assert len({str(one.SeriesInstanceUID) for one in (seg, further, main)}) == 3
    assert (main.InstanceNumber, further.InstanceNumber) == (1, 2)
    pointed = {
        str(reference.ReferencedSOPInstanceUID)
        for item in walk(main)
        for reference in item.get("ReferencedSOPSequence", [])
    }
    assert pointed == {str(seg.SOPInstanceUID), str(further.SOPInstanceUID)}
    assert [templates(main), templates(further)] == [["1411", "1411"], ["1501"]]


def templates(report: Dataset) -> list[str]:
    return [
        str(i.ContentTemplateSequence[0].TemplateIdentifier) for i in walk(report) if "ContentTemplateSequence" in i
    ]


# ---------------------------------------------------------------- empty segments


@pytest.mark.parametrize("slices", [1, 4])
def test_one_segment_alone(series: list[Path], writer: DicomResultWriter, slices: int) -> None:
    """highdicom then moves what all frames share out of the frames' own functional groups."""
    model = replace(MODEL, segments=MODEL.segments[:1])
    where = grid(series)
    label_map = np.zeros(where.shape, np.uint8)
    label_map[:slices, 1:3, 2:5] = 1
    finding = Finding(HIPPOCAMPUS, (Measurement(VOLUME, 1.0, MILLILITRE),), segment=1)
    result = InferenceResult(Outcome.POSITIVE, (finding,), Segmentation(model.segments, label_map))
    objects = writer.write(run_on(series, result, model))
    assert [written.modality for written in objects] == ["SEG", "SR"]
    np.testing.assert_array_equal(label_map_of(read(objects[0]), where), label_map)


def test_an_empty_segment_is_described_and_has_no_frames(series: list[Path], writer: DicomResultWriter) -> None:
    label_map = draw(grid(series).shape)
    label_map[label_map == 2] = 0
    seg, report = map(read, writer.write(run_on(series, positive(grid(series), label_map))))
    assert [int(item.SegmentNumber) for item in seg.SegmentSequence] == [1, 2]
    used = {
        int(item.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for item in seg.PerFrameFunctionalGroupsSequence
    }
    assert used == {1}
    assert templates(report) == ["1411", "1411"]


def test_nothing_but_background_is_no_seg(series: list[Path], writer: DicomResultWriter) -> None:
    result = positive(grid(series), np.zeros(grid(series).shape, np.uint8))
    (report,) = map(read, writer.write(run_on(series, result)))
    assert templates(report) == ["1501", "1501"]
    assert next(float(i.MeasuredValueSequence[0].NumericValue) for i in walk(report) if i.ValueType == "NUM") == 0.0


# ---------------------------------------------------------------- determinism


def test_a_second_attempt_writes_the_same_bytes(series: list[Path]) -> None:
    run = run_on(series)
    first = DicomResultWriter(MAKER).write(run)
    again = replace(run, job=replace(run.job, attempt=2, id=99, owner="other", started_at=AT + timedelta(hours=1)))
    second = DicomResultWriter(MAKER).write(again)
    assert [written.part10 for written in first] == [written.part10 for written in second]


def test_uids_depend_on_input_model_and_revision_alone(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)

    def uids(other: Any) -> set[str]:
        return {uid for o in writer.write(other) for uid in (o.sop_instance_uid, o.series_instance_uid)}

    mine = uids(run)
    assert len(mine) == 4
    later = replace(run.job, created_at=AT + timedelta(days=1), id=5, key="other", attempt=2)
    assert [o.part10 for o in writer.write(replace(run, job=later))] == [o.part10 for o in writer.write(run)]
    shuffled = replace(run, sources=run.sources[::-1], locations=run.locations[::-1])
    assert uids(shuffled) == mine
    weights = replace(MODEL, algorithm=replace(MODEL.algorithm, weights_sha256="cd" * 32))
    others = [
        replace(run, job=replace(run.job, revision=1)),
        replace(run, model=replace(MODEL, version="1.0.1")),
        replace(run, model=replace(MODEL, id="other")),
        replace(run, model=weights),
        replace(run, sources=(replace(run.sources[0], sha256="0" * 64), *run.sources[1:])),
        replace(run, result=not_evaluable(), grid=None),
    ]
    for other in others:
        assert not uids(other) & mine


def test_the_seg_is_on_the_images_wherever_they_stand_in_the_list(
    series: list[Path], writer: DicomResultWriter
) -> None:
    run = run_on(series)
    shuffled = replace(run, sources=run.sources[::-1], locations=run.locations[::-1])
    seg = read(writer.write(shuffled)[0])
    assert run.grid is not None
    assert np.array_equal(label_map_of(seg, run.grid), draw(run.grid.shape))


def test_tracking_uids_are_those_of_the_segments(series: list[Path], writer: DicomResultWriter) -> None:
    seg, report = map(read, writer.write(run_on(series)))
    in_report = [str(i.UID) for i in walk(report) if i.ConceptNameCodeSequence[0].CodeValue == "112040"]
    assert in_report == [str(item.TrackingUID) for item in seg.SegmentSequence]


def test_the_device_changes_with_the_weights(series: list[Path], writer: DicomResultWriter) -> None:
    def device(model: Any) -> str:
        report = read(writer.write(run_on(series, model=model))[-1])
        items = report.ContributingEquipmentSequence
        assert [str(item.Manufacturer) for item in items] == ["Scanner works", "ainode project", "ainode project"]
        observer = [str(i.UID) for i in walk(report) if i.ConceptNameCodeSequence[0].CodeValue == "121012"]
        assert observer == [str(items[1].DeviceUID)]
        assert items[1].SoftwareVersions == model.version
        return observer[0]

    weights = replace(MODEL, algorithm=replace(MODEL.algorithm, weights_sha256="cd" * 32))
    assert device(MODEL) != device(weights)


# ---------------------------------------------------------------- identity


def test_the_source_is_copied_verbatim(tmp_path: Path, writer: DicomResultWriter) -> None:
    request = Dataset()
    request.RequestedProcedureID = "RP1"
    request.ScheduledProcedureStepID = "SPS1"
    request.RequestedProcedureDescription = "MR head"
    attributes = {
        "PatientName": "N" * 80 + "^" + "n" * 80,
        "PatientID": "I" * 70,
        "PatientSex": "U",
        "PatientBirthDate": "1970.01.01",
        "StudyDescription": "Head",
        "IssuerOfPatientID": "Ward",
        "ReferringPhysicianName": "House^Gregory",
        "BodyPartExamined": "HEAD",
        "TimezoneOffsetFromUTC": "+0530",
        "RequestAttributesSequence": [request],
    }
    paths = save([header(number, **attributes) for number in range(3)], tmp_path)
    for dataset in map(read, writer.write(run_on(paths))):
        for keyword in set(attributes) - {"RequestAttributesSequence"}:
            assert str(dataset[keyword].value) == attributes[keyword], keyword
        assert dataset.RequestAttributesSequence[0].RequestedProcedureID == "RP1"
        assert dataset.AccessionNumber == "A1"
        # 05:06:07 UTC in the zone of the source's own dates
        assert (dataset.ContentDate, dataset.ContentTime) == ("20260304", "103607")
    requested = dataset.ReferencedRequestSequence[0]
    assert (requested.RequestedProcedureID, requested.AccessionNumber) == ("RP1", "A1")


def test_a_source_without_time_zone_takes_the_sites(series: list[Path]) -> None:
    writer = DicomResultWriter(MAKER, zone=timezone(timedelta(hours=-8)))
    for dataset in map(read, writer.write(run_on(series))):
        assert (dataset.ContentDate, dataset.ContentTime) == ("20260303", "210607")
        assert dataset.SeriesDate == dataset.InstanceCreationDate == "20260303"
        assert "TimezoneOffsetFromUTC" not in dataset


def test_a_sparse_source(tmp_path: Path, writer: DicomResultWriter) -> None:
    absent = dict.fromkeys(
        ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
         "AccessionNumber", "ReferringPhysicianName", "Manufacturer", "SeriesNumber", "SliceThickness"),
    )  # fmt: skip
    paths = save([header(number, **absent) for number in range(3)], tmp_path)
    for dataset in map(read, writer.write(run_on(paths))):
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyID", "AccessionNumber"):
            assert keyword in dataset
            assert not dataset[keyword].value
        assert "StudyDescription" not in dataset
        assert dataset.Manufacturer == "ainode project"
        assert len(dataset.ContributingEquipmentSequence) == 2
        assert int(dataset.SeriesNumber) in (90_001, 90_002)


def test_optional_facts_that_break_their_format_are_left_out(tmp_path: Path, writer: DicomResultWriter) -> None:
    broken = {"PatientAge": "0Y", "PatientBirthTime": "noon", "PatientWeight": 70}
    paths = save([header(number, **broken) for number in range(3)], tmp_path)
    for dataset in map(read, writer.write(run_on(paths))):
        assert "PatientAge" not in dataset
        assert "PatientBirthTime" not in dataset
        assert dataset.PatientWeight == 70


def test_an_unreadable_value_does_not_cost_the_result(tmp_path: Path, writer: DicomResultWriter) -> None:
    paths = save([header(number, PatientWeight=70, SeriesNumber=7) for number in range(3)], tmp_path)
    for path in paths:
        data = path.read_bytes()
        assert data.count(b"DS\x04\x0070.0") == 1
        path.write_bytes(data.replace(b"DS\x04\x0070.0", b"DS\x04\x00x?.0"))
    for dataset in map(read, writer.write(run_on(paths))):
        assert "PatientWeight" not in dataset


def test_images_without_a_frame_of_reference_get_one(tmp_path: Path, writer: DicomResultWriter) -> None:
    paths = save([header(number, FrameOfReferenceUID=None) for number in range(3)], tmp_path)
    seg = read(writer.write(run_on(paths))[0])
    assert str(seg.FrameOfReferenceUID).startswith("2.25.")


def test_bytes_at_an_offset_of_a_larger_file(series: list[Path], tmp_path: Path, writer: DicomResultWriter) -> None:
    segment = tmp_path / "segment"
    locations, data = [], b"head"
    for path in series:
        locations.append(ByteRange(str(segment), len(data), path.stat().st_size))
        data += path.read_bytes() + b"record"
    segment.write_bytes(data)
    run = run_on(series)
    apart = writer.write(run)
    together = writer.write(replace(run, locations=tuple(locations)))
    assert [written.part10 for written in apart] == [written.part10 for written in together]


def test_a_run_without_sources_is_refused(series: list[Path], writer: DicomResultWriter) -> None:
    with pytest.raises(ResultVerificationFailed, match="without its source"):
        writer.write(replace(run_on(series), sources=(), locations=()))


def test_slices_that_are_no_source_are_refused(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    with pytest.raises(ResultVerificationFailed, match="without a source image"):
        writer.write(replace(run, sources=run.sources[1:], locations=run.locations[1:]))


def test_another_maker_is_another_device(series: list[Path]) -> None:
    report = read(DicomResultWriter(Maker("Hospital", "ainode", "9.9")).write(run_on(series))[-1])
    assert (report.Manufacturer, report.SoftwareVersions) == ("Hospital", "9.9")


def test_long_code_values(series: list[Path], writer: DicomResultWriter) -> None:
    concept = CodedConcept("1234567890" * 3, "SCT", "A long identifier")
    (report,) = map(read, writer.write(run_on(series, InferenceResult(Outcome.POSITIVE, (Finding(concept),)))))
    finding = next(i for i in walk(report) if i.ConceptNameCodeSequence[0].CodeMeaning == "Finding")
    assert finding.ConceptCodeSequence[0].LongCodeValue == concept.value


def test_a_source_that_is_not_what_was_recorded(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    swapped = replace(run, locations=(run.locations[1], run.locations[0], *run.locations[2:]))
    with pytest.raises(ResultVerificationFailed, match="not what was recorded"):
        writer.write(swapped)


def test_a_source_that_is_gone(series: list[Path], writer: DicomResultWriter) -> None:
    run = run_on(series)
    series[0].unlink()
    with pytest.raises(ObjectMissing):
        writer.write(run)
