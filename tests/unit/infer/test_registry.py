"""Model packages: what is read, every problem listed, one broken package never hiding the others."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from node.domain.model import Interval
from node.domain.result import CodedConcept
from node.errors import InvalidModelPackage, WeightsDigestMismatch
from node.infer.package import read_description
from node.infer.registry import BUILT_IN, check_package, scan

FAKES = Path(__file__).parents[2] / "fakes" / "models"
WEIGHTS = b"weights"

FULL = """
[model]
id = "example"
version = "1.2.0"
title = "An example"
intended_use = "Tests."
demonstration = true

[algorithm]
name = "example"
manufacturer = "ainode project"

[input]
modality = ["MR", "CT"]
sop_classes = ["MRImageStorage", "1.2.840.10008.5.1.4.1.1.2"]
body_part = ["BRAIN"]
body_part_may_be_absent = false
description_include = ["t1.*mprage"]
description_exclude = ["loc"]
field_of_view_mm = [20, 80.5]

[limits]
orientation = ["axial", "sagittal"]
slices = [16, inf]
slice_spacing_mm = [0.5, 2.0]
pixel_spacing_mm = [-inf, 2.0]

[runtime]
timeout_s = 120
precision = "bf16"
window = [16, 32, 64]
overlap = 0.25
batch = 4

[weights]
file = "weights.safetensors"
sha256 = "{sha256}"

