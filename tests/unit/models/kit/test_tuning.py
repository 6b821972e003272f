"""A study over settings: it keeps apart what belongs together, prunes, and goes on as if it had not stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from torch import Tensor

from models.kit import tuning
from models.kit.augment import Augmentation, compose
from models.kit.networks.residual import ResidualClassifier
from models.kit.space import Space
from models.kit.task import Settings
from models.kit.training.epoch import Bench
from models.kit.training.state import State
from models.kit.training.weights import DivergedError
from models.kit.tuning import Plan, main, tune, varied
from tests.unit.models.kit import shapes

CPU = torch.device("cpu")
SPACE = Space(width=(4, 8), augmentation=(0.0, 2.0))
TASK = replace(shapes.CLASSIFICATION, augment=compose(noise=0.1), space=SPACE)
PLAN = Plan(SPACE, Settings(epochs=2, batch=8, ema=0.9), trials=6, folds=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.write(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Bench]:
    """Instead of a training, a score that the settings decide; returns what was to be trained."""
    benches: list[Bench] = []

    def train_epoch(bench: Bench, state: State, advance: object) -> float:
        benches.append(bench)
        return 1.0

    def validate(bench: Bench, network: object) -> tuple[float, float]:
        return 1.0, 1 - abs(bench.settings.dropout - 0.3)

    monkeypatch.setattr(tuning, "train_epoch", train_epoch)
    monkeypatch.setattr(tuning, "validate", validate)
    return benches


def read(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "tuning.json").read_text())
    return content


def test_best_trial_is_found_and_kept(data: Path, tmp_path: Path) -> None:
    found = tune(TASK, data, tmp_path, PLAN, CPU)
    assert json.loads(json.dumps(found)) == read(tmp_path)
    assert len(found["trials"]) == 6
    complete = [trial for trial in found["trials"] if trial["state"] == "COMPLETE"]
    assert found["best"]["score"] == max(trial["score"] for trial in complete)
    assert found["best"]["score"] == pytest.approx(1 - abs(found["best"]["dropout"] - 0.3))
    assert {"learning_rate", "weight_decay", "dropout", "width", "augmentation"} <= found["best"].keys()
    assert (tmp_path / "study.db").is_file()


def test_no_group_is_on_both_sides_and_none_of_the_test_part(data: Path, tmp_path: Path, quick: list[Bench]) -> None:
    tune(TASK, data, tmp_path, replace(PLAN, trials=1), CPU)
    split = json.loads((tmp_path / "split.json").read_text())
    group_of = {case.id: case.group for case in shapes.listing(data).cases}
    held = []
    for bench in (quick[0], quick[-1]):
        training, validation = ({group_of[sample.id] for sample in part} for part in (bench.training, bench.validation))
        assert training.isdisjoint(validation)
        assert training | validation == set(split["train"]) | set(split["validation"])
        held.append(validation)
    assert held[0].isdisjoint(held[1])


def test_a_study_goes_on_as_if_it_had_not_stopped(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tune(TASK, data, tmp_path / "whole", PLAN, CPU)
    calls = [0]
    genuine = tuning.validate

    def killed(bench: Bench, network: Any) -> tuple[float | None, float | None]:
        calls[0] += 1
        if calls[0] == 11:
            raise KeyboardInterrupt
        return genuine(bench, network)

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "validate", killed)
        with pytest.raises(KeyboardInterrupt):
            tune(TASK, data, tmp_path / "killed", PLAN, CPU)
    resumed = tune(TASK, data, tmp_path / "killed", PLAN, CPU)
    kept = [{**trial, "number": 0} for trial in resumed["trials"] if trial["state"] != "FAIL"]
    assert len(resumed["trials"]) == 7
    assert kept == [{**trial, "number": 0} for trial in whole["trials"]]
    longer = tune(TASK, data, tmp_path / "killed", replace(PLAN, trials=7), CPU)
    assert len(longer["trials"]) == 8


def test_another_study_is_not_gone_on_with(data: Path, tmp_path: Path) -> None:
    tune(TASK, data, tmp_path, replace(PLAN, trials=1), CPU)
    with pytest.raises(ValueError, match="another space"):
        tune(TASK, data, tmp_path, replace(PLAN, space=Space(dropout=(0.0, 0.1))), CPU)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_what_is_worse_is_pruned(
    pruner: tuning.Pruner, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(bench: Bench, network: object) -> tuple[float, float]:
        return 1.0, 1 - bench.settings.dropout

    monkeypatch.setattr(tuning, "validate", worse)
    found = tune(TASK, data, tmp_path, replace(PLAN, pruner=pruner, trials=14, settings=Settings(epochs=6)), CPU)
    pruned = [trial for trial in found["trials"] if trial["state"] == "PRUNED"]
    complete = [trial for trial in found["trials"] if trial["state"] == "COMPLETE"]
    assert pruned
    assert complete
    assert found["best"]["dropout"] == min(trial["dropout"] for trial in complete)


def test_a_trial_that_diverges_is_pruned(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverges(bench: Bench, state: State, advance: object) -> float:
        if bench.settings.dropout > 0.25:
            raise DivergedError("the loss is nan")
        return 1.0

    monkeypatch.setattr(tuning, "train_epoch", diverges)
    found = tune(TASK, data, tmp_path, PLAN, CPU)
    states = {trial["dropout"] > 0.25: trial["state"] for trial in found["trials"]}
    assert states[True] == "PRUNED"
    assert found["best"]["dropout"] <= 0.25


def test_no_score_is_an_error(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverges(bench: Bench, state: State, advance: object) -> float:
        raise DivergedError("the loss is nan")

    monkeypatch.setattr(tuning, "train_epoch", diverges)
    with pytest.raises(ValueError, match="none of 2 trials"):
        tune(TASK, data, tmp_path, replace(PLAN, trials=2), CPU)


def test_what_a_trial_draws_reaches_the_training() -> None:
    drawn = {"learning_rate": 0.5, "dropout": 0.4, "width": 4, "augmentation": 2.0}
    task, settings = varied(TASK, PLAN.settings, drawn)
    assert (settings.learning_rate, settings.dropout, settings.epochs) == (0.5, 0.4, 2)
    network = task.network()
    assert isinstance(network, ResidualClassifier)
    assert network.stem.out_channels == 4
    assert isinstance(task.augment, Augmentation)
    assert task.augment.noise == 0.2


def test_what_the_task_cannot_vary(data: Path, tmp_path: Path) -> None:
    fixed = replace(TASK, network=lambda: shapes.classifier(8))
    with pytest.raises(ValueError, match="keyword width"):
        tune(fixed, data, tmp_path, PLAN, CPU)

    def plain(image: Tensor, mask: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        return image, mask

    with pytest.raises(ValueError, match="scaled"):
        tune(replace(TASK, augment=plain), data, tmp_path, PLAN, CPU)


def test_command_line_trains_in_earnest(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options = ["--data", str(data), "--out", str(tmp_path), "--trials", "2", "--folds", "2", "--epochs", "1"]
    main(TASK, [*options, "--device", "cpu", "--threads", "1", "--seed", "1"])
    assert 0 <= read(tmp_path)["best"]["score"] <= 1
