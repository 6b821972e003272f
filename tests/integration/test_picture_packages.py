"""The packages for pictures on real images that they never saw, and their training on a few."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydicom import dcmread
from safetensors.torch import load_file

from models.kit.cases import Case
from models.kit.data.prepare import prepare
from models.kit.data.splits import read_split
from models.kit.task import Task, load_task
from models.kit.training.loop import train
from node.infer.pictures import read_file, read_pictures
from node.infer.registry import check_package
from tests.peers import REPOSITORY, data_dir
from tests.pictures import KINDS, save, whole

PACKAGES = ("chest_xray_pneumonia", "breast_us", "retinopathy_fundus")
WRAPPED_AS = {"chest_xray_pneumonia": "DX", "breast_us": "US", "retinopathy_fundus": "OP"}
# Clear cases of the test parts.
CLEAR: dict[str, tuple[str, str]] = {
    "chest_xray_pneumonia": (
        "chest-xray-pneumonia-224/train/PNEUMONIA/person825_bacteria_2736",
        "chest-xray-pneumonia-224/train/NORMAL/NORMAL2-IM-1310-0001",
    ),
    "breast_us": ("breast-us-busi/malignant/malignant (128)", "breast-us-busi/benign/benign (198)"),
    "retinopathy_fundus": ("fundus-dr-224/diabetic_retinopathy/10046_left", "fundus-dr-224/normal/2354_left"),
}
SMALL_MB = 6


def folder_of(package: str) -> Path:
    return REPOSITORY / "models" / package


def data_of(task: Task) -> Path:
    return data_dir(task.dataset[0]).parent


def code_of(package: str) -> ModuleType:
    return importlib.import_module(f"models.{package}.model")


def trained_task(package: str) -> Task:
    """What ``train.py`` trains: of an ensemble one member."""
    module = importlib.import_module(f"models.{package}.task")
    task: Task = getattr(module, "MEMBER", module.TASK)
    return task


def wrapped(package: str, case: str, folder: Path) -> Path:
    """A picture of the package's data as one DICOM image in ``folder``."""
    (file,) = data_of(load_task(package)).glob(f"{case}.*")
    image = KINDS[WRAPPED_AS[package]](np.asarray(Image.open(file)), study=Path(case).stem)
    return save(folder, [image])[0].parent


def predicted(package: str, study: Path, out: Path) -> dict[str, Any]:
    """What ``ainode models predict`` says, with the configuration that nobody changed."""
    command = [sys.executable, "-m", "node", "models", "predict", package, str(study), "--out", str(out), "--json"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AINODE_CONFIG")}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("package", PACKAGES)
def test_weights_are_small_and_finite_and_those_that_are_declared(package: str) -> None:
    check_package(folder_of(package))
    weights = folder_of(package) / "weights.safetensors"
    assert weights.stat().st_size < SMALL_MB * 1_000_000
    assert all(bool(torch.isfinite(tensor).all()) for tensor in load_file(str(weights)).values())


@pytest.mark.parametrize("package", PACKAGES)
def test_the_data_is_dealt_as_it_was_for_the_weights(package: str, tmp_path: Path) -> None:
    """Else a test case of the card could be one of the training."""
    task = load_task(package)
    prepared = prepare(task, data_of(task), tmp_path)
    assert prepared.split == read_split(folder_of(package) / "split.json")
    counted = [Counter(case.label for case in prepared.part(name)) for name in ("train", "validation", "test")]
    assert all(min(counts[label] for label in range(len(task.classes))) > 0 for counts in counted)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads that wait for each other are slow beside other tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("package", PACKAGES)
def test_a_short_training_lowers_the_loss(package: str, tmp_path: Path) -> None:
    task = trained_task(package)
    source = data_dir(task.dataset[0])
    for folder in (folder for folder in source.rglob("*") if folder.is_dir()):
        for file in sorted(file for file in folder.iterdir() if file.is_file())[:14]:
            copied = tmp_path / "data" / file.relative_to(source.parent)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copied)
    settings = replace(task.settings, epochs=3, batch=6, learning_rate=1e-3, dropout=0.0)
    train(task, tmp_path / "data", tmp_path / "out", settings, torch.device("cpu"))
    losses = [epoch["loss"] for epoch in json.loads((tmp_path / "out" / "metrics.json").read_text())["history"]]
    assert losses[-1] < losses[0], losses
    assert (tmp_path / "out" / "weights.safetensors").stat().st_size < SMALL_MB * 1_000_000


@pytest.mark.parametrize("package", PACKAGES)
def test_training_and_node_see_the_same_picture(package: str, tmp_path: Path) -> None:
    """The file as the kit reads it, and the same pixels as a DICOM image on the node."""
    task = load_task(package)
    case = CLEAR[package][0]
    study = wrapped(package, case, tmp_path)
    (picture,) = read_pictures(read_file(whole(study / "0000.dcm"), 0))
    (file,) = data_of(task).glob(f"{case}.*")
    trained_on = task.image(Case(case, file, 0, "one"))
    assert np.abs(code_of(package).preprocess(picture)[0].numpy() - trained_on).max() < 1e-5


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("outcome", ["POSITIVE", "NEGATIVE"])
def test_clear_cases_from_dicom_to_report(package: str, outcome: str, tmp_path: Path) -> None:
    case = CLEAR[package][0 if outcome == "POSITIVE" else 1]
    document = predicted(package, wrapped(package, case, tmp_path / "in"), tmp_path / "out")
    assert document["outcome"] == outcome
    first = document["findings"][0]
    assert first["concept"].lower() in ("pneumonia", "malignant", "diabetic retinopathy"), "the positive class first"
    assert first["probability"] > 0.8 if outcome == "POSITIVE" else first["probability"] < 0.2
    (report,) = (dcmread(path) for path in document["objects"] if Path(path).name.startswith("SR"))
    assert report.SeriesDescription.endswith(f"- {outcome} - unverified")
    notices = [item.TextValue for item in report.ContentSequence[-1].ContentSequence if "TextValue" in item]
    assert ("demonstration only" in notices) == (package == "retinopathy_fundus")


def test_the_same_radiograph_as_monochrome1_gives_the_same_result(tmp_path: Path) -> None:
    package = "chest_xray_pneumonia"
    (file,) = data_of(load_task(package)).glob(f"{CLEAR[package][0]}.*")
    dark = 255 - np.asarray(Image.open(file))
    study = save(tmp_path / "in", [KINDS["CR"](dark, PhotometricInterpretation="MONOCHROME1")])[0].parent
    (picture,) = read_pictures(read_file(whole(study / "0000.dcm"), 0))
    plain = np.asarray(Image.open(file)).astype(np.float32)
    assert np.abs(picture.array - picture.array.min() - (plain - plain.min())).max() < 1e-3


@pytest.mark.parametrize("age", ["045Y", ""])
def test_only_children_of_the_age_it_knows(age: str, tmp_path: Path) -> None:
    package = "chest_xray_pneumonia"
    (file,) = data_of(load_task(package)).glob(f"{CLEAR[package][0]}.*")
    study = save(tmp_path / "in", [KINDS["DX"](np.asarray(Image.open(file)), age=age)])[0].parent
    document = predicted(package, study, tmp_path / "out")
    assert document["outcome"] == "NOT EVALUABLE"
    assert "age" in document["reason"]
    assert document["findings"] == []
