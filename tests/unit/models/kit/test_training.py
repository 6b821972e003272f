"""The training loop on tiny pictures: it learns, resumes bit for bit, and keeps good weights when it must stop."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.kit.augment import compose
from models.kit.cases import Case
from models.kit.task import Array, Settings, Task
from models.kit.training import epoch, loop
from models.kit.training.epoch import learning_rate_factor
from models.kit.training.loop import finished, kept_epoch, limited, main, train
from models.kit.training.losses import cross_entropy, loss_of, soft_dice_loss
from models.kit.training.samples import read_samples
from models.kit.training.scores import dice, mean_dice, roc_auc
from models.kit.training.state import Epoch, new_state, set_dropout, update_average
from models.kit.training.weights import DivergedError, load_weights, save_weights
from tests.unit.models.kit import shapes

CPU = torch.device("cpu")
WEIGHTS = "weights.safetensors"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.write(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of few steps, where nothing is to be learned."""
    if "learns" not in request.node.name:
        monkeypatch.setattr(epoch, "MINIMUM_STEPS", 3)


def metrics(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return content


def epochs_of(out: Path) -> list[dict[str, Any]]:
    """The history without what the clock says."""
    return [{**one, "seconds": None} for one in metrics(out)["history"]]


def run(task: Task, data: Path, out: Path, stop_after: int = 0, limit: int = 0, **settings: Any) -> Path:
    train(task, data, out, replace(task.settings, **settings), CPU, limit, stop_after)
    return out


def poisoned(task: Task, after: int) -> Task:
    """The task, whose augmentation gives one picture of nothing but NaN after ``after`` good ones."""
    left = [after]

    def augment(image: Tensor, mask: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        left[0] -= 1
        return (torch.full_like(image, math.nan) if left[0] < 0 else image), mask

    return replace(task, augment=augment)


@pytest.mark.parametrize("task", [shapes.CLASSIFICATION, shapes.SEGMENTATION], ids=lambda task: task.id)
def test_it_learns_and_leaves_what_it_promises(task: Task, data: Path, tmp_path: Path) -> None:
    run(task, data, tmp_path)
    found = metrics(tmp_path)
    losses = [one["loss"] for one in found["history"]]
    assert losses[-1] < 0.6 * losses[0]
    score = found["validation"]["dice" if task.kind == "segmentation" else "auc"]
    assert score > 0.9
    assert found["settings"]["learning_rate"] == task.settings.learning_rate
    assert found["epochs_done"] == found["kept_epoch"] == 4
    assert found["training_cases"] + found["validation_cases"] < len(task.listing(data).cases)
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*.partial"))
    load_weights(task.network(), tmp_path / WEIGHTS)


def test_a_resumed_run_equals_an_uninterrupted_one(data: Path, tmp_path: Path) -> None:
    task = replace(shapes.SEGMENTATION, augment=compose(mirror=(0, 1), rotation=20, noise=0.2))
    whole = run(task, data, tmp_path / "whole", dropout=0.5)
    parts = run(task, data, tmp_path / "parts", stop_after=1, dropout=0.5)
    assert metrics(parts)["epochs_done"] == 1
    torch.manual_seed(99)
    run(task, data, parts, stop_after=3, dropout=0.5)
    run(task, data, parts, dropout=0.5)
    assert (parts / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert epochs_of(parts) == epochs_of(whole)


def test_a_run_that_was_killed_within_an_epoch_goes_on(data: Path, tmp_path: Path) -> None:
    task = shapes.CLASSIFICATION
    whole = run(task, data, tmp_path / "whole")
    calls = [0]

    def killed(image: Tensor, mask: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        calls[0] += 1
        if calls[0] > 2.5 * epoch.MINIMUM_STEPS * task.settings.batch:
            raise KeyboardInterrupt
        return image, mask

    with pytest.raises(KeyboardInterrupt):
        run(replace(task, augment=killed), data, tmp_path / "killed")
    run(task, data, tmp_path / "killed")
    assert (tmp_path / "killed" / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_the_seed_decides(data: Path, tmp_path: Path) -> None:
    first, again, other = (
        run(shapes.CLASSIFICATION, data, tmp_path / name, stop_after=1, seed=seed)
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert (first / WEIGHTS).read_bytes() == (again / WEIGHTS).read_bytes()
    assert (first / WEIGHTS).read_bytes() != (other / WEIGHTS).read_bytes()
    assert (first / "split.json").read_bytes() == (other / "split.json").read_bytes()


def test_a_checkpoint_of_another_run_is_refused(data: Path, tmp_path: Path) -> None:
    run(shapes.CLASSIFICATION, data, tmp_path, stop_after=1, limit=8)
    with pytest.raises(ValueError, match="other settings or cases"):
        run(shapes.CLASSIFICATION, data, tmp_path, stop_after=1, limit=8, weight_decay=0.5)
    with pytest.raises(ValueError, match="other settings or cases"):
        run(shapes.CLASSIFICATION, data, tmp_path, stop_after=1, limit=6)


def test_nan_stops_with_the_last_good_weights(data: Path, tmp_path: Path) -> None:
    run(shapes.CLASSIFICATION, data, tmp_path, stop_after=2)
    good = (tmp_path / WEIGHTS).read_bytes()
    with pytest.raises(DivergedError, match="loss is nan"):
        run(poisoned(shapes.CLASSIFICATION, 12), data, tmp_path)
    assert (tmp_path / WEIGHTS).read_bytes() == good
    found = metrics(tmp_path)
    assert found["diverged"] == "the loss is nan"
    assert found["epochs_done"] == 2
    assert found["validation"]["auc"] is not None


def test_nan_in_the_first_epoch_leaves_finite_weights(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        run(shapes.CLASSIFICATION, data, tmp_path, learning_rate=1e30)
    tensors = load_file(tmp_path / WEIGHTS)
    assert all(bool(torch.isfinite(value).all()) for value in tensors.values())
    assert metrics(tmp_path)["epochs_done"] == 0


def test_weights_that_are_not_finite_are_never_written(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    save_weights(network, tmp_path / WEIGHTS)
    good = (tmp_path / WEIGHTS).read_bytes()
    with torch.no_grad():
        network.weight[0, 0] = torch.inf
    with pytest.raises(DivergedError, match="weight"):
        save_weights(network, tmp_path / WEIGHTS)
    assert (tmp_path / WEIGHTS).read_bytes() == good


def test_bf16_halves_the_file_and_keeps_the_function(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(8, 64, 3), nn.BatchNorm2d(64)).eval()
    sizes = []
    for storage in ("fp32", "bf16"):
        save_weights(network, tmp_path / storage, storage)
        sizes.append((tmp_path / storage).stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]
    read = nn.Sequential(nn.Conv2d(8, 64, 3), nn.BatchNorm2d(64)).eval()
    load_weights(read, tmp_path / "bf16")
    x = torch.randn(2, 8, 9, 9)
    torch.testing.assert_close(read(x), network(x), atol=0.02, rtol=0.02)
    assert next(read.parameters()).dtype == torch.float32


def test_accumulated_batches_make_one_larger_batch(data: Path, tmp_path: Path) -> None:
    options = {"dropout": 0.0, "stop_after": 2, "class_weights": (1.0, 3.0), "label_smoothing": 0.1}
    whole = run(shapes.CLASSIFICATION, data, tmp_path / "whole", batch=8, **options)
    parts = run(shapes.CLASSIFICATION, data, tmp_path / "parts", batch=2, accumulate=4, **options)
    assert epochs_of(parts)[-1]["loss"] == pytest.approx(epochs_of(whole)[-1]["loss"], rel=1e-3)
    wanted = load_file(whole / WEIGHTS)
    for name, value in load_file(parts / WEIGHTS).items():
        torch.testing.assert_close(value, wanted[name], atol=2e-3, rtol=0)


def test_patience_ends_early_and_keeps_the_best(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    scores = iter([0.5, 0.8, 0.7, 0.8, 0.6, 0.9])

    def scripted(bench: object, network: nn.Module) -> tuple[float, float]:
        if (tmp_path / WEIGHTS).exists():
            kept.append((tmp_path / WEIGHTS).read_bytes())
        return 1.0, next(scores)

    monkeypatch.setattr(loop, "validate", scripted)
    run(shapes.CLASSIFICATION, data, tmp_path, epochs=20, patience=3)
    found = metrics(tmp_path)
    assert (found["epochs_done"], found["kept_epoch"]) == (5, 2)
    # Seen before epoch 3 is judged: the weights of epoch 2, which stay.
    assert (tmp_path / WEIGHTS).read_bytes() == kept[2] != kept[1]


def test_patience_needs_a_score(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="validation cases"):
        run(replace(shapes.CLASSIFICATION, parts=(0.8, 0.0, 0.2)), data, tmp_path / "none", patience=2)
    with pytest.raises(ValueError, match="not defined"):
        run(shapes.CLASSIFICATION, data, tmp_path / "one", patience=2, limit=1)


def test_schedule_of_epochs() -> None:
    history = [Epoch(1.0, 1.0, score, 0.1, 0.0) for score in (0.5, 0.7, 0.6, 0.6)]
    assert kept_epoch(history, Settings(patience=2)) == 2
    assert kept_epoch(history, Settings()) == 4
    assert finished(history, Settings(epochs=9, patience=2))
    assert not finished(history, Settings(epochs=9, patience=3))
    assert finished(history, Settings(epochs=4))
    assert finished(history, Settings(epochs=9), stop_after=4)
    assert not finished(history, Settings(epochs=9), stop_after=5)


def test_learning_rate_rises_then_falls() -> None:
    factors = [learning_rate_factor(step, 2000) for step in range(2000)]
    assert max(factors) == pytest.approx(1)
    assert factors.index(max(factors)) in {99, 100}
    assert factors[0] == pytest.approx(0.01)
    assert factors[-1] == pytest.approx(0.01, abs=1e-3)
    assert all(math.isfinite(learning_rate_factor(step, 1)) for step in range(3))


def test_dropout_of_the_settings_is_that_of_the_network() -> None:
    network = nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Dropout2d(0.3)))
    set_dropout(network, 0.25)
    assert [module.p for module in network.modules() if isinstance(module, (nn.Dropout, nn.Dropout2d))] == [0.25, 0.25]


def test_average_lags_behind_and_copies_buffers() -> None:
    task = replace(shapes.CLASSIFICATION, network=lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
    state = new_state(task, task.settings, CPU)
    before = state.average[0].weight.clone()  # type: ignore[index, union-attr]
    with torch.no_grad():
        state.network[0].weight += 1  # type: ignore[index, union-attr]
        state.network[1].running_mean += 2  # type: ignore[index, operator, union-attr]
    update_average(state, 0.9, 10_000)
    torch.testing.assert_close(state.average[0].weight, before + 0.1)  # type: ignore[index, union-attr]
    assert state.average[1].running_mean.tolist() == [2, 2]  # type: ignore[index, operator, union-attr]
    update_average(state, 0.0, 10_000)
    torch.testing.assert_close(state.average[0].weight, before + 1)  # type: ignore[index, union-attr]


def test_bf16_arithmetic_learns_too(data: Path, tmp_path: Path) -> None:
    run(shapes.CLASSIFICATION, data, tmp_path, precision="bf16")
    losses = [one["loss"] for one in metrics(tmp_path)["history"]]
    assert losses[-1] < 0.7 * losses[0]


def test_what_cannot_be_read_is_passed_over_and_listed(data: Path, tmp_path: Path) -> None:
    def broken(case: Case) -> Array:
        if case.id == "003":
            raise ValueError("a defect")
        return np.full((1, 8, 8), np.nan, np.float32) if case.id == "004" else shapes.image(case)

    cases = shapes.listing(data).cases[:8]
    task = replace(shapes.CLASSIFICATION, image=broken)
    samples, problems = read_samples(task, [*cases, replace(cases[0], id="100", label=7)])
    assert [sample.id for sample in samples] == ["000", "001", "002", "005", "006", "007"]
    assert [problem.path for problem in problems] == ["003", "004", "100"]
    assert "a defect" in problems[0].reason
    assert "not finite" in problems[1].reason
    run(replace(task, parts=(0.9, 0.0, 0.1)), data, tmp_path, stop_after=1)
    assert {"003", "004"} <= {problem["path"] for problem in metrics(tmp_path)["problems"]}


def test_masks_that_cannot_be(data: Path) -> None:
    cases = shapes.listing(data).cases[1:2]
    small = replace(shapes.SEGMENTATION, mask=lambda case: np.zeros((3, 3), np.uint8))
    unknown = replace(shapes.SEGMENTATION, mask=lambda case: np.full((shapes.SIDE, shapes.SIDE), 2, np.uint8))
    without = replace(shapes.SEGMENTATION, mask=None)
    for task, reason in ((small, "shape"), (unknown, "class 2"), (without, r"Task.mask")):
        samples, problems = read_samples(task, cases)
        assert not samples
        assert reason in problems[0].reason


def test_large_values_stay_exact_enough(data: Path) -> None:
    task = replace(shapes.CLASSIFICATION, image=lambda case: np.full((1, 4, 4), 40_000.0, np.float32))
    (sample,), _ = read_samples(task, shapes.listing(data).cases[:1])
    assert sample.image.dtype == torch.float32
    assert float(sample.image.max()) == 40_000.0


def test_pictures_of_several_sizes_need_one_training_size(data: Path, tmp_path: Path) -> None:
    def cropped(case: Case) -> Array:
        return shapes.image(case)[:, : 16 + int(case.id) % 3 * 4]

    task = replace(shapes.CLASSIFICATION, image=cropped)
    with pytest.raises(ValueError, match="several sizes"):
        run(task, data, tmp_path / "mixed", stop_after=1)
    run(replace(task, augment=compose(size=(16, 16))), data, tmp_path / "one", stop_after=1)
    assert metrics(tmp_path / "one")["validation"]["auc"] is not None


def test_limit_takes_the_classes_in_turn(data: Path) -> None:
    cases = sorted(shapes.listing(data).cases, key=lambda case: case.label)
    assert [case.label for case in limited(cases, 4)] == [0, 1, 0, 1]
    assert limited(cases, 0) == cases


def test_class_weights_for_each_class(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="class weights"):
        run(shapes.CLASSIFICATION, data, tmp_path, class_weights=(1.0,))


def test_losses_by_hand() -> None:
    logits, truth = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]]), torch.tensor([0, 1])
    assert float(cross_entropy(logits, truth, None, 0.0)) == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)
    weighted = float(cross_entropy(logits, truth, torch.tensor([1.0, 3.0]), 0.0))
    assert weighted == pytest.approx((math.log(2) + 3 * math.log(4 / 3)) / 2)
    sure = torch.zeros(1, 2, 2, 2)
    mask = torch.tensor([[[0, 1], [0, 0]]])
    sure[0, 1] = 100 * (2 * mask[0] - 1)
    assert float(soft_dice_loss(sure, mask)) == pytest.approx(0, abs=1e-5)
    assert float(soft_dice_loss(-sure, mask)) == pytest.approx(1 - 1 / 5, abs=1e-5)
    # Of two images the one is right and has 3 pixels, of the other's one nothing is found: each weighs as much.
    large = torch.tensor([[[1, 1], [1, 0]]])
    both, found = torch.cat((large, mask)), torch.cat((100.0 * (2 * large - 1), torch.full((1, 2, 2), -100.0)))
    logits = torch.stack((torch.zeros_like(found), found), dim=1)
    assert float(soft_dice_loss(logits, both)) == pytest.approx(1 - 7 / 8, abs=1e-5)
    assert float(soft_dice_loss(logits, both, by_image=True)) == pytest.approx((0 + 1 - 1 / 2) / 2, abs=1e-5)
    task, settings = shapes.SEGMENTATION, shapes.SEGMENTATION.settings
    whole, each = (
        float(loss_of(task, replace(settings, dice_over=over), torch.device("cpu"))(logits, both))
        for over in ("batch", "image")
    )
    assert each - whole == pytest.approx(1 / 4 - 1 / 8, abs=1e-5)


def test_scores_by_hand() -> None:
    positive = np.array([True, False, True, False])
    assert roc_auc(positive, np.array([0.9, 0.1, 0.4, 0.4])) == pytest.approx(3.5 / 4)
    assert math.isnan(roc_auc(positive[:1], np.array([0.3])))
    truth, found = np.array([[0, 1, 1, 2]], np.uint8), np.array([[0, 1, 0, 0]], np.uint8)
    assert dice(truth, found, 3) == pytest.approx((2 / 3 + 0) / 2)
    assert math.isnan(dice(truth * 0, truth * 0, 3))
    assert mean_dice([0.5, math.nan, 1.0]) == 0.75
    assert math.isnan(mean_dice([math.nan]))


def test_command_line(data: Path, tmp_path: Path) -> None:
    options = ["--data", str(data), "--out", str(tmp_path), "--epochs", "2", "--seed", "5", "--limit", "6"]
    main(shapes.CLASSIFICATION, [*options, "--device", "cpu", "--threads", "1", "--stop-after", "1"])
    assert metrics(tmp_path)["epochs_done"] == 1
    main(shapes.CLASSIFICATION, [*options, "--device", "cpu", "--threads", "1"])
    found = metrics(tmp_path)
    assert (found["epochs_done"], found["settings"]["seed"], found["training_cases"]) == (2, 5, 6)
    log = (tmp_path / "train.log").read_text()
    assert "epoch 1/2" in log
    assert "resumed after epoch 1" in log
    assert "epoch 2/2" in log
