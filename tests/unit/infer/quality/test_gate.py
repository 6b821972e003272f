"""Headers and geometry: orientation, burned-in annotation, size, colour; and that every check is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from node.domain.interval import Interval
from node.domain.model import InputLimits
from node.domain.quality import DEFAULTS, QualityLimits
from node.domain.study import Picture, SopRef
from node.errors import (
    BurnedInAnnotation,
    ColourNotSupported,
    GeometryError,
    InputError,
    OrientationNotSupported,
    PictureSizeOutsideLimits,
)
from node.infer.quality.checks import Checks, Judged
from node.infer.quality.gate import picture_checks, volume_checks
from node.infer.volume import Loaded, load_series
from tests.fakes.series import series, write

REF = SopRef("1.2", "1.2.3")
GREY = np.arange(64, dtype=np.float32).reshape(8, 8)
COLOUR = np.stack([GREY, np.zeros_like(GREY), GREY], axis=2)
GEOMETRY = [
    "one orientation", "one kind of image", "acquisitions", "duplicated slices", "missing slices", "slice spacing",
    "gantry tilt", "stack of slices",
]  # fmt: skip


def loaded(folder: Path, change: Callable[[Dataset, int], object] | None = None) -> Loaded:
    return load_series(write(folder, series(range(6), change)), Checks())


def errors(found: list[Judged]) -> list[type[InputError]]:
    return [type(one.error) for one in found if one.error is not None]


def of_picture(array: np.ndarray, burned_in: str = "", limits: QualityLimits = DEFAULTS) -> list[Judged]:
    return list(picture_checks(Picture(array, REF), burned_in, limits))


def test_a_regular_series_passes_every_check_of_its_geometry(tmp_path: Path) -> None:
    checks = Checks()
    load_series(write(tmp_path, series()), checks)
    assert [check.name for check in checks.made] == GEOMETRY
    assert all(check.passed for check in checks.made)
    told = {check.name: check for check in checks.made}
    assert told["slice spacing"].found == "2.500 to 2.500 mm"
    assert (told["gantry tilt"].value, told["gantry tilt"].limit) == (0, 0.5)


def tilted(image: Dataset, k: int) -> None:
    image.ImagePositionPatient = [-10, -20 + 0.5 * k, 2.5 * k]


def repeated(image: Dataset, k: int) -> None:
    image.ImagePositionPatient = [-10, -20, 2.5 * max(k, 1)]


def uneven(image: Dataset, k: int) -> None:
    image.ImagePositionPatient = [-10, -20, 2.5 * k + (0.7 if k == 2 else 0)]


def two_echoes(image: Dataset, k: int) -> None:
    image.EchoTime = 10 + k % 2


def two_orientations(image: Dataset, k: int) -> None:
    if k == 3:
        image.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        (tilted, "gantry tilt", 11.31),
        (repeated, "duplicated slices", 1),
        (uneven, "slice spacing", None),
        (two_echoes, "acquisitions", 2),
        (two_orientations, "one orientation", None),
    ],
)
def test_what_is_wrong_is_the_last_check_and_all_before_it_passed(
    tmp_path: Path, change: Callable[[Dataset, int], None], name: str, value: float | None
) -> None:
    checks = Checks()
    with pytest.raises(GeometryError) as caught:
        load_series(write(tmp_path, series(change=change)), checks)
    *before, last = checks.made
    # Where slices lie unevenly nobody can tell whether one is missing.
    untold = {"missing slices"} if name == "slice spacing" else set()
    assert [check.name for check in before] == [one for one in GEOMETRY[: GEOMETRY.index(name)] if one not in untold]
    assert all(check.passed for check in before)
    assert (last.name, last.passed, last.code, last.value) == (name, False, caught.value.code, value)
    assert last.found == caught.value.message


def test_a_missing_slice_and_a_single_one(tmp_path: Path) -> None:
    for numbers, name, value in (([0, 1, 3, 4], "missing slices", 1), ([0], "stack of slices", 1)):
        checks = Checks()
        with pytest.raises(GeometryError):
            load_series(write(tmp_path / name, series(numbers)), checks)
        assert (checks.made[-1].name, checks.made[-1].value) == (name, value)


def test_orientation_as_admission_words_it(tmp_path: Path) -> None:
    volume = loaded(tmp_path).volume
    assert errors(list(volume_checks(volume, "", InputLimits(orientations=("axial", "oblique"))))) == []
    found = list(volume_checks(volume, "", InputLimits(orientations=("sagittal", "coronal"))))
    assert errors(found) == [OrientationNotSupported]
    (wrong,) = [one.error for one in found if one.error]
    assert wrong.message == "Images are axial; this model needs sagittal or coronal"


def test_a_volume_is_refused_for_burned_in_text_only_where_that_is_declared(tmp_path: Path) -> None:
    def one_slice(image: Dataset, k: int) -> None:
        image.BurnedInAnnotation = "YES" if k == 2 else "NO"

    read = loaded(tmp_path, one_slice)
    assert read.burned_in == "YES"
    assert errors(list(volume_checks(read.volume, read.burned_in, InputLimits()))) == []
    strict = InputLimits(quality=QualityLimits(burned_in_annotation="refuse"))
    assert errors(list(volume_checks(read.volume, read.burned_in, strict))) == [BurnedInAnnotation]


def test_what_a_header_says_in_the_wrong_place_is_not_kept(tmp_path: Path) -> None:
    def name(image: Dataset, _: int) -> None:
        image.BurnedInAnnotation = "MUELLER"

    assert loaded(tmp_path, name).burned_in == ""


@pytest.mark.parametrize(("stated", "refused"), [("YES", True), ("NO", False), ("", False)])
def test_a_picture_with_burned_in_text_is_refused_unless_it_is_accepted(stated: str, refused: bool) -> None:
    assert errors(of_picture(GREY, stated)) == [BurnedInAnnotation] * refused
    assert errors(of_picture(GREY, stated, QualityLimits(burned_in_annotation="accept"))) == []


def test_size_at_its_limit() -> None:
    assert errors(of_picture(GREY, limits=QualityLimits(side_px=Interval(8, 8)))) == []
    assert errors(of_picture(GREY, limits=QualityLimits(side_px=Interval(9, None)))) == [PictureSizeOutsideLimits]
    assert errors(of_picture(GREY[:, :7], limits=QualityLimits(side_px=Interval(8)))) == [PictureSizeOutsideLimits]


@pytest.mark.parametrize(("array", "colour"), [(GREY, "grey"), (COLOUR, "colour")])
def test_colour_where_it_is_declared(array: np.ndarray, colour: str) -> None:
    other = {"grey": "colour", "colour": "grey"}[colour]
    assert errors(of_picture(array)) == []
    assert errors(of_picture(array, limits=QualityLimits(colour=colour))) == []
    assert errors(of_picture(array, limits=QualityLimits(colour=other))) == [ColourNotSupported]


def test_grey_stored_as_colour_is_grey() -> None:
    array = np.repeat(GREY[:, :, None], 3, axis=2)
    array[:, :, 0] += 24
    assert errors(of_picture(array, limits=QualityLimits(colour="grey"))) == []
