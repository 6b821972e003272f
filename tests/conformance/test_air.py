"""IHE AI Results, Evidence Creator: every golden object keeps each line. ``lines.toml`` says which test shows which."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import UTC

import pydicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import (
    Comprehensive3DSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.app.writing import source_picture
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests.conformance.content import code_of, drawn, every, evidence, groups, items, name_of, named, referred, template
from tests.conformance.golden import Study
from tests.unit.results.runs import MAKER
from tests.unit.results.test_writer import read

OF_THE_PROFILE = {
    Comprehensive3DSRStorage, SegmentationStorage, ParametricMapStorage, KeyObjectSelectionDocumentStorage,
}  # fmt: skip
PICTURES = {SecondaryCaptureImageStorage, GrayscaleSoftcopyPresentationStateStorage}
DESCRIPTION = re.compile(r"AI \S.* \S+ - (POSITIVE|NEGATIVE|NOT EVALUABLE|FAILED) - unverified")
OUTCOME_OF_CASE = {"negative": "NEGATIVE", "not evaluable": "NOT EVALUABLE", "failed": "FAILED"}
VERBATIM = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "IssuerOfPatientID", "StudyInstanceUID", "StudyDate",
    "StudyTime", "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


def write(run: Run) -> list[Dataset]:
    return [read(one) for one in DicomResultWriter(MAKER, zone=UTC, pictures=source_picture).write(run)]


def algorithm_of(dataset: Dataset) -> Dataset:
    """The item of Contributing Equipment that is the algorithm: the one with a digest for a serial number."""
    found: list[Dataset] = [
        one
        for one in dataset.ContributingEquipmentSequence
        if re.fullmatch(r"[0-9a-f]{64}", str(one.get("DeviceSerialNumber", "")))
    ]
    assert len(found) == 1
    return found[0]


def test_a01_classes_of_the_profile_and_pictures_only_where_wanted(golden: Study) -> None:
    run = golden.runs["mixed"]
    assert run.renditions, "the golden run is asked for pictures"
    assert {one.SOPClassUID for one in write(replace(run, renditions=frozenset()))} == OF_THE_PROFILE
    assert {one.SOPClassUID for one in write(run)} == OF_THE_PROFILE | PICTURES


def test_a04_root_template_and_procedure_reported(golden: Study) -> None:
    known = {getattr(codes.cid100, name).value for name in codes.cid100.dir()}
    assert "25056-3" in known
    for one, report in every(golden, "SR"):
        assert (template(report), report.ContentTemplateSequence[0].MappingResource) == ("1500", "DCMR"), one.path
        procedures = named(report, "121058")
        assert procedures, one.path
        assert {code_of(item) for item in procedures} <= known, one.path


def test_a05_the_algorithm_contributed_and_its_device_changes_with_the_weights(golden: Study) -> None:
    for one, dataset in every(golden):
        if one.case == "rejection":
            continue  # an operator's word, which no algorithm contributed to
        item = algorithm_of(dataset)
        run = golden.runs[one.case]
        assert item.Manufacturer == run.model.algorithm.manufacturer, one.path
        assert item.ManufacturerModelName == run.model.algorithm.name, one.path
        assert item.SoftwareVersions == run.model.algorithm.version, one.path
        assert str(item.DeviceUID).startswith("2.25."), one.path
        assert item.DeviceSerialNumber == run.model.algorithm.weights_sha256, one.path
    for case in ("segments", "failed"):
        run = golden.runs[case]
        weights = replace(run.model.algorithm, weights_sha256="cd" * 32)
        others = write(replace(run, model=replace(run.model, algorithm=weights)))
        before = [dataset for one, dataset in every(golden) if one.case == case]
        devices = [{algorithm_of(one).DeviceUID for one in objects} for objects in (before, others)]
        assert [len(found) for found in devices] == [1, 1], "every object of a run names the same device"
        assert devices[0] != devices[1], case


def test_a06_each_measurement_names_its_algorithm_and_the_observer_is_a_device(golden: Study) -> None:
    measured = 0
    for one, report in every(golden, "SR"):
        algorithm = golden.runs[one.case].model.algorithm
        observers = named(report, "121005")
        assert [code_of(item) for item in observers] == ["121007"], one.path
        for group in groups(report):
            for number in (item for item in items(group) if item.ValueType == "NUM"):
                measured += 1
                told = {name_of(item): str(item.TextValue) for item in items(number) if item.ValueType == "TEXT"}
                assert told["111001"] == algorithm.name, one.path
                assert told["111003"] == algorithm.version, one.path
    assert measured > 10


def test_a07_every_group_is_tracked_by_the_uid_of_its_segment(golden: Study) -> None:
    of_segments = 0
    for one, report in every(golden, "SR"):
        segments = {
            (str(seg.SOPInstanceUID), int(item.SegmentNumber)): (str(item.TrackingUID), str(item.TrackingID))
            for seg in (pydicom.dcmread(path) for path in golden.case(one.case, "SEG"))
            for item in seg.SegmentSequence
            if item.SegmentNumber > 0  # the background of a label map is nothing that is tracked
        }
        for group in groups(report):
            (identifier,), (uid,) = named(group, "112039"), named(group, "112040")
            assert identifier.TextValue, one.path
            for item in named(group, "121191"):
                of_segments += 1
                place = item.ReferencedSOPSequence[0]
                segment = segments[str(place.ReferencedSOPInstanceUID), int(place.ReferencedSegmentNumber)]
                assert (str(uid.UID), str(identifier.TextValue)) == segment, one.path
    assert of_segments > 4


def test_a08_same_study_a_new_series_for_each_run(golden: Study) -> None:
    source = pydicom.dcmread(golden.images[0])
    series: dict[str, set[str]] = {}
    for one, dataset in every(golden):
        for keyword in VERBATIM:
            assert dataset[keyword].value == source[keyword].value, (one.path, keyword)
        frames = [str(element.value) for element in dataset.iterall() if element.keyword == "FrameOfReferenceUID"]
        frames += [
            str(element.value) for element in dataset.iterall() if element.keyword.endswith("dFrameOfReferenceUID")
        ]
        assert set(frames) <= {source.FrameOfReferenceUID}, one.path
        assert frames or one.modality in ("SR", "KO", "PR", "OT"), one.path
        series.setdefault(str(dataset.SeriesInstanceUID), set()).add(one.case)
        if one.case == "rejection":
            continue
        said = DESCRIPTION.fullmatch(dataset.SeriesDescription)
        assert said is not None, (one.path, dataset.SeriesDescription)
        assert said[1] == OUTCOME_OF_CASE.get(one.case, "POSITIVE"), one.path
    assert source.SeriesInstanceUID not in series
    assert all(len(cases) == 1 for cases in series.values()), series


def test_a09_preliminary_complete_unverified(golden: Study) -> None:
    for one, report in every(golden, "SR"):
        flags = (report.PreliminaryFlag, report.CompletionFlag, report.VerificationFlag)
        assert flags == ("PRELIMINARY", "COMPLETE", "UNVERIFIED"), one.path
        assert "VerifyingObserverSequence" not in report


def test_a10_every_object_is_in_the_tree_and_in_the_evidence_of_one_root(golden: Study) -> None:
    for case in golden.runs:
        objects = {str(dataset.SOPInstanceUID): one for one, dataset in every(golden) if one.case == case}
        (*_, (root_golden, root)) = [(one, data) for one, data in every(golden, "SR") if one.case == case]
        others = {uid for uid, one in objects.items() if not drawn(one)} - {str(root.SOPInstanceUID)}
        content = Dataset()
        content.ContentSequence = root.ContentSequence
        assert others <= referred(content), root_golden.path
        assert others <= evidence(root), root_golden.path
        assert referred(content) <= evidence(root), "whatever is referred to is evidence"


def test_a13_source_images_stay_as_they_are_and_are_not_sent(golden: Study) -> None:
    run = golden.runs["mixed"]
    assert [one.sha256 for one in run.sources] == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in golden.images
    ], "as they were before anything was written"
    sent = {str(dataset.SOPInstanceUID) for _, dataset in every(golden)}
    assert len(sent) == len(golden.objects)
    assert not sent & {one.instance.sop_instance_uid for one in run.sources}
