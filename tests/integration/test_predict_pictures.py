"""Pictures from files to a report and pictures of heat maps, by the commands that a user has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from node.app.checking import check_package
from node.app.predicting import predict
from node.config import Config
from tests import pictures
from tests.fakes.inline_executor import InlineExecutor

FAKES = Path(__file__).parents[1] / "fakes" / "models"
BRIGHT = np.full((8, 10), 200, np.uint8)
BRIGHT[:4] = 50
BRIGHT[3] = 201


@pytest.fixture
def config() -> Config:
    return Config.model_validate({"models": {"path": (FAKES,), "enabled": ("bright_picture",)}})


def test_a_report_and_the_heat_map_over_its_image(tmp_path: Path, config: Config) -> None:
    pictures.save(tmp_path / "study", [pictures.dx(BRIGHT)])
    document = predict(config, "bright_picture", tmp_path / "study", tmp_path / "out", "cpu")
    assert (document["outcome"], document["reason"]) == ("POSITIVE", None)
    (finding,) = document["findings"]
    assert (finding["concept"], finding["present"]) == ("Bright", True)
    assert finding["probability"] == pytest.approx(5 / 8)
    assert finding["image"]["sop_instance_uid"] == str(pictures.dx(BRIGHT).SOPInstanceUID)
    (report,) = document["objects"]
    assert dcmread(report).Modality == "SR"
    (drawn,) = document["heat_maps"]
    pixels = np.asarray(Image.open(drawn))
    assert pixels.shape == (8, 10, 3)
    dark, bright = pixels[0, 0].tolist(), pixels[7, 0].tolist()
    assert dark[0] == dark[1] == dark[2] == 0, "nothing covers what the network did not look at"
    assert bright[0] > bright[2] + 100, "red and yellow where it did"


def test_a_negative_has_its_probability_and_no_heat_map(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.app.predicting.SpawnedExecutor", InlineExecutor)
    pictures.save(tmp_path / "study", [pictures.us(np.repeat((BRIGHT // 3)[..., None], 3, axis=2))])
    document = predict(config, "bright_picture", tmp_path / "study", tmp_path / "out", "cpu")
    assert (document["outcome"], document["heat_maps"]) == ("NEGATIVE", [])
    assert [(one["probability"], one["present"]) for one in document["findings"]] == [(0, False)]


@pytest.mark.parametrize(("age", "words"), [("081Y", "Patient age of 81 years"), ("", "patient age is not stated")])
def test_a_patient_of_another_age_is_not_evaluable(tmp_path: Path, config: Config, age: str, words: str) -> None:
    pictures.save(tmp_path / "study", [pictures.dx(BRIGHT, age=age)])
    document = predict(config, "bright_picture", tmp_path / "study", tmp_path / "out", "cpu")
    assert (document["outcome"], document["findings"], document["heat_maps"]) == ("NOT EVALUABLE", [], [])
    assert words in document["reason"]
    assert len(document["objects"]) == 1


def test_a_package_for_pictures_passes_its_check() -> None:
    report = check_package(FAKES / "bright_picture")
    assert report["ok"], report
    assert [step["detail"] for step in report["steps"]] == ["bright_picture 1.0.0", "POSITIVE"]
