"""The quality gate in the real child: what is refused, by which name, and that every check is told to the node."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from node.app.predicting import predict
from node.config import Config
from node.domain.model import ModelDescription
from node.domain.result import Outcome
from node.errors import AinodeError, InvalidModelPackage, WeightsDigestMismatch
from node.infer.executor import SpawnedExecutor
from node.infer.quality.cloud import fitted, to_bytes
from node.infer.registry import check_package
from node.ports import InferenceReply, InferenceRequest
from tests import pictures
from tests.fakes.series import series, write
from tests.peers import REPOSITORY

FAKES = REPOSITORY / "tests" / "fakes" / "models"
RANDOM = np.random.default_rng(0)
# Of the fake's network the whole is the one layer: it gives the value less 100.
KNOWN = RANDOM.normal((60, 30), (5, 2), (200, 2)).astype(np.float32)
USUAL = np.clip(RANDOM.normal(160, 30, (16, 16)), 1, 254).astype(np.uint8)
FOREIGN = np.where(RANDOM.random((16, 16)) < 0.5, 250, 5).astype(np.uint8)


@pytest.fixture(scope="module")
def executor() -> Iterator[SpawnedExecutor]:
    made = SpawnedExecutor(threads=1)
    yield made
    made.close()


def package(folder: Path, weights: str = "") -> Path:
    """The fake for pictures with a file of its own that says what it was trained on."""
    made = folder / "bright_picture"
    shutil.copytree(FAKES / "bright_picture", made, ignore=shutil.ignore_patterns("__pycache__"))
    declared = tomllib.loads((made / "model.toml").read_text())["weights"]["sha256"]
    content = to_bytes(fitted(("",), KNOWN, 1), "bright_picture", weights or declared, len(KNOWN))
    (made / "ood.safetensors").write_bytes(content)
    with (made / "model.toml").open("a") as file:
        digest = hashlib.sha256(content).hexdigest()
        file.write(f'\n[out_of_distribution]\nfile = "ood.safetensors"\nsha256 = "{digest}"\nthreshold = 4.0\n')
    return made


def run(executor: SpawnedExecutor, model: ModelDescription, images: list[Dataset], folder: Path) -> InferenceReply:
    def go_on() -> AinodeError | None:
        return None

    with disable_value_validation():
        locations = tuple(pictures.whole(path) for path in pictures.save(folder, images))
    return executor.run(InferenceRequest(model, locations, "cpu", 120.0), go_on)


def failed(reply: InferenceReply) -> list[tuple[str, str]]:
    return [(one["name"], one["code"]) for one in reply.provenance["checks"] if one["passed"] is False]


def not_a_number(image: Dataset) -> Dataset:
    del image.RescaleSlope
    with disable_value_validation():
        image.RescaleSlope = "nan"
    return image


def test_a_usual_picture_passes_and_every_check_is_told(executor: SpawnedExecutor, tmp_path: Path) -> None:
    reply = run(executor, check_package(package(tmp_path)), [pictures.dx(USUAL)], tmp_path / "in")
    assert reply.result.outcome is Outcome.POSITIVE
    told = {one["name"]: one for one in reply.provenance["checks"]}
    assert list(told) == [
        "readable images", "burned-in annotation", "picture size", "contrast", "saturation", "colour",
        "the model's own check of its input", "out of distribution",
    ]  # fmt: skip
    assert not failed(reply)
    score = told["out of distribution"]
    assert score["passed"]
    assert (score["limit"], score["image"]) == (4.0, "image 1 of 1 (Instance Number 1)")
    assert 0 < score["value"] < 4


@pytest.mark.parametrize(
    ("image", "name", "code", "words"),
    [
        (pictures.dx(np.full((16, 16), 9, np.uint8)), "contrast", "ConstantImage", "every pixel has the value 9"),
        (pictures.dx(USUAL, BurnedInAnnotation="YES"), "burned-in annotation", "BurnedInAnnotation", "text burned"),
        (not_a_number(pictures.dx(USUAL)), "readable images", "UnsupportedImage", "rescale slope nan"),
        (pictures.dx(FOREIGN), "out of distribution", "OutOfDistribution", "differ too much from those"),
    ],
)
def test_what_cannot_be_judged_has_a_name(
    executor: SpawnedExecutor, tmp_path: Path, image: Dataset, name: str, code: str, words: str
) -> None:
    reply = run(executor, check_package(package(tmp_path)), [image], tmp_path / "in")
    assert reply.result.outcome is Outcome.NOT_EVALUABLE
    assert reply.result.reason is not None
    assert reply.result.reason.code == code
    assert words in reply.result.reason.text
    assert failed(reply) == [(name, code)]


def test_a_foreign_picture_beside_a_usual_one_leaves_that_one_judged(executor: SpawnedExecutor, tmp_path: Path) -> None:
    images = [pictures.dx(USUAL, 1), pictures.dx(FOREIGN, 2)]
    reply = run(executor, check_package(package(tmp_path)), images, tmp_path / "in")
    assert reply.result.outcome is Outcome.POSITIVE
    assert [one["reason"] for one in reply.provenance["pictures"]] == [None, "OutOfDistribution"]


def test_a_package_without_the_file_says_so(executor: SpawnedExecutor, tmp_path: Path) -> None:
    reply = run(executor, check_package(FAKES / "bright_picture"), [pictures.dx(FOREIGN)], tmp_path / "in")
    assert reply.result.outcome is not Outcome.NOT_EVALUABLE
    last = reply.provenance["checks"][-1]
    assert (last["name"], last["passed"], last["wanted"]) == ("out of distribution", None, "not declared")


def test_a_series_with_a_gap_tells_what_passed_before(executor: SpawnedExecutor, tmp_path: Path) -> None:
    images = write(tmp_path / "in", series([0, 1, 3, 4]))
    reply = executor.run(InferenceRequest(check_package(FAKES / "threshold"), images, "cpu", 120.0), lambda: None)
    assert reply.result.reason is not None
    assert reply.result.reason.code == "MissingSlices"
    assert failed(reply) == [("missing slices", "MissingSlices")]
    assert [one["name"] for one in reply.provenance["checks"] if one["passed"]][-1] == "duplicated slices"


def test_a_file_of_other_weights_is_refused(executor: SpawnedExecutor, tmp_path: Path) -> None:
    model = check_package(package(tmp_path, weights="0" * 64))
    with pytest.raises(WeightsDigestMismatch, match="other weights"):
        run(executor, model, [pictures.dx(USUAL)], tmp_path / "in")


def test_a_file_that_changed_or_is_gone(tmp_path: Path) -> None:
    made = package(tmp_path)
    with (made / "ood.safetensors").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(WeightsDigestMismatch, match=r"ood\.safetensors has the SHA-256"):
        check_package(made)
    (made / "ood.safetensors").unlink()
    with pytest.raises(InvalidModelPackage, match=r"out_of_distribution\.file: ood\.safetensors is not there"):
        check_package(made)


def test_predict_tells_the_checks(tmp_path: Path) -> None:
    pictures.save(tmp_path / "study", [pictures.dx(USUAL, age="081Y")])
    config = Config.model_validate({"models": {"path": (FAKES,), "enabled": ("bright_picture",)}})
    document = predict(config, "bright_picture", tmp_path / "study", tmp_path / "out", "cpu")
    (check,) = document["checks"]
    assert (check["code"], check["passed"]) == ("PatientAgeOutsideLimits", False)
    assert "81 years" in check["found"]
