"""A folder with everything wrong in it, through the commands: nothing is passed over silently."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from models.kit import commands
from models.kit.commands import Where
from models.kit.data.prepare import prepare
from models.kit.data.splits import PARTS
from models.kit.evaluation.evaluate import evaluate
from models.kit.networks.residual import ResidualClassifier
from models.kit.task import Settings, Task
from models.kit.training import epoch
from models.kit.training.loop import train
from models.kit.training.weights import DivergedError
from node.errors import WeightsDigestMismatch
from tests.unit.models.kit.pictures import save, textured
from tests.unit.models.kit.tiny_task import tiny_task, write_set

CPU = torch.device("cpu")
REASONS = {
    "set/nobody_0.png": "unlabelled",
    "set/well/notes.txt": "no picture by its name or content",
    "set/well/cut_0": "broken",
    "set/well/zero_0": "broken",
    "set/ill/noise_0": "broken",
    "set/ill/frames_0": "broken",
    "set/well/flat_0": "empty",
    "set/well/twin_0": "twin",
    "set/well/torn_0": "conflicting",
    "set/ill/torn_0": "conflicting",
}
ODD = ("set/ill/turned_0", "set/ill/deep_0", "set/ill/colour_0")


def spoil(data: Path) -> None:
    """One of each kind of bad or odd input beside the good pictures."""
    well, ill = data / "set" / "well", data / "set" / "ill"
    save(textured(500), well / "cut_0.png")
    (well / "cut_0.png").write_bytes((well / "cut_0.png").read_bytes()[:300])
    (well / "zero_0.jpg").touch()
    (ill / "noise_0.jpg").write_bytes(np.random.default_rng(0).bytes(4000))
    frames = [Image.fromarray(textured(seed).astype(np.uint8)) for seed in (900, 901)]
    frames[0].save(ill / "frames_0.tif", save_all=True, append_images=frames[1:])
    save(np.full((40, 40), 128), well / "flat_0.png")
    save(textured(600), data / "set" / "nobody_0.png")
    (well / "notes.txt").write_text("?")
    save(textured(0, 48, 40), well / "twin_0.bmp")
    save(textured(700), well / "torn_0.png")
    save(textured(700), ill / "torn_0.png")
    exif = Image.Exif()
    exif[274] = 6
    save(textured(800, 40, 60), ill / "turned_0.png", exif=exif)
    save((textured(801) * 257).astype(np.uint16), ill / "deep_0.png")
    save(np.stack([textured(seed) for seed in (802, 803, 804)], axis=2), ill / "colour_0.png")


def network() -> nn.Module:
    return ResidualClassifier(1, 2, 4, (1, 1))


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setattr(epoch, "MINIMUM_STEPS", 3)
    return replace(tiny_task(), network=network, settings=Settings(epochs=1, batch=8))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_set(tmp_path / "data", 24)
    spoil(tmp_path / "data")
    return tmp_path / "data"


def told(problems: list[dict[str, str]]) -> dict[str, str]:
    return {one["path"]: one["reason"].split(":")[0] for one in problems}


def metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return found


def test_training_and_evaluation_list_what_they_pass_over(
    task: Task, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    prepared = prepare(task, data, out)
    # What breaks after the preparation.
    lost = {name: prepared.part(name)[0] for name in ("train", "validation", "test")}
    lost["train"].image.unlink()
    for name in ("validation", "test"):
        lost[name].image.write_bytes(lost[name].image.read_bytes()[:200])
    with caplog.at_level("INFO"):
        train(task, data, out, task.settings, CPU)
    trained = metrics(out)
    broken = {lost["validation"].id: "UndecodablePixelData"}
    assert told(trained["problems"]) == REASONS | broken | {lost["train"].id: "ObjectMissing"}
    assert f"{len(trained['problems'])} problems" in caplog.text
    weights, folder = out / "weights.safetensors", out / "evaluation"
    found = evaluate(task, data, weights, folder, CPU, samples=5, baselines=False, prepared=out)
    listed = told(found["problems"])
    listed.pop("explanation", None)
    assert listed == REASONS | broken | {lost["test"].id: "UndecodablePixelData"}
    assert f"; {len(found['problems'])} problems" in (folder / "report.html").read_text()
    # Odd pictures are read, not passed over: colour, 16 bit, turned.
    assert {case.id for name in PARTS for case in prepared.part(name)} >= set(ODD)
    read = trained["training_cases"] + trained["validation_cases"] + found["parts"]["test"]["cases"]
    assert read == 48 + len(ODD) - len(lost)


def test_the_index_of_similar_cases_says_what_it_lacks(
    task: Task, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "load_task", lambda package: task)
    out = tmp_path / "out"
    prepared = prepare(task, data, out)
    first, second = prepared.part("train")[:2]
    first.image.unlink()
    train(task, data, out, task.settings, CPU)
    found = commands.similar(Where("breast_us", data, out, device="cpu"), second.image, 3)
    assert [one["path"] for one in found["problems"]] == [first.id]
    assert found["similar"][0]["case"] == second.id


def test_a_training_that_diverges_keeps_the_last_good_weights(
    task: Task, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    train(task, data, out, replace(task.settings, epochs=2), CPU, stop_after=1)
    good = (out / "weights.safetensors").read_bytes()
    genuine: Callable[..., Any] = epoch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(epoch.nn.utils, "clip_grad_norm_", lambda *given: genuine(*given) * torch.nan)
    with pytest.raises(DivergedError, match="a gradient is nan in epoch 2"):
        train(task, data, out, replace(task.settings, epochs=2), CPU)
    assert (out / "weights.safetensors").read_bytes() == good
    assert metrics(out)["diverged"].startswith("a gradient is nan")
    assert told(metrics(out)["problems"]) == REASONS


def test_weights_with_another_digest_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    genuine = Where("breast_us", tmp_path, tmp_path).weights_file()
    folder = tmp_path / "breast_us"
    folder.mkdir()
    for name in ("model.toml", "weights.safetensors"):
        shutil.copy(genuine.with_name(name), folder / name)
    monkeypatch.setattr(commands, "_folder", lambda package: folder)
    assert Where("breast_us", tmp_path, tmp_path).weights_file() == folder / "weights.safetensors"
    with (folder / "weights.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    with pytest.raises(WeightsDigestMismatch, match=r"not those of its model\.toml"):
        Where("breast_us", tmp_path, tmp_path).weights_file()
    # What somebody trained and names is theirs to measure.
    other = folder / "weights.safetensors"
    assert Where("breast_us", tmp_path, tmp_path, other).weights_file() == other
