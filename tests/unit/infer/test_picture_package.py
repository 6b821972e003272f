"""What a package for pictures declares, and what it may not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from node.domain.model import InputKind, Interval
from node.errors import InvalidModelPackage
from node.infer.package import read_description

FAKES = Path(__file__).parents[2] / "fakes" / "models"


def changed(tmp_path: Path, package: str, old: str, new: str) -> Path:
    folder = tmp_path / package
    shutil.copytree(FAKES / package, folder)
    declared = (folder / "model.toml").read_text(encoding="utf-8")
    assert old in declared
    (folder / "model.toml").write_text(declared.replace(old, new), encoding="utf-8")
    return folder


def test_a_package_for_pictures() -> None:
    model = read_description(FAKES / "bright_picture")
    assert model.kind is InputKind.IMAGE
    assert (model.limits.patient_age_years, model.limits.frames_at_most) == (Interval(1, 70), 1)


def test_a_volume_is_what_is_meant_where_nothing_is_said() -> None:
    model = read_description(FAKES / "threshold")
    assert (model.kind, model.limits.patient_age_years) == (InputKind.VOLUME, Interval())


def test_loops_are_declared(tmp_path: Path) -> None:
    folder = changed(tmp_path, "bright_picture", "[limits]", "[limits]\nframes_at_most = 40")
    assert read_description(folder).limits.frames_at_most == 40


@pytest.mark.parametrize(
    ("package", "old", "new", "words"),
    [
        ("bright_picture", '"image"', '"movie"', "input.kind"),
        ("bright_picture", "[limits]", "[limits]\nframes_at_most = 0", "limits.frames_at_most"),
        ("bright_picture", "[limits]", "[limits]\nslices = [1, 2]", 'limits.slices: only where input.kind is "volume"'),
        ("bright_picture", "[limits]", '[limits]\norientation = ["axial"]', "limits.orientation: only where"),
        ("bright_picture", "[runtime]", "[runtime]\nwindow = [8, 8, 8]", "runtime.window: only where"),
        ("bright_picture", "[1, 70]", "[70, 1]", "limits.patient_age_years"),
        ("threshold", "[runtime]", "[limits]\nframes_at_most = 2\n[runtime]", 'only where input.kind is "image"'),
        ("threshold", "[input]", '[input]\nkind = "image"', "segments: only where"),
    ],
)
def test_what_belongs_to_the_other_kind(tmp_path: Path, package: str, old: str, new: str, words: str) -> None:
    with pytest.raises(InvalidModelPackage) as caught:
        read_description(changed(tmp_path, package, old, new))
    assert words in caught.value.message
