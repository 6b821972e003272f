"""What a second run may differ in, and what it may not."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from node.domain.result import InferenceResult, Outcome, Reason
from node.results.compare import Difference, compare
from node.results.writer import DicomResultWriter
from tests.unit.results.runs import header, positive, run_on, save

Change = Callable[[pydicom.Dataset], object]


@pytest.fixture
def kept(writer: DicomResultWriter, tmp_path: Path) -> list[bytes]:
    """SEG and SR of a series large enough for a Dice of 0.999 to be less than a voxel away from 1."""
    images = save([header(number, Rows=48, Columns=48) for number in range(12)], tmp_path)
    return [one.part10 for one in writer.write(run_on(images))]


def changed(kept: list[bytes], modality: str, change: Change) -> list[bytes]:
    """The same objects, one of them with a change."""
    found = []
    for part10 in kept:
        dataset = pydicom.dcmread(io.BytesIO(part10))
        if dataset.Modality == modality:
            change(dataset)
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        found.append(buffer.getvalue() if dataset.Modality == modality else part10)
    return found


def numbers(item: pydicom.Dataset) -> list[pydicom.Dataset]:
    found = [item] if item.get("ValueType") == "NUM" else []
    return found + [one for child in item.get("ContentSequence") or [] for one in numbers(child)]


def scaled(code: str, factor: float) -> Change:
    def change(report: pydicom.Dataset) -> None:
        for item in numbers(report):
            if item.ConceptNameCodeSequence[0].CodeValue == code:
                value = item.MeasuredValueSequence[0]
                value.NumericValue = f"{float(value.NumericValue) * factor:.8g}"

    return change


def flipped(voxels: int) -> Change:
    """So many voxels of the frame with the most are background now."""

    def change(seg: pydicom.Dataset) -> None:
        frames = np.array(seg.pixel_array)
        fullest = frames[frames.sum(axis=(1, 2)).argmax()]
        rows, columns = np.nonzero(fullest)
        fullest[rows[:voxels], columns[:voxels]] = 0
        seg.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()

    return change


def found(kept: list[bytes], modality: str, change: Change) -> list[Difference]:
    return compare(kept, changed(kept, modality, change))


def test_equal_to_the_bit(kept: list[bytes]) -> None:
    assert compare(kept, list(kept)) == []


def test_the_same_content_in_other_bytes_is_told_and_tolerated(kept: list[bytes]) -> None:
    (only,) = found(kept, "SR", lambda report: setattr(report, "ContentTime", "000000"))
    assert (only.what, only.tolerated) == ("encoding", True)


@pytest.mark.parametrize(
    ("code", "factor", "tolerated"),
    [("118565006", 1.0005, True), ("118565006", 1.002, False), ("111012", 1.0005, True), ("111012", 1.01, False)],
)
def test_numbers_within_a_thousandth(kept: list[bytes], code: str, factor: float, tolerated: bool) -> None:
    differences = found(kept, "SR", scaled(code, factor))
    assert len(differences) == 2
    assert {(one.what, one.tolerated) for one in differences} == {(f"number {code}", tolerated)}


@pytest.mark.parametrize(("voxels", "tolerated"), [(1, True), (60, False)])
def test_segments_by_dice(kept: list[bytes], voxels: int, tolerated: bool) -> None:
    (only,) = found(kept, "SEG", flipped(voxels))
    assert only.what.startswith("segment ")
    assert only.tolerated == tolerated, only


def test_another_outcome_is_never_tolerated(kept: list[bytes], writer: DicomResultWriter, tmp_path: Path) -> None:
    images = sorted(tmp_path.glob("*.dcm"))
    negative = run_on(images, InferenceResult(Outcome.NOT_EVALUABLE, reason=Reason("SliceGap", "a gap")))
    differences = compare(kept, [one.part10 for one in writer.write(negative)])
    assert not any(one.tolerated for one in differences)
    assert any(one.what.startswith("object SEG") for one in differences)
    assert any(one.what == "SeriesDescription" for one in differences)


def test_another_finding_is_never_tolerated(kept: list[bytes], writer: DicomResultWriter, tmp_path: Path) -> None:
    run = run_on(sorted(tmp_path.glob("*.dcm")))
    assert run.grid is not None
    result = positive(run.grid)
    fewer = replace(run, result=replace(result, findings=result.findings[:1]))
    differences = compare(kept, [one.part10 for one in writer.write(fewer)])
    assert any(one.what.startswith("content") and not one.tolerated for one in differences)
