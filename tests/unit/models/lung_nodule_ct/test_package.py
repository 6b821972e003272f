"""The lung nodule package, without data and with a network that knows nothing."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import interpolate

from models.kit.task import Task
from models.kit.training.epoch import train_epoch
from models.kit.training.loop import new_bench
from models.kit.training.samples import read_samples
from models.kit.training.state import new_state
from models.lung_nodule_ct import crops, fit_malignancy, malignancy, scan
from models.lung_nodule_ct.model import LARGEST_COUNT, candidates, found_lungs, network, postprocess, preprocess
from models.lung_nodule_ct.network import CHUNK, MEMBERS, OUTLINE, NoduleUNet, SecondLook
from models.lung_nodule_ct.task import ENLARGED, FOLDER, TASK, TRAINED
from models.lung_nodule_ct.train import train_members
from node.domain.result import Outcome
from node.domain.study import Grid, SopRef, Volume
from node.errors import InvalidModelOutput, UnsupportedImage
from node.infer.registry import BUILT_IN, check_package

SPACING = (2.5, 0.7, 0.7)
SHAPE = (20, 240, 300)
CENTRE = (10, 120, 90)


def chest() -> Volume:
    """Two lungs in a body of 210 mm, and a ball of 12 mm in the one on the left of the picture."""
    rng = np.random.default_rng(0)
    array = np.full(SHAPE, -1000.0, np.float32)
    array[:, 20:220, 20:280] = 40.0
    for columns in (slice(40, 140), slice(160, 260)):
        array[:, 50:190, columns] = -830 + rng.normal(0, 60, (SHAPE[0], 140, 100))
    array[ball(6.0)] = 30.0
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, SPACING[2]], [0, SPACING[1], 0], [SPACING[0], 0, 0]])
    affine[:3, 3] = (-100, -80, 500)
    refs = tuple(SopRef("1.2.840.10008.5.1.4.1.1.2", f"2.25.{number}") for number in range(SHAPE[0]))
    return Volume(array, Grid(SHAPE, affine, "2.25.9", refs), "CT")


def ball(radius_mm: float) -> np.ndarray:
    index = np.indices(SHAPE).astype(float)
    distance = sum(((index[axis] - CENTRE[axis]) * SPACING[axis]) ** 2 for axis in range(3))
    return np.asarray(distance < radius_mm**2)


def lungs() -> np.ndarray:
    """Those of ``chest``."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[:, 50:190, 40:140] = mask[:, 50:190, 160:260] = True
    return mask


def planned(given: Volume) -> tuple[np.ndarray, scan.Patches]:
    scaled = scan.scaled_slices(given.array, (SPACING[1], SPACING[2]))
    return scaled, scan.planned(scaled, found_lungs(given))


def answers(given: Volume, truth: np.ndarray) -> torch.Tensor:
    """Logits that outline ``truth`` in every patch."""
    _, patches = planned(given)
    cut = [truth[index, row : row + crops.SIZE, column : column + crops.SIZE] for index, row, column in patches.corners]
    probability = torch.from_numpy(np.where(np.stack(cut), 0.98, 0.01)).float()
    return torch.stack((1 - probability, probability)).log()[None]