[[segments]]
number = 1
label = "Bright"
category = {{ value = "85756007", scheme = "SCT", meaning = "Tissue" }}
type = {{ value = "85756007", scheme = "SCT", meaning = "Tissue" }}
anatomic_region = {{ value = "12738006", scheme = "SCT", meaning = "Brain" }}
colour_rgb = [255, 0, 7]
"""


def package(root: Path, text: str = FULL, name: str = "example") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(WEIGHTS)
    (folder / "model.py").write_text("")
    (folder / "model.toml").write_text(text.format(sha256=hashlib.sha256(WEIGHTS).hexdigest()))
    return folder


def problems(folder: Path) -> dict[str, str]:
    with pytest.raises(InvalidModelPackage) as caught:
        read_description(folder)
    listed = caught.value.details["problems"]
    assert isinstance(listed, list)
    return dict(listed)


def test_everything_a_package_declares(tmp_path: Path) -> None:
    model = check_package(package(tmp_path))
    assert (model.id, model.version, model.demonstration) == ("example", "1.2.0", True)
    assert model.algorithm.family == CodedConcept("123110", "DCM", "Artificial Intelligence")
    assert model.algorithm.version == "1.2.0"
    assert model.selection.modalities == ("MR", "CT")
    assert model.selection.sop_classes == ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2")
    assert model.selection.body_part_may_be_absent is False
    assert model.selection.field_of_view_mm == Interval(20, 80.5)
    assert model.limits.orientations == ("axial", "sagittal")
    assert model.limits.slices == Interval(16, None)
    assert model.limits.pixel_spacing_mm == Interval(None, 2.0)
    assert (model.runtime.window, model.runtime.precision, model.runtime.batch) == ((16, 32, 64), "bf16", 4)
    assert model.segments[0].colour_rgb == (255, 0, 7)
    assert model.segments[0].anatomic_region == CodedConcept("12738006", "SCT", "Brain")


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    text = (
        FULL.replace('title = "An example"\n', "")
        .replace("t1.*mprage", "t1(")
        .replace("MRImageStorage", "ExplicitVRLittleEndian")
        .replace("[20, 80.5]", "[80, 20]")
        .replace("batch = 4", 'batch = "4"')
        .replace('"bf16"', '"int3"')
        .replace('"sagittal"', '"sideways"')
        .replace("colour_rgb = [255, 0, 7]", "colour_rgb = [256, 0, 7]\nshade = 1")
    )
    found = problems(package(tmp_path, text))
    assert found.keys() == {
        "model.title",
        "input.description_include[0]",
        "input.sop_classes[0]",
        "input.field_of_view_mm",
        "runtime.batch",
        "runtime.precision",
        "limits.orientation[1]",
        "segments[0].colour_rgb[0]",
        "segments[0].shade",
    }
    assert "not a regular expression" in found["input.description_include[0]"]


def test_segment_numbers_count_from_one_without_gaps(tmp_path: Path) -> None:
    assert "found [2]" in str(problems(package(tmp_path, FULL.replace("number = 1", "number = 2"))))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[model", "model.toml"),
        (FULL.replace('id = "example"', 'id = "other"'), "model.id"),
        (FULL.replace('"weights.safetensors"', '"absent.safetensors"'), "weights.file"),
        (FULL.replace('"weights.safetensors"', '"../escape"'), "weights.file"),
        (FULL.replace("{sha256}", "123"), "weights.sha256"),
    ],
)
def test_a_single_problem(tmp_path: Path, text: str, key: str) -> None:
    assert problems(package(tmp_path, text)).keys() == {key}


def test_weights_that_are_not_the_declared_ones(tmp_path: Path) -> None:
    folder = package(tmp_path)
    (folder / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(WeightsDigestMismatch):
        check_package(folder)


def test_one_broken_package_never_hides_the_others(tmp_path: Path) -> None:
    shutil.copytree(FAKES / "threshold", tmp_path / "a" / "threshold")
    package(tmp_path / "a", "nonsense", name="broken")
    (tmp_path / "a" / "no_package").mkdir()
    shutil.copytree(FAKES / "threshold", tmp_path / "b" / "threshold")
    enabled = ["*", "threshold"]
    found = scan([tmp_path / "a", tmp_path / "b", tmp_path / "absent"], enabled, built_in=tmp_path / "none")
    assert list(found.models) == ["threshold"]
    assert found.models["threshold"].folder == str(tmp_path / "a" / "threshold")
    assert [problem.package for problem in found.problems] == ["broken", "threshold", "absent"]
    assert "already installed" in found.problems[1].error.message


def test_only_enabled_packages_are_looked_at(tmp_path: Path) -> None:
    package(tmp_path, "nonsense", name="broken")
    package(tmp_path, FULL.replace("demonstration = true", ""), name="example")
    found = scan([FAKES, tmp_path], ["exam*", "windowed"], built_in=tmp_path / "none")
    assert (list(found.models), found.problems) == (["example", "windowed"], ())


def test_a_demonstration_runs_only_when_its_very_id_is_enabled(tmp_path: Path) -> None:
    package(tmp_path)
    by_default = scan([tmp_path], built_in=tmp_path / "none")
    assert (list(by_default.models), list(by_default.demonstrations)) == ([], ["example"])
    by_wildcard = scan([tmp_path], ["exam*"], built_in=tmp_path / "none")
    assert (list(by_wildcard.models), list(by_wildcard.demonstrations)) == ([], ["example"])
    by_name = scan([tmp_path], ["*", "example"], built_in=tmp_path / "none")
    assert (list(by_name.models), list(by_name.demonstrations)) == (["example"], [])
    other = scan([tmp_path], ["other"], built_in=tmp_path / "none")
    assert (list(other.models), list(other.demonstrations)) == ([], [])


def test_a_demonstration_can_be_asked_for_by_its_name(tmp_path: Path) -> None:
    package(tmp_path)
    found = scan([tmp_path], built_in=tmp_path / "none")
    named = found.named("example")
    assert named is not None
    assert named.id == "example"
    assert found.named("another") is None


def test_a_demonstration_installed_twice_is_a_problem(tmp_path: Path) -> None:
    package(tmp_path / "a")
    package(tmp_path / "b")
    found = scan([tmp_path / "a", tmp_path / "b"], built_in=tmp_path / "none")
    assert [problem.package for problem in found.problems] == ["example"]


def test_the_packages_that_are_built_in_are_in_order() -> None:
    assert scan([]).problems == ()
    assert (BUILT_IN / "__init__.py").is_file()
