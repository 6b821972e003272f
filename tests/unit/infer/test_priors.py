"""Earlier studies as a package is given them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from node.domain.model import ModelDescription
from node.domain.prior import PriorSeries, PriorsWanted
from node.domain.result import Outcome
from node.domain.study import Picture, Volume
from node.errors import InvalidModelPackage
from node.infer.engine import Engine, EngineRun
from node.infer.registry import check_package
from node.infer.series import SeriesRun, run_series
from node.ports.inference import PriorImages
from tests import pictures
from tests.fakes.series import series, write

FAKES = Path(__file__).parents[2] / "fakes" / "models"
GROWTH = check_package(FAKES / "growth")
BRIGHT_PICTURE = check_package(FAKES / "bright_picture")


def prior(folder: Path, number: int, images: Sequence[Dataset]) -> PriorImages:
    """The study of the year 2020 + ``number``."""
    return PriorImages(PriorSeries(f"1.{number}", f"1.{number}.1", f"{2020 + number}0101"), write(folder, images))


def dark(image: Dataset, _: int) -> None:
    image.PixelData = bytes(len(image.PixelData))


def run(folder: Path, priors: Sequence[PriorImages], model: ModelDescription = GROWTH) -> SeriesRun:
    return run_series(Engine(), model, write(folder / "now", series()), "cpu", priors=priors)


def test_a_package_compares_with_what_was_before(tmp_path: Path) -> None:
    same = prior(tmp_path / "same", 1, series())
    less = prior(tmp_path / "less", 2, series(change=lambda image, k: None if k < 2 else dark(image, k)))
    assert run(tmp_path, [less]).result.outcome is Outcome.POSITIVE
    assert run(tmp_path, [same]).result.outcome is Outcome.NEGATIVE
    assert run(tmp_path, [same, less]).result.outcome is Outcome.NEGATIVE, "the newest comes first"
    assert run(tmp_path, [same]).provenance()["priors"] == [
        {"study_instance_uid": "1.1", "series_instance_uid": "1.1.1", "study_date": "20210101", "used": True}
    ]


def test_without_a_prior_a_package_says_so(tmp_path: Path) -> None:
    found = run(tmp_path, [])
    assert found.result.reason is not None
    assert (found.result.outcome, found.result.reason.code) == (Outcome.NOT_EVALUABLE, "PriorMissing")
    assert "priors" not in found.provenance()


def test_a_prior_that_is_no_volume_is_left_out(tmp_path: Path) -> None:
    def twice(image: Dataset, _: int) -> None:
        image.ImagePositionPatient = [0, 0, 0]

    broken = prior(tmp_path / "broken", 2, series(change=twice))
    good = prior(tmp_path / "good", 1, series())
    found = run(tmp_path, [broken, good])
    assert found.result.outcome is Outcome.NEGATIVE
    told = found.provenance()["priors"]
    assert isinstance(told, list)
    assert [one["used"] for one in told] == [False, True]
    assert told[0]["reason"] == "DuplicateSlices"


def test_pictures_get_pictures(tmp_path: Path) -> None:
    """The package of pictures does not look at them; what it is given is seen on its way to the engine."""
    seen: list[int] = []

    class Watching(Engine):
        def run(self, model: ModelDescription, given: Volume | Picture, *more: Any, **named: Any) -> EngineRun:
            seen.append(len(given.priors[0].pictures))
            return super().run(model, given, *more, **named)

    bright = np.full((8, 10), 200, np.uint8)
    bright[0, 0] = 0
    now = [pictures.whole(path) for path in pictures.save(tmp_path / "now", [pictures.us(bright, 1)])]
    before = pictures.save(tmp_path / "before", [pictures.us(bright, number) for number in (1, 2)])
    given = PriorImages(PriorSeries("1.1", "1.1.1", "20210101"), tuple(map(pictures.whole, before)))
    model = replace(BRIGHT_PICTURE, priors=PriorsWanted())
    found = run_series(Watching(), model, now, "cpu", priors=[given])
    assert (seen, found.result.outcome) == ([2], Outcome.POSITIVE)


def test_what_is_declared() -> None:
    assert GROWTH.priors == PriorsWanted(2, 730, ("MR",), ("BRAIN", "HEAD"))
    assert BRIGHT_PICTURE.priors is None
    assert GROWTH.priors is not None
    assert GROWTH.priors.wants("MR", "brain")
    assert GROWTH.priors.wants("MR", "")
    assert not GROWTH.priors.wants("MR", "KNEE")
    assert not GROWTH.priors.wants("CT", "HEAD")


@pytest.mark.parametrize(
    ("table", "problem"),
    [("at_most = 0", "priors.at_most"), ("at_most = 9", "priors.at_most"), ("max_age_days = 5", "priors.at_most"),
     ('at_most = 1\nbody_part = ["head"]', "priors.body_part"), ("at_most = 1\nold = true", "priors.old")],
)  # fmt: skip
def test_declarations_that_are_wrong(tmp_path: Path, table: str, problem: str) -> None:
    folder = copytree(FAKES / "growth", tmp_path / "growth")
    text = (folder / "model.toml").read_text()
    begin, end = text.index("[priors]"), text.index("[runtime]")
    (folder / "model.toml").write_text(f"{text[:begin]}[priors]\n{table}\n{text[end:]}")
    assert tomllib.loads((folder / "model.toml").read_text())["priors"]
    with pytest.raises(InvalidModelPackage, match=problem.replace(".", r"\.")):
        check_package(folder)
