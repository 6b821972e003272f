"""Volumes are measured as pictures are: baselines of voxels, and the slice that shows most in the gallery."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from models.kit.baselines.pixels import Image, outlines, pixel_features
from models.kit.cases import Case
from models.kit.evaluation import gallery, pages
from models.kit.evaluation.outlining import Segmentation, document, outline, structures
from models.kit.evaluation.parts import Part
from models.kit.evaluation.rows import Row
from models.kit.task import Array, Task
from models.kit.training.samples import Sample
from tests.unit.models.kit.evaluated import SEGMENTATION

SHAPE = (12, 20, 20)
TASK: Task = replace(SEGMENTATION, classes=("background", "low", "high"), positive=(1, 2))


def volume(seed: int) -> tuple[Array, np.ndarray]:
    """Two bright blocks, the larger one in the slices 2 to 4 alone."""
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[2:5, 4:14, 4:14] = 1
    mask[4:8, 14:17, 4:8] = 2
    noise = np.random.default_rng(seed).normal(0, 0.1, SHAPE)
    return (np.array([0.0, 1.0, 2.0])[mask] + noise).astype(np.float32)[np.newaxis], mask


class ByBrightness(torch.nn.Module):
    """Knows both blocks."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -(torch.cat((x, x - 1, x - 2), dim=1).abs())


def found_in(count: int) -> Segmentation:
    drawn = [volume(seed) for seed in range(count)]
    cases = tuple(Case(f"v{number}", Path(f"v{number}.nii.gz"), 1, f"v{number}") for number in range(count))
    samples = (Sample(f"v{number}", torch.from_numpy(x), 1, torch.from_numpy(y)) for number, (x, y) in enumerate(drawn))
    part = Part(cases, tuple(samples))
    return outline(TASK, ByBrightness(), part, part, torch.device("cpu"))


def test_features_of_voxels_know_their_place_along_every_axis() -> None:
    features = pixel_features(volume(0)[0])
    assert features.shape[0] == np.prod(SHAPE)
    flat = pixel_features(volume(0)[0][:, 4])
    assert features.shape[1] == flat.shape[1] + 1
    slices = features[:, 2].reshape(SHAPE)
    assert (slices[0] == 0).all()
    assert (slices[-1] == 1).all()


def test_baselines_outline_volumes() -> None:
    images = [Image(x, y > 0) for x, y in (volume(seed) for seed in range(3))]
    drawn = {one.name: one.masks[0] for one in outlines(images[:1], images[1:2], [images[2].image], seed=0)}
    truth = images[2].mask
    for name in ("brightness", "pixel-wise gradient boosting"):
        assert 2 * (drawn[name] & truth).sum() / (drawn[name].sum() + truth.sum()) > 0.9, name


def test_the_gallery_shows_each_class_in_the_slice_that_shows_most() -> None:
    found = found_in(3)
    (picture,) = gallery.of_segmentation(TASK, found)["best"]
    assert picture.truth is not None
    # Slice 4 alone has both.
    assert set(np.unique(picture.truth)) == {0, 1, 2}
    assert picture.image.shape == SHAPE[1:]
    np.testing.assert_array_equal(picture.truth, picture.found)
    np.testing.assert_array_equal(picture.truth, volume(0)[1][4])
    assert gallery.drawn({"best": [picture]}).startswith(b"\x89PNG")


def test_what_is_no_lesion_is_not_searched_for() -> None:
    found = found_in(2)
    measured = structures(found, 5)
    for task in (TASK, replace(TASK, lesions=False)):
        told = document(task, found, {}, measured, 5) | {"operating_point": None}
        page = pages.of_segmentation(task, found, measured, told, [Row("network", "", measured["any"], "outlines")], [])
        assert (told["froc"] is not None) == task.lesions
        assert ("Lesions" in [section.title for section in page.sections]) == task.lesions
        assert len(page.tables) == 2 + task.lesions
