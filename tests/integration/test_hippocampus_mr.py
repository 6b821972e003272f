"""The shipped model on real cases it never saw, and its training script on a few."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.hippocampus_mr import data, evaluate, train
from models.kit import commands
from models.kit.commands import Where
from tests.peers import REPOSITORY, data_dir

PACKAGE = REPOSITORY / "models" / "hippocampus_mr"
WEIGHTS = PACKAGE / "weights.safetensors"
SMALL_MB = 6

# Trainings: minutes, where other tests have the cores too.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than they bring where cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_no_case_is_in_two_folds_and_none_of_the_test_fold_is_trained_on() -> None:
    folds = data.read_folds()
    every = [case for fold in folds for case in fold]
    assert len(every) == len(set(every)) == 220
    assert sorted(len(fold) for fold in folds) == [44] * 5
    assert folds == data.assign_folds(data.case_ids(data_dir("hippocampus-msd"))), "the seed deals them again"
    training, validation, test = data.split(0, 30)
    assert not set(training) & set(validation)
    assert not set(test) & (set(training) | set(validation))
    assert test == folds[0]


def test_weights_are_small_and_finite() -> None:
    assert WEIGHTS.stat().st_size < SMALL_MB * 1_000_000
    assert all(bool(torch.isfinite(tensor).all()) for tensor in load_file(str(WEIGHTS)).values())


@pytest.mark.parametrize("wrapping", ["faithful", "naive"])
def test_cases_it_never_saw_however_they_were_wrapped(wrapping: str) -> None:
    """Three cases of the test fold; the model card has all 44."""
    folder = data_dir("hippocampus-msd")
    module = evaluate.load_network(WEIGHTS, torch.device("cpu"))
    _, _, test = data.split(0, 0)
    scores = evaluate.score_cases(module, folder, test[:3], torch.device("cpu"), (wrapping,))
    for score in scores:
        assert min(score.dice.values()) > 0.75, score
        for name, volume_ml in score.volume_ml.items():
            assert volume_ml == pytest.approx(score.expert_ml[name], rel=0.35), score


def test_a_short_training_lowers_the_loss_and_resumes(tmp_path: Path) -> None:
    folder = data_dir("hippocampus-msd")
    command = [sys.executable, "-m", "models.hippocampus_mr.train", "--data", str(folder), "--out", str(tmp_path)]
    command += ["--limit", "6", "--epochs", "3", "--device", "cpu", "--threads", "1"]
    for last in ("2", "3"):
        done = subprocess.run(
            [*command, "--stop-after", last], cwd=REPOSITORY, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, done.stderr
        losses = json.loads((tmp_path / "metrics.json").read_text())["losses"]
        assert len(losses) == int(last)
        assert losses[-1] < losses[0]
    assert "resumed after epoch 2" in done.stderr
    assert (tmp_path / "weights.safetensors").stat().st_size < SMALL_MB * 1_000_000
    assert (tmp_path / "learning_curve.png").stat().st_size > 0


def test_a_training_that_diverges_stops_with_the_last_good_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss becomes NaN in the second epoch: the weights of the first stay."""
    folder = data_dir("hippocampus-msd")
    settings = train.Settings(
        epochs=2, fold=0, validation=0, limit=4, seed=0, mirror="lr", batch=2, learning_rate=2e-3, weight_decay=1e-2,
        ema=0.9, patch=(32, 48, 32), whole_from=1.0,
    )  # fmt: skip
    cpu = torch.device("cpu")
    train.run(folder, tmp_path, settings, cpu, None, 1)
    good = load_file(str(tmp_path / "weights.safetensors"))
    real = train.segmentation_loss
    monkeypatch.setattr(train, "segmentation_loss", lambda logits, truth: real(logits, truth) * float("nan"))
    with pytest.raises(train.DivergedError, match="epoch 2"):
        train.run(folder, tmp_path, settings, cpu, None, 2)
    kept = load_file(str(tmp_path / "weights.safetensors"))
    assert good.keys() == kept.keys()
    assert all(torch.equal(good[name], kept[name]) for name in good)


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    """One changed number is another model, and its digest says so."""
    package = tmp_path / "hippocampus_mr"
    shutil.copytree(PACKAGE, package)
    tensors = load_file(str(WEIGHTS))
    name = next(iter(tensors))
    tensors[name] = tensors[name] + 1
    save_file(tensors, package / "weights.safetensors")
    done = subprocess.run(
        [sys.executable, "-m", "node", "models", "check", str(package), "--json"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["steps"][0]["name"] == "WeightsDigestMismatch"


def test_the_common_command_writes_its_report(tmp_path: Path) -> None:
    _, validation, test = data.split(0, 30)
    for kind in ("images", "labels"):
        (tmp_path / data.DATASET / kind).mkdir(parents=True)
        for case in (validation[0], test[0]):
            file = data_dir("hippocampus-msd") / kind / f"{case}.nii.gz"
            shutil.copy(file, tmp_path / data.DATASET / kind)
    found = commands.evaluate(Where("hippocampus_mr", tmp_path, tmp_path / "out", device="cpu"), baselines=False)
    assert found["parts"]["test"]["cases"] == 1
    assert found["froc"] is None, "a hippocampus is nothing to be found"
    for wrapping, structures in found["on_the_node"]["wrappings"].items():
        for name, figures in structures.items():
            assert figures["dice"]["value"] > 0.75, (wrapping, name)
            # The network's own output and what the node makes of it differ by little.
            assert figures["dice"]["value"] == pytest.approx(found["structures"][name]["dice"]["value"], abs=0.02)
    folder = tmp_path / "out" / "evaluation"
    page = (folder / "report.html").read_text()
    assert "untransposed (array as it is, called axial LPS)" in page
    assert "FROC" not in page
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert (folder / "cases.png").read_bytes().startswith(b"\x89PNG")
    assert "surface Dice at 1 mm" in (folder / "card_table.md").read_text()
