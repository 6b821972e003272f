"""Reports on projections, ultrasound images and photographs against public validators and readers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from highdicom.sr import srread
from pydicom.dataset import Dataset

from node.domain.result import CodedConcept, Finding, InferenceResult, Outcome, Reason
from node.domain.study import SopRef
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests import pictures
from tests.conformance import validators
from tests.unit.results.runs import MAKER, MODEL, not_evaluable, run_on

RANDOM = np.random.default_rng(0)
GREY12 = RANDOM.integers(0, 4096, (24, 20), dtype=np.uint16)
GREY = RANDOM.integers(0, 256, (24, 20), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (24, 20, 3), dtype=np.uint8)

SOURCES: Mapping[str, Sequence[Dataset]] = {
    "DX": [pictures.dx(GREY12, number) for number in (1, 2)],
    "CR": [pictures.cr(GREY12, number) for number in (1, 2)],
    "US, grey": [pictures.us(GREY, number) for number in (1, 2)],
    "US, colour": [pictures.us(COLOUR, number, study="us colour") for number in (1, 2)],
    "US, loop": [pictures.us_loop(np.stack([COLOUR, COLOUR, COLOUR]), study="us loop")],
    "OP": [pictures.op(COLOUR, number) for number in (1, 2)],
    "XC": [pictures.xc(COLOUR, number) for number in (1, 2)],
}
OUTCOMES = ("positive", "in part", "negative", "not evaluable")
PNEUMONIA, LUNG = CodedConcept("233604007", "SCT", "Pneumonia"), CodedConcept("39607008", "SCT", "Lung")
PRIVATE = CodedConcept("REFERABLE", "99AINODE", "Something that is referred")
CLASSIFIER = replace(MODEL, id="classifier", segments=(), demonstration=True)
Case = tuple[str, str]
# PixelMed takes seconds for each report, and sees no pixels: every outcome and every kind of reference once.
ASKED_OF_PIXELMED: Sequence[Case] = [
    ("DX", "positive"), ("CR", "negative"), ("US, colour", "not evaluable"), ("US, loop", "in part"),
    ("OP", "negative"),
]  # fmt: skip


def _findings(images: Sequence[Dataset], positive: bool) -> tuple[Finding, ...]:
    """Two for each image, or for each frame of the one image."""
    refs = [
        SopRef(str(image.SOPClassUID), str(image.SOPInstanceUID), frame)
        for image in images
        for frame in (range(1, int(image.NumberOfFrames) + 1) if int(image.get("NumberOfFrames", 1)) > 1 else (None,))
    ]
    return tuple(
        Finding(concept, probability=0.9 if present else 0.125, site=LUNG, image=ref, present=present)
        for number, ref in enumerate(refs)
        for concept, present in ((PNEUMONIA, positive and number == 0), (PRIVATE, False))
    )


def _result(outcome: str, images: Sequence[Dataset]) -> InferenceResult:
    if outcome == "not evaluable":
        return not_evaluable("Patient age of 34 years; this model needs at least 1 and at most 5 years")
    if outcome == "negative":
        return InferenceResult(Outcome.NEGATIVE, _findings(images, positive=False))
    reason = Reason("ImagesNotEvaluable", "1 of 2 images was not evaluated (image 2 of 2: empty)")
    findings = _findings(images, positive=True)
    return InferenceResult(Outcome.POSITIVE, findings, reason=reason if outcome == "in part" else None)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    folder = tmp_path_factory.mktemp("sources")
    return {name: pictures.save(folder / str(number), SOURCES[name]) for number, name in enumerate(SOURCES)}


@pytest.fixture(scope="module")
def reports(sources: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Path]:
    folder = tmp_path_factory.mktemp("reports")
    written = {}
    for number, (name, outcome) in enumerate(itertools.product(SOURCES, OUTCOMES)):
        run: Run = replace(run_on(sources[name], not_evaluable(), CLASSIFIER), result=_result(outcome, SOURCES[name]))
        (report,) = DicomResultWriter(MAKER, zone=UTC).write(run)
        written[name, outcome] = folder / f"SR{number}.dcm"
        written[name, outcome].write_bytes(report.part10)
    return written


def test_the_images_themselves_are_valid(sources: dict[str, list[Path]]) -> None:
    assert {name: [validators.dciodvfy(path) for path in paths] for name, paths in sources.items()} == {
        name: [[] for _ in paths] for name, paths in sources.items()
    }


@pytest.mark.timeout(900)  # Java on a busy machine
def test_reports_are_valid(reports: dict[Case, Path]) -> None:
    """dciodvfy and dsrdump on every report, PixelMed's validator on some: no error."""
    assert len(reports) == len(SOURCES) * len(OUTCOMES)
    pixelmed = validators.pixelmed([reports[case] for case in ASKED_OF_PIXELMED])
    complaints = {
        case: validators.dciodvfy(path) + pixelmed.get(path, []) + validators.dsrdump(path)
        for case, path in reports.items()
    }
    assert {case: found for case, found in complaints.items() if found} == {}


def test_reports_fit_into_their_study(sources: dict[str, list[Path]], reports: dict[Case, Path]) -> None:
    for (name, _), path in reports.items():
        assert validators.dcentvfy([*sources[name], path]) == []


def test_highdicom_reads_a_group_for_each_image(reports: dict[Case, Path]) -> None:
    for (name, outcome), path in reports.items():
        report = srread(path)
        assert isinstance(report.content, hd.sr.MeasurementReport)
        groups = report.content.get_image_measurement_groups()
        found = [] if outcome == "not evaluable" else _findings(SOURCES[name], outcome != "negative")
        assert len(groups) == len(found)
        for group, finding in zip(groups, found, strict=True):
            assert finding.image is not None
            (source,) = group.source_images
            assert source.referenced_sop_instance_uid == finding.image.sop_instance_uid
            assert (source.referenced_frame_numbers or [None]) == [finding.image.frame]
            (presence,) = group.get_qualitative_evaluations()
            assert presence.value.meaning == ("Present" if finding.present else "Absent")
            (certainty,) = group.get_measurements()
            assert certainty.value == pytest.approx(100 * (finding.probability or 0))


@pytest.mark.parametrize("name", ["DX", "US, colour", "OP"])
def test_dcmqi_reads_the_same_numbers(name: str, reports: dict[Case, Path], tmp_path: Path) -> None:
    groups = validators.tid1500reader(reports[name, "positive"], tmp_path)
    found = _findings(SOURCES[name], positive=True)
    assert [group["Finding"]["CodeValue"] for group in groups] == [finding.concept.value for finding in found]
    numbers = [float(group["measurementItems"][0]["value"]) for group in groups]
    assert numbers == [pytest.approx(100 * (finding.probability or 0)) for finding in found]
