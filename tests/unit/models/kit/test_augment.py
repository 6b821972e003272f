"""Augmentation: picture and mask move together, nothing at all is the identity, and the generator alone draws."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.kit.augment import STRENGTHS, compose, geometry

SIZE = (40, 48)
MOTIONS = [
    {"mirror": (0, 1)},
    {"quarter_turns": True, "size": (40, 40)},
    {"rotation": 180.0},
    {"scale": 0.5},
    {"stretch": 0.5},
    {"shift": 0.2},
    {"elastic": 3.0},
    {"size": (24, 20)},
    {"size": (56, 60)},
    {"size": (24, 32), "rotation": 30.0, "scale": 0.2, "shift": 0.1, "elastic": 2.0, "mirror": (0, 1)},
]
VALUES = ["brightness", "colour", "contrast", "gamma", "bias_field", "noise", "blur"]


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture() -> tuple[Tensor, Tensor]:
    """An L in the middle, which no turn or mirror brings onto itself; the mask is where it is bright."""
    mask = torch.zeros(SIZE, dtype=torch.uint8)
    mask[10:30, 14:22] = 1
    mask[22:30, 14:36] = 1
    return mask[None].float(), mask


def test_nothing_is_the_identity() -> None:
    image, mask = torch.randn(3, *SIZE), picture()[1]
    moved, truth = compose()(image, mask, drawn(0))
    assert torch.equal(moved, image)
    assert truth is not None
    assert torch.equal(truth, mask)


@pytest.mark.parametrize("fill", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("motion", MOTIONS)
def test_mask_moves_with_its_picture(motion: dict[str, object], fill: str) -> None:
    changed = 0
    for seed in range(12):
        image, mask = picture()
        moved, truth = compose(**motion, fill=fill)(image, mask, drawn(seed))
        assert truth is not None
        assert truth.dtype == mask.dtype
        assert moved.shape[1:] == truth.shape == motion.get("size", SIZE)
        # Between pixels, one that is nearest has at least a quarter of the weight. A pixel's offset would give 1.
        wrong = (moved[0] - truth.float()).abs() > 0.75 + 1e-3
        assert not wrong.any()
        changed += truth.shape != mask.shape or not torch.equal(truth, mask)
    assert changed >= 4


@pytest.mark.parametrize(("degrees", "quarters"), [(90.0, 3), (180.0, 2), (-90.0, 1)])
def test_resampled_quarter_turn_is_the_exact_one(degrees: float, quarters: int) -> None:
    image, mask = torch.randn(2, 21, 21), torch.randint(3, (21, 21)).to(torch.uint8)
    matrix = geometry.linear_map(degrees, (1.0, 1.0))
    where = geometry.positions((0, 0), (21, 21), matrix, (0.0, 0.0), None)
    moved, truth = geometry.sampled(image, mask, where, "zeros")
    wanted, wanted_mask = geometry.turned(image, mask, (), quarters)
    torch.testing.assert_close(moved, wanted, atol=1e-4, rtol=0)
    assert truth is not None
    assert wanted_mask is not None
    assert torch.equal(truth, wanted_mask)


def test_scale_keeps_the_middle_and_changes_the_area() -> None:
    areas = []
    for seed in range(40):
        _, mask = compose(scale=0.5)(*picture(), drawn(seed))
        assert mask is not None
        areas.append(int(mask.sum()) / int(picture()[1].sum()))
    assert min(areas) < 0.6
    assert max(areas) > 1.7
    assert min(areas) > 1 / 1.5**2 - 0.1
    assert max(areas) < 1.5**2 + 0.1


def test_window_is_anywhere_and_exact() -> None:
    image = torch.arange(SIZE[0] * SIZE[1], dtype=torch.float32).reshape(1, *SIZE)
    corners = set()
    for seed in range(200):
        moved, _ = compose(size=(36, 44))(image, None, drawn(seed))
        row, column = divmod(int(moved[0, 0, 0]), SIZE[1])
        assert torch.equal(moved, image[:, row : row + 36, column : column + 44])
        corners.add((row, column))
    assert {row for row, _ in corners} == set(range(5))
    assert {column for _, column in corners} == set(range(5))


@pytest.mark.parametrize("name", VALUES)
def test_values_change_and_masks_do_not(name: str) -> None:
    image, mask = torch.randn(3, *SIZE, generator=drawn(1)), picture()[1]
    strength = 3.0 if name == "blur" else 0.5
    changed = [compose(**{name: strength}, chance=1.0)(image, mask, drawn(seed)) for seed in range(8)]
    assert all(truth is not None and torch.equal(truth, mask) for _, truth in changed)
    assert all(bool(torch.isfinite(moved).all()) and moved.shape == image.shape for moved, _ in changed)
    assert all(float((moved - image).abs().max()) > 1e-3 for moved, _ in changed)
    assert len({float(moved.square().sum()) for moved, _ in changed}) == 8


@pytest.mark.parametrize("name", VALUES)
def test_a_chance_of_nothing_changes_nothing(name: str) -> None:
    image = torch.randn(1, *SIZE)
    assert torch.equal(compose(**{name: 0.5}, chance=0.0)(image, None, drawn(0))[0], image)


def test_values_keep_what_they_promise() -> None:
    image = torch.rand(2, *SIZE, generator=drawn(2))
    curved, _ = compose(gamma=0.5, chance=1.0)(image, None, drawn(3))
    assert float(curved.min()) == pytest.approx(float(image.min()), abs=1e-6)
    assert float(curved.max()) == pytest.approx(float(image.max()), abs=1e-6)
    order = image.flatten().argsort()
    assert bool((curved.flatten()[order].diff() >= -1e-6).all())
    stretched, _ = compose(contrast=0.5, chance=1.0)(image, None, drawn(3))
    assert float(stretched.mean()) == pytest.approx(float(image.mean()), abs=1e-5)
    tinted, _ = compose(colour=1.0, chance=1.0)(image, None, drawn(3))
    offsets = (tinted - image).flatten(1)
    assert float(offsets.std(1).max()) < 1e-5
    assert float((offsets[0] - offsets[1]).abs().mean()) > 1e-3
    level = torch.full((1, *SIZE), 3.0)
    assert torch.allclose(compose(blur=2.0, gamma=0.5, chance=1.0)(level, None, drawn(0))[0], level, atol=1e-5)


def test_blur_smooths_by_its_sigma() -> None:
    image = torch.zeros(1, 41, 41)
    image[0, 20, 20] = 1
    widths = []
    for seed in range(30):
        moved, _ = compose(blur=2.0, chance=1.0)(image, None, drawn(seed))
        assert float(moved.sum()) == pytest.approx(1, abs=1e-4)
        widths.append(float((moved[0].sum(1) * (torch.arange(41) - 20) ** 2).sum().sqrt()))
    assert 1.6 < max(widths) < 2.05


def test_the_generator_alone_draws() -> None:
    everything = compose(
        mirror=(0, 1), rotation=20, scale=0.2, elastic=2, gamma=0.2, contrast=0.2, bias_field=0.2, noise=0.2, blur=1
    )
    image, mask = picture()
    torch.manual_seed(0)
    first = everything(image, mask, drawn(5))
    torch.manual_seed(1)
    again = everything(image, mask, drawn(5))
    other = everything(image, mask, drawn(6))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(image, picture()[0])


def test_scaled_by_nothing_is_the_identity() -> None:
    strong = compose(**dict.fromkeys(STRENGTHS, 0.3))
    image = torch.randn(1, *SIZE)
    assert torch.equal(strong.scaled(0)(image, None, drawn(0))[0], image)
    assert strong.scaled(2).rotation == 0.6
    assert compose(mirror=(1,), size=(8, 8)).scaled(2) == compose(mirror=(1,), size=(8, 8))


@pytest.mark.parametrize("wrong", [{"noise": -1.0}, {"mirror": (2,)}, {"chance": 1.5}])
def test_what_cannot_be_drawn(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"negative|axes|chance"):
        compose(**wrong)


VOLUME = (12, 16, 20)
VOLUME_MOTIONS = [
    {"mirror": (0, 1), "mirror_depth": True},
    {"quarter_turns": True, "size": (12, 16, 16)},
    {"rotation": 30.0},
    {"scale": 0.4, "stretch": 0.2},
    {"shift": 0.2},
    {"elastic": 1.5},
    {"size": (8, 20, 14), "rotation": 20.0, "elastic": 1.0},
]


def volume() -> tuple[Tensor, Tensor]:
    """Three boxes, which no turn or mirror brings onto themselves together; the mask is where it is bright."""
    mask = torch.zeros(VOLUME, dtype=torch.uint8)
    mask[3:9, 4:10, 5:9] = 1
    mask[3:5, 10:13, 5:14] = 1
    mask[6:9, 4:7, 9:16] = 1
    return mask[None].float(), mask


@pytest.mark.parametrize("fill", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("motion", VOLUME_MOTIONS)
def test_mask_moves_with_its_volume(motion: dict[str, object], fill: str) -> None:
    changed = 0
    for seed in range(6):
        image, mask = volume()
        moved, truth = compose(**motion, fill=fill)(image, mask, drawn(seed))
        assert truth is not None
        assert truth.dtype == mask.dtype
        assert moved.shape[1:] == truth.shape == motion.get("size", VOLUME)
        # The voxel that is nearest has at least an eighth of the weight. A voxel's offset would give 1.
        assert float((moved[0] - truth.float()).abs().max()) <= 0.875 + 1e-3
        changed += truth.shape != mask.shape or not torch.equal(truth, mask)
    assert changed >= 3


@pytest.mark.parametrize(("plane", "axes"), [(0, (0, 1)), (1, (0, 2)), (2, (1, 2))])
def test_resampled_quarter_turns_of_a_volume_are_the_exact_ones(plane: int, axes: tuple[int, int]) -> None:
    image, mask = torch.randn(2, 9, 9, 9), torch.randint(3, (9, 9, 9)).to(torch.uint8)
    degrees = [90.0 if one == plane else 0.0 for one in range(3)]
    where = geometry.positions((0, 0, 0), (9, 9, 9), geometry.linear_map(degrees, (1.0,) * 3), (0.0,) * 3, None)
    moved, truth = geometry.sampled(image, mask, where, "zeros")
    torch.testing.assert_close(moved, image.rot90(3, (axes[0] + 1, axes[1] + 1)), atol=1e-4, rtol=0)
    assert truth is not None
    assert torch.equal(truth, mask.rot90(3, axes))


def test_a_volume_of_even_slices_moves_like_its_slice() -> None:
    """In their own plane, slices of a volume are turned as a picture is."""
    image = torch.randn(1, 21, 21)
    flat = geometry.positions((0, 0), (21, 21), geometry.linear_map(25.0, (1.2, 0.9)), (1.0, -2.0), None)
    deep = geometry.positions(
        (0, 0, 0), (5, 21, 21), geometry.linear_map([0.0, 0.0, 25.0], (1.0, 1.2, 0.9)), (0.0, 1.0, -2.0), None
    )
    picture_moved, _ = geometry.sampled(image, None, flat, "zeros")
    volume_moved, _ = geometry.sampled(image[:, None].expand(1, 5, 21, 21), None, deep, "zeros")
    torch.testing.assert_close(volume_moved[0, 2], picture_moved[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", VALUES)
def test_values_of_volumes_change_and_masks_do_not(name: str) -> None:
    image, mask = torch.randn(2, *VOLUME, generator=drawn(1)), volume()[1]
    moved, truth = compose(**{name: 1.5 if name == "blur" else 0.5}, chance=1.0)(image, mask, drawn(3))
    assert truth is not None
    assert torch.equal(truth, mask)
    assert moved.shape == image.shape
    assert bool(torch.isfinite(moved).all())
    assert float((moved - image).abs().max()) > 1e-3
    level = torch.full((1, *VOLUME), 3.0)
    if name in ("blur", "gamma", "bias_field", "noise", "contrast"):
        assert torch.allclose(compose(**{name: 0.5}, chance=1.0)(level, None, drawn(0))[0], level, atol=1e-5)


def test_the_order_of_slices_is_mirrored_where_that_is_asked_for() -> None:
    image, mask = volume()
    seen = {
        bool(torch.equal(compose(mirror_depth=True)(image, mask, drawn(seed))[0], image.flip(1))) for seed in range(8)
    }
    assert seen == {True, False}


def test_what_does_not_fit_an_image() -> None:
    for augmentation, image in (
        (compose(mirror_depth=True), torch.zeros(1, 8, 8)),
        (compose(size=(4, 4)), torch.zeros(1, 8, 8, 8)),
        (compose(size=(4, 4, 4)), torch.zeros(1, 8, 8)),
        (compose(noise=0.1), torch.zeros(8, 8)),
    ):
        with pytest.raises(ValueError, match="does not fit"):
            augmentation(image, None, drawn(0))
