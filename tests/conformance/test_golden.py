"""Every kind of object from sources in every character set, against every validator: no error, no strange warning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.conformance import outcomes, validators
from tests.conformance.allowances import allowances, complaints
from tests.conformance.golden import SCRIPTS, TEXTS, Study, write_study
from tests.conformance.outcomes import DCENTVFY, DCIODVFY, DSRDUMP, PIXELMED, Said, ask
from tests.conformance.pages import generated
from tests.unit.results.seen import label_map_of

CASES = {
    "mixed": ["KO", "OT", "OT", "PR", "SEG", "SR", "SR", "SR"],
    "segments": ["SEG", "SR"],
    "regions": ["SR"],
    "points": ["SR"],
    "fractions": ["SEG", "SR"],
    "label map": ["SEG", "SR"],
    "negative": ["SR"],
    "not evaluable": ["SR"],
    "failed": ["SR"],
    "successor": ["SEG", "SR"],
    "rejection": ["KO"],
}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Study]:
    folder = tmp_path_factory.mktemp("golden")
    return {name: write_study(folder / str(number), script) for number, (name, script) in enumerate(SCRIPTS.items())}


def _ask_everybody(studies: dict[str, Study]) -> list[Said]:
    """What every validator says of every object.

    PixelMed takes more than a second for each report, so it is asked of all of one set and of one of every other set:
    ``test_reports_differ_in_names_alone`` says why that is enough.
    """
    reports = {
        one.path: one
        for name, study in studies.items()
        for one in study.objects
        if one.modality == "SR" and (name == "ASCII" or one.case == "regions")
    }
    pixelmed = [Said(PIXELMED, reports[path], lines) for path, lines in validators.pixelmed_says(list(reports)).items()]
    return [*pixelmed, *(one for study in studies.values() for one in ask(study, study.images[0].parents[1] / "utf-8"))]


def test_every_kind_of_object_is_there(studies: dict[str, Study]) -> None:
    for study in studies.values():
        found = {case: sorted(one.modality for one in study.objects if one.case == case) for case in study.runs}
        found["rejection"] = [one.modality for one in study.objects if one.case == "rejection"]
        assert found == CASES
    assert len({one.kind for one in studies["ASCII"].objects}) == 7


@pytest.mark.timeout(900)  # Java on a busy machine
def test_no_validator_complains(studies: dict[str, Study]) -> None:
    """One test, for asking takes long: no complaint, every allowance in use, and the page tells the same."""
    said, allowed = _ask_everybody(studies), allowances()
    found = {(one.about.path, one.validator): complaints(one.validator, one.lines, allowed) for one in said}
    assert {about: lines for about, lines in found.items() if lines} == {}
    lines = [(one.validator, line) for one in said for line in one.lines]
    assert [one.pattern.pattern for one in allowed if not any(one.covers(*line) for line in lines)] == []
    assert generated("golden objects") == outcomes.table(said)


def test_what_is_not_allowed_is_a_complaint() -> None:
    line = "W: Check for template constraints not yet supported"
    assert complaints(DSRDUMP, [line], allowances()) == []
    assert complaints(DSRDUMP, [line], []) == [line]
    assert complaints(DCIODVFY, [line], allowances()) == [line]
    assert complaints(DSRDUMP, [f"{line}!", "Error - x", "Comprehensive3DSR"], allowances()) == [
        f"{line}!", "Error - x",
    ]  # fmt: skip
    assert all(one.reason for one in allowances())


@pytest.mark.parametrize("name", SCRIPTS)
def test_texts_are_the_same_after_decoding(name: str, studies: dict[str, Study]) -> None:
    study, script = studies[name], SCRIPTS[name]
    source = pydicom.dcmread(study.images[0])
    source.decode()
    wanted = [script.patient, script.physician, script.study]
    assert [_text(source, keyword) for keyword in TEXTS] == wanted, "the source really says so"
    for one in study.objects:
        dataset = pydicom.dcmread(one.path)
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        dataset.decode()
        assert [_text(dataset, keyword) for keyword in TEXTS] == wanted, one.path


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    """Without the escape sequences that pydicom leaves in a text that begins with one."""
    text = str(dataset[keyword].value)
    for escape in ("\x1b$B", "\x1b(B", "\x1b$)C"):
        text = text.replace(escape, "")
    return text


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name != "ASCII"])
def test_reports_differ_in_names_alone(name: str, studies: dict[str, Study]) -> None:
    """Nothing else depends on the character set: which UID stands where is the same as well."""
    pairs = zip(studies["ASCII"].of("SR"), studies[name].of("SR"), strict=True)
    for ascii_path, path in pairs:
        assert _without_names(pydicom.dcmread(path)) == _without_names(pydicom.dcmread(ascii_path))


def _without_names(dataset: pydicom.Dataset) -> list[tuple[str, object]]:
    """Every element but the texts, with each UID as the number of its first appearance."""
    seen: dict[str, int] = {}
    elements = [element for element in dataset.iterall() if element.keyword not in TEXTS and element.VR != "SQ"]
    return [
        (str(one.tag), seen.setdefault(str(one.value), len(seen)) if one.VR == "UI" else str(one.value))
        for one in elements
    ]


def test_dcentvfy_notices_another_patient(studies: dict[str, Study], tmp_path: Path) -> None:
    study = studies["ISO 2022 Japanese"]
    other = pydicom.dcmread(study.case("negative", "SR")[0])
    other.PatientName = "山田^花子"
    other.save_as(tmp_path / "SR.dcm")
    stranger = replace(study.objects[0], path=tmp_path / "SR.dcm")
    lines = [
        line
        for one in ask(replace(study, objects=[stranger, study.objects[0]]), tmp_path / "utf-8")
        if one.validator == DCENTVFY
        for line in one.lines
    ]
    assert any(line.startswith("Error") and "PatientName" in line for line in lines)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_label_map_holds_the_voxels_of_its_binary_twin(name: str, studies: dict[str, Study]) -> None:
    """dciodvfy does not know the class: it judges the twin, which says the same."""
    (twin,), (label_map,) = studies[name].case("segments", "SEG"), studies[name].case("label map", "SEG")
    run = studies[name].runs["segments"]
    assert run.grid is not None
    assert run.result.segmentation is not None
    for path in (twin, label_map):
        np.testing.assert_array_equal(label_map_of(pydicom.dcmread(path), run.grid), run.result.segmentation.label_map)