def crop(size: int, brightness: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A crop of 128 pixels with a disc in the middle, and the number of readers who saw it."""
    rows, columns = np.mgrid[0:128, 0:128] - 64
    disc = rows**2 + columns**2 < size**2
    picture = np.random.default_rng(seed).uniform(20, 60, (128, 128))
    return np.where(disc, brightness, picture).astype(np.uint8), np.where(disc, 4, 0).astype(np.uint8)


def data_folder(folder: Path) -> Path:
    """Eight patients, the larger the nodule the worse its rating."""
    for name in ("img", "readers"):
        (folder / FOLDER / name).mkdir(parents=True)
    with (folder / FOLDER / "slices.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["pid", "nodule", "slice", "readers", "area", "malignancy", "x0", "y0", "x1", "y1", "is_max", "file"]
        )
        for number in range(8):
            picture, readers = crop(4 + number, 180.0, number)
            Image.fromarray(picture).save(folder / FOLDER / "img" / f"{number}.jpg", quality=95)
            Image.fromarray(readers).save(folder / FOLDER / "readers" / f"{number}.png")
            rows.writerow([f"P{number}", 0, 0, 4, 9, 1 + number // 2, 0, 0, 1, 1, 1, number])
    return folder


def test_the_package_is_whole_and_a_demonstration() -> None:
    model = check_package(BUILT_IN / "lung_nodule_ct")
    assert model.demonstration
    assert len(model.segments) == LARGEST_COUNT
    weights = load_file(f"{model.folder}/weights.safetensors")
    network().load_state_dict({key: value.float() for key, value in weights.items()})
    assert malignancy.read_linear().slopes.shape == (len(malignancy.NAMES),)


def test_a_stretch_of_the_values_changes_nothing() -> None:
    picture = np.random.default_rng(0).uniform(-1000, 400, (80, 80)).astype(np.float32)
    assert np.allclose(crops.normalised(picture), crops.normalised(picture * 0.18 + 130), atol=1e-4)
    assert not crops.normalised(np.full((80, 80), 7.0, np.float32)).any()


def test_windows_are_at_random_and_the_same_for_ever() -> None:
    places = {crops.corner(f"{FOLDER}/{number}", 128) for number in range(50)}
    assert len(places) > 45
    assert crops.corner(f"{FOLDER}/0001_n0_s02", 128) == crops.corner(f"{FOLDER}/0001_n0_s02", 128)
    assert all(0 <= edge <= 128 - crops.SIZE for place in places for edge in place)


def test_patches_join_to_what_they_were_cut_from() -> None:
    scaled, patches = planned(chest())
    cut = np.stack([scaled[k, r : r + crops.SIZE, c : c + crops.SIZE] for k, r, c in patches.corners])
    joined = scan.joined(cut, patches)
    assert np.allclose(joined[:, 60:180, 50:130], scaled[:, 60:180, 50:130], atol=0.1)


def test_every_pixel_of_the_lungs_lies_in_the_middle_of_a_patch_and_nothing_else_is_looked_at() -> None:
    scaled, patches = planned(chest())
    margin = (crops.SIZE - scan.STRIDE) // 2
    middles = np.zeros(scaled.shape, dtype=bool)
    for index, row, column in patches.corners:
        middles[index, row + margin : row + crops.SIZE - margin, column + margin : column + crops.SIZE - margin] = True
    assert middles[lungs()].all()
    single = np.zeros(SHAPE, dtype=bool)
    single[3, 120, 90] = True
    ((index, row, column),) = scan.planned(scaled, single).corners
    assert index == 3
    assert row + margin <= 120 < row + crops.SIZE - margin
    assert column + margin <= 90 < column + crops.SIZE - margin
    assert not scan.planned(scaled, np.zeros(SHAPE, dtype=bool)).corners.size


def test_a_nodule_is_found_measured_and_located() -> None:
    given, truth = chest(), ball(6.0)
    result = postprocess(answers(given, truth), given)
    assert result.outcome is Outcome.POSITIVE
    (finding,) = result.findings
    values = {one.concept.value: one.value for one in finding.measurements}
    assert values["118565006"] == pytest.approx(truth.sum() * np.prod(SPACING) / 1000, rel=0.15)
    assert values["103339001"] == pytest.approx(12.0, abs=1.5)
    assert 1 <= values["LIDC-MALIGNANCY"] <= 5
    place = given.affine @ np.array([*CENTRE, 1.0])
    assert [values[f"CENTRE-{axis}"] for axis in "XYZ"] == pytest.approx(place[:3], abs=0.5)


def test_one_slice_and_what_lies_outside_the_lungs_is_no_nodule() -> None:
    given = chest()
    flat = np.zeros(SHAPE, dtype=bool)
    flat[10, 110:125, 80:95] = True
    assert postprocess(answers(given, flat), given).outcome is Outcome.NEGATIVE
    outside = np.zeros(SHAPE, dtype=bool)
    outside[5:9, 25:35, 60:70] = True
    assert postprocess(answers(given, outside), given).outcome is Outcome.NEGATIVE
    assert candidates(np.zeros(SHAPE, np.float32), SPACING) == []


def test_bad_input_is_refused() -> None:
    given = chest()
    assert preprocess(given).shape[3:] == (crops.SIZE, crops.SIZE)
    with pytest.raises(UnsupportedImage, match="lung"):
        preprocess(Volume(np.full(SHAPE, 40.0, np.float32), given.grid, "CT"))
    with pytest.raises(InvalidModelOutput, match="shape"):
        postprocess(torch.zeros(1, 2, 1, 8, 8), given)


def test_a_second_look_only_where_something_is_suspected() -> None:
    torch.manual_seed(0)
    plain, shipped = [NoduleUNet().eval() for _ in range(MEMBERS)], network().eval()
    pictures = torch.randn((2, 1, 40, 40))
    enlarged = interpolate(pictures, (48, 48), mode="bicubic", align_corners=False)

    def told(member: int, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(plain[member](x), dim=1)[:, 1:]

    def odds(x: torch.Tensor) -> torch.Tensor:
        return torch.logit(interpolate(x, (40, 40), mode="bilinear", align_corners=False, antialias=True), 1e-6)

    def given_to_shipped() -> None:
        for member, one in zip(shipped.members, plain, strict=True):
            member.load_state_dict(one.state_dict())

    with torch.inference_mode():
        given_to_shipped()
        # What a fresh network says is near 0.5 everywhere.
        first = told(0, enlarged)
        views = [first, told(0, enlarged.flip(3)).flip(3), told(0, enlarged.flip((2, 3))).flip((2, 3))]
        views += [told(1, enlarged.flip(2)).flip(2)]
        views += [torch.rot90(told(1, torch.rot90(enlarged, turn, (2, 3))), -turn, (2, 3)) for turn in (1, 3)]
        mean = odds(torch.stack(views).mean(dim=0))
        found = shipped(pictures).diff(dim=1)
        level = math.log((1 - OUTLINE) / OUTLINE)
        assert torch.allclose(found, mean + level, atol=1e-4)
        assert not torch.allclose(odds(first), mean, atol=1e-3)
        assert plain[0].head.bias is not None
        # Where nothing is suspected a single look counts.
        plain[0].head.bias.copy_(torch.tensor([20.0, -20.0]))
        given_to_shipped()
        assert torch.allclose(shipped(pictures).diff(dim=1), odds(told(0, enlarged)) + level, atol=1e-4)


def test_a_stack_of_patches_is_read_as_its_pictures() -> None:
    torch.manual_seed(0)
    shipped, pictures = network().eval(), torch.randn((CHUNK + 3, 1, 32, 32))
    with torch.inference_mode():
        stack = shipped(pictures.movedim(0, 1)[None])
        assert torch.allclose(stack[0].movedim(1, 0), shipped(pictures), atol=1e-5)


def test_ratings_follow_what_they_were_fitted_to(tmp_path: Path) -> None:
    cases = TASK.listing(data_folder(tmp_path)).cases
    features, ratings = fit_malignancy.rated_nodules(cases)
    model = fit_malignancy.fitted(features, ratings, ridge=0.1)
    rated = np.array([model.rating(one) for one in features])
    assert fit_malignancy.separation(ratings, rated) == 1.0
    assert np.corrcoef(rated, ratings)[0, 1] > 0.9
    assert malignancy.slice_features(np.ones((128, 128), np.float32), np.ones((128, 128), bool)) is None


@pytest.mark.parametrize("task", [TRAINED, ENLARGED], ids=["as it is", "enlarged"])
def test_a_short_training_lowers_the_loss(task: Task, tmp_path: Path) -> None:
    samples, problems = read_samples(task, task.listing(data_folder(tmp_path)).cases)
    assert len(samples) == 8
    assert not problems
    settings = replace(task.settings, epochs=2, batch=2, learning_rate=3e-3, dropout=0.0)
    bench = new_bench(task, settings, torch.device("cpu"), samples, ())
    state = new_state(task, settings, torch.device("cpu"))
    losses = []
    for _ in range(2):
        losses.append(train_epoch(bench, state, lambda: None))
        state.history.append(None)  # type: ignore[arg-type]
    assert losses[1] < losses[0]


def test_the_members_are_trained_apart_and_shipped_together(tmp_path: Path) -> None:
    train_members(data_folder(tmp_path / "data"), tmp_path / "out", 1, torch.device("cpu"), limit=4, stop_after=1)
    both = network()
    both.load_state_dict(
        {name: one.float() for name, one in load_file(tmp_path / "out" / "weights.safetensors").items()}
    )
    assert isinstance(both, SecondLook)
    for number, member in enumerate(both.members):
        alone = load_file(tmp_path / "out" / str(number) / "weights.safetensors")
        assert all(torch.equal(alone[name].float(), value) for name, value in member.state_dict().items())
    assert not torch.equal(both.members[0].head.weight, both.members[1].head.weight)
