"""What made objects of others invalid, one by one: of ours none has it. ``lines.toml`` says which test shows which.

The validators themselves are asked by ``test_golden``; these tests name the cause.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pydicom
from pydicom.uid import ExplicitVRLittleEndian

from node.domain.result import SegmentationType
from node.results.writer import DicomResultWriter
from tests.conformance.content import drawn, every, groups, items, named, template
from tests.conformance.golden import WITHDRAWAL, Study
from tests.unit.results.runs import AT, MAKER, header, run_on, save
from tests.unit.results.test_seg_types import typed

MEBIBYTE = 2**20


def test_b03_images_have_the_body_part_of_their_source(golden: Study) -> None:
    """Without it a Laterality is asked for (PS3.3 C.7.3.1)."""
    source = pydicom.dcmread(golden.images[0])
    for one, dataset in every(golden, "OT", "SEG", "PR"):
        assert dataset.BodyPartExamined == source.BodyPartExamined, one.path


def test_b04_captures_have_what_the_study_says(golden: Study) -> None:
    captures = [data for one, data in every(golden, "OT") if "Secondary Capture" in one.kind]
    source = pydicom.dcmread(golden.images[0])
    assert captures
    for dataset in captures:
        assert dataset.StudyDescription == source.StudyDescription
        assert dataset.IssuerOfPatientID == source.IssuerOfPatientID


def test_b07_a_group_that_names_a_segment_is_of_template_1411(golden: Study) -> None:
    segmentations = {str(dataset.SOPInstanceUID) for _, dataset in every(golden, "SEG")}
    found = set()
    for one, report in every(golden, "SR"):
        for group in groups(report):
            named_segments = [
                item
                for item in items(group)
                if any(
                    str(at.ReferencedSOPInstanceUID) in segmentations for at in item.get("ReferencedSOPSequence", [])
                )
            ]
            if named_segments:
                found.add(template(group))
                assert template(group) == "1411", one.path
                assert all(item in named(group, "121191") for item in named_segments), one.path
                assert not named(group, "121214"), "no Referenced Segmentation Frame"
            else:
                assert template(group) in ("1410", "1501"), one.path
    assert found == {"1411"}


def test_b08_images_of_a_key_object_selection_have_no_concept_name(golden: Study) -> None:
    for one, dataset in every(golden, "KO"):
        images = [item for item in items(dataset) if item.ValueType in ("IMAGE", "COMPOSITE")]
        assert images, one.path
        assert not any("ConceptNameCodeSequence" in item for item in images), one.path


# ---------------------------------------------------------------- of highdicom


def test_b_h4_no_segmentation_is_compressed(golden: Study) -> None:
    """RLE and JPEG-LS of single bits are refused by some; what is written is taken by every archive."""
    for one, dataset in every(golden):
        assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian, one.path
    binary = [dataset for _, dataset in every(golden, "SEG") if dataset.SegmentationType == "BINARY"]
    assert binary
    assert {dataset.BitsAllocated for dataset in binary} == {1}


def test_b_h5_fractions_are_written_without_a_copy_in_wider_numbers(tmp_path: Path) -> None:
    """highdicom alone takes 0.9 GB for 100 x 512 x 512 x 5: here a frame at a time, and the bytes that are written."""
    images = [header(k, Rows=128, Columns=128) for k in range(24)]
    run = typed(run_on(save(images, tmp_path)), SegmentationType.FRACTIONAL)
    assert run.result.segmentation is not None
    assert run.result.segmentation.fractions is not None
    taken = run.result.segmentation.fractions.nbytes
    writer = DicomResultWriter(MAKER, zone=UTC)
    # What is made once, whatever the size, is not counted.
    small = typed(run_on(save([header(k) for k in range(3)], tmp_path)), SegmentationType.FRACTIONAL)
    writer.write(small)
    tracemalloc.start()
    try:
        run_written = writer.write(run)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert run_written[0].modality == "SEG"
    assert taken > 2 * MEBIBYTE
    assert peak < 1.5 * taken, (peak / MEBIBYTE, taken / MEBIBYTE)


def test_b_h7_no_clock_and_no_chance(golden: Study) -> None:
    """Every date is of the source, of the run or of the withdrawal, and every UID of ours is derived."""
    source = pydicom.dcmread(golden.images[0])
    sources = {str(one.value) for path in golden.images for one in pydicom.dcmread(path).iterall() if one.VR == "UI"}
    days = {source.StudyDate, source.PatientBirthDate, AT.strftime("%Y%m%d"), WITHDRAWAL.at.strftime("%Y%m%d")}
    for one, dataset in every(golden):
        for element in dataset.iterall():
            if element.VR in ("DA", "DT") and element.value:
                assert str(element.value)[:8] in days, (one.path, element)
            # A name of something, and not of a class or a context group.
            if element.VR == "UI" and str(element.value).startswith("2.25.") is False:
                known = str(element.value) in sources or str(element.value).startswith("1.2.840.10008.")
                assert known, (one.path, element)
    run = replace(golden.runs["mixed"], renditions=frozenset())
    again = sorted(one.part10 for one in DicomResultWriter(MAKER, zone=UTC).write(run))
    first = sorted(one.path.read_bytes() for one in golden.objects if one.case == "mixed" and not drawn(one))
    assert first == again, "to the byte, some seconds later"
