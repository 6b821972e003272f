"""Reports on pictures: a group for each image, present or absent, and no SEG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from node.domain.result import CodedConcept, Finding, InferenceResult, Measurement, Outcome, Reason
from node.domain.study import SopRef
from node.errors import InvalidModelOutput, ResultVerificationFailed
from node.ports import Run
from node.results.sr import ReportEncoder
from node.results.writer import DicomResultWriter
from tests import pictures
from tests.unit.results.runs import MAKER, MODEL, not_evaluable, run_on

GREY = np.arange(80, dtype=np.uint8).reshape(8, 10)
PNEUMONIA = CodedConcept("233604007", "SCT", "Pneumonia")
LUNG = CodedConcept("39607008", "SCT", "Lung")
AREA = Measurement(CodedConcept("42798000", "SCT", "Area"), 2.5, CodedConcept("cm2", "UCUM", "cm2"))
CLASSIFIER = replace(MODEL, id="pneumonia", segments=())


def found(image: Dataset, probability: float, frame: int | None = None) -> Finding:
    ref = SopRef(str(image.SOPClassUID), str(image.SOPInstanceUID), frame)
    return Finding(PNEUMONIA, (AREA,), probability, site=LUNG, image=ref, present=probability > 0.5)


def run(folder: Path, images: Sequence[Dataset], result: InferenceResult) -> Run:
    return replace(run_on(pictures.save(folder, images), not_evaluable(), CLASSIFIER), result=result)


@pytest.fixture
def images() -> list[Dataset]:
    return [pictures.dx(GREY, 1), pictures.dx(GREY, 2), pictures.dx(GREY, 3)]


def report(writer: DicomResultWriter, run: Run) -> Dataset:
    (written,) = writer.write(run)
    dataset: Dataset = pydicom.dcmread(io.BytesIO(written.part10))
    return dataset


def groups(dataset: Dataset) -> list[Dataset]:
    containers = [item for item in dataset.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"]
    return [group for container in containers for group in container.ContentSequence]


def values(group: Dataset, code: str) -> list[Dataset]:
    return [item for item in group.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == code]


def words(dataset: Dataset) -> str:
    return " | ".join(
        item.get("TextValue", "") for part in dataset.ContentSequence for item in part.get("ContentSequence", [])
    )


def test_each_image_has_its_group(tmp_path: Path, writer: DicomResultWriter, images: list[Dataset]) -> None:
    findings = (found(images[1], 0.92), found(images[0], 0.08))
    reason = Reason("ImagesNotEvaluable", "1 of 3 images was not evaluated (image 3 of 3: empty)")
    dataset = report(writer, run(tmp_path, images, InferenceResult(Outcome.POSITIVE, findings, reason=reason)))
    first, second = groups(dataset)
    for group, image, presence, percent in ((first, images[1], "Present", 92), (second, images[0], "Absent", 8)):
        (source,) = values(group, "121112")
        assert source.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert "ReferencedFrameNumber" not in source.ReferencedSOPSequence[0]
        assert [item.ConceptCodeSequence[0].CodeMeaning for item in values(group, "121052")] == [presence]
        assert [float(item.MeasuredValueSequence[0].NumericValue) for item in values(group, "111012")] == [percent]
    assert "image 3 of 3: empty" in words(dataset)
    assert "Not all algorithms succeeded; with findings" in str(dataset)
    assert "SEG" not in {dataset.Modality}


def test_a_frame_is_named(tmp_path: Path, writer: DicomResultWriter) -> None:
    loop = pictures.us_loop(np.stack([GREY, GREY, GREY]))
    dataset = report(writer, run(tmp_path, [loop], InferenceResult(Outcome.POSITIVE, (found(loop, 0.9, 2),))))
    (source,) = values(groups(dataset)[0], "121112")
    assert source.ReferencedSOPSequence[0].ReferencedFrameNumber == 2


def test_a_negative_tells_what_it_looked_for(tmp_path: Path, writer: DicomResultWriter, images: list[Dataset]) -> None:
    findings = tuple(found(image, 0.1) for image in images)
    dataset = report(writer, run(tmp_path, images, InferenceResult(Outcome.NEGATIVE, findings)))
    assert [values(group, "121052")[0].ConceptCodeSequence[0].CodeValue for group in groups(dataset)] == 3 * [
        "272519000"
    ]
    assert "All algorithms succeeded; without findings" in str(dataset)
    assert "NEGATIVE" in dataset.SeriesDescription


def test_a_demonstration_says_so(tmp_path: Path, writer: DicomResultWriter, images: list[Dataset]) -> None:
    base = run(tmp_path, images, InferenceResult(Outcome.NEGATIVE))
    shown = replace(base, model=replace(base.model, demonstration=True))
    assert "demonstration only" in words(report(writer, shown))
    assert "demonstration only" not in words(report(writer, base))


@pytest.mark.parametrize(
    ("outcome", "probability", "field"), [(Outcome.NEGATIVE, 0.9, "findings"), (Outcome.POSITIVE, 0.1, "findings")]
)
def test_outcome_and_findings_agree(
    tmp_path: Path, writer: DicomResultWriter, images: list[Dataset], outcome: Outcome, probability: float, field: str
) -> None:
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(run(tmp_path, images, InferenceResult(outcome, (found(images[0], probability),))))
    assert caught.value.details["field"] == field


def test_an_image_that_is_none_of_the_input(tmp_path: Path, writer: DicomResultWriter, images: list[Dataset]) -> None:
    stranger = found(pictures.dx(GREY, 9), 0.9)
    with pytest.raises(InvalidModelOutput) as caught:
        writer.write(run(tmp_path, images, InferenceResult(Outcome.POSITIVE, (stranger,))))
    assert caught.value.details["field"] == "findings[0].image"


@pytest.mark.parametrize("change", ["image", "presence"])
def test_a_report_about_another_image_never_leaves(
    tmp_path: Path, images: list[Dataset], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """An encoder that mixes up images, or present and absent, is caught by re-reading."""
    base = run(tmp_path, images, InferenceResult(Outcome.POSITIVE, (found(images[0], 0.9), found(images[1], 0.2))))
    first, second = base.result.findings
    mixed = replace(second, image=first.image) if change == "image" else replace(second, present=True)

    class Confused:
        def encode(self, context: object) -> object:
            wrong = replace(base, result=replace(base.result, findings=(first, mixed)))
            return ReportEncoder().encode(replace(context, run=wrong))  # type: ignore[type-var]

    confused = DicomResultWriter(MAKER, [Confused()])  # type: ignore[list-item]
    with pytest.raises(
        ResultVerificationFailed, match="source images of the finding" if change == "image" else "presence"
    ):
        confused.write(base)
