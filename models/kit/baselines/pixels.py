"""Outlines without a network: by brightness, by place, by a boosted classifier of single pixels.

Each gives a map of belief in 0..1; from which belief on a pixel is drawn is chosen for the best mean Dice on the
validation images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from sklearn.ensemble import HistGradientBoostingClassifier

from models.kit.task import Array

Mask = npt.NDArray[np.bool_]
Belief = Callable[[Array], Array]

SMOOTHINGS = (1.0, 2.0, 4.0, 8.0)
PIXELS_AN_IMAGE = 200
LEVELS = tuple(np.linspace(0.02, 0.98, 49))


@dataclass(frozen=True, slots=True)
class Image:
    """A network's input (channels, rows, columns), or that of a volume, and which of its pixels are positive."""

    image: Array
    mask: Mask


@dataclass(frozen=True, slots=True)
class Drawn:
    """A baseline, the setting that was chosen on the validation images, and its outlines of the test images."""

    name: str
    setting: str
    masks: tuple[Mask, ...]


def outlines(train: Sequence[Image], validation: Sequence[Image], test: Sequence[Array], seed: int) -> Iterator[Drawn]:
    """Every baseline.

    Raises:
        ValueError: no training or no validation image has anything positive.
    """
    for part, images in (("training", train), ("validation", validation)):
        if not any(one.mask.any() for one in images):
            raise ValueError(f"a baseline needs {part} images with something to outline")
    made: dict[str, Belief] = {
        "brightness": brightness,
        "darkness": lambda image: 1 - brightness(image),
        "place (mean of the training masks)": place(train),
        "pixel-wise gradient boosting": boosted(train, seed),
    }
    for name, belief in made.items():
        level = best_level([(belief(one.image), one.mask) for one in validation])
        yield Drawn(name, f"belief >= {level:.2f}", tuple(belief(image) >= level for image in test))


def brightness(image: Array) -> Array:
    """Mean of the channels, the 0.5th to the 99.5th percentile stretched to 0..1."""
    mean = image.mean(axis=0)
    low, high = np.percentile(mean, [0.5, 99.5])
    stretched: Array = np.clip((mean - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)
    return stretched


def place(train: Sequence[Image]) -> Belief:
    """How often each place of the training images is positive, relative to the most frequent place."""
    shape = train[0].mask.shape
    mean = np.mean([_fitted(one.mask.astype(np.float32), shape) for one in train], axis=0)
    relative = (mean / max(float(mean.max()), 1e-6)).astype(np.float32)
    return lambda image: _fitted(relative, image.shape[1:])


def boosted(train: Sequence[Image], seed: int) -> Belief:
    """Gradient boosting on ``pixel_features`` of as many positive as other pixels of each training image."""
    generator = np.random.default_rng(seed)
    rows, truth = [], []
    for one in train:
        found = pixel_features(one.image)
        for here in (one.mask.ravel(), ~one.mask.ravel()):
            at = np.flatnonzero(here)
            picked = generator.permutation(at)[:PIXELS_AN_IMAGE]
            rows.append(found[picked])
            truth.append(one.mask.ravel()[picked])
    model = HistGradientBoostingClassifier(max_iter=100, random_state=seed)
    model.fit(np.concatenate(rows), np.concatenate(truth))

    def belief(image: Array) -> Array:
        found: Array = model.predict_proba(pixel_features(image))[:, 1]
        return found.reshape(image.shape[1:]).astype(np.float32)

    return belief


def pixel_features(image: Array) -> Array:
    """(pixels, F): brightness, smoothed, its gradient and Laplacian, local deviation, row and column (and slice)."""
    grey = brightness(image)
    places = np.meshgrid(*(np.linspace(0, 1, length) for length in grey.shape), indexing="ij")
    local = ndimage.uniform_filter(grey**2, 5) - ndimage.uniform_filter(grey, 5) ** 2
    planes = [grey, np.sqrt(np.maximum(local, 0)), *places]
    for sigma in SMOOTHINGS:
        planes += [ndimage.gaussian_filter(grey, sigma), ndimage.gaussian_gradient_magnitude(grey, sigma)]
    planes.append(ndimage.gaussian_laplace(grey, 2.0))
    return np.stack([plane.ravel() for plane in planes], axis=1).astype(np.float32)


def best_level(pairs: Sequence[tuple[Array, Mask]]) -> float:
    """The level of belief with the best mean Dice over the images that have something positive."""
    wanted = [(belief, mask) for belief, mask in pairs if mask.any()]
    means = [np.mean([_dice(belief >= level, mask) for belief, mask in wanted]) for level in LEVELS]
    return float(LEVELS[int(np.argmax(means))])


def _dice(found: Mask, truth: Mask) -> float:
    return 2 * float(np.count_nonzero(found & truth)) / float(np.count_nonzero(found) + np.count_nonzero(truth))


def _fitted(plane: Array, shape: tuple[int, ...]) -> Array:
    if plane.shape == shape:
        return plane
    zoomed: Array = ndimage.zoom(plane, np.divide(shape, plane.shape), order=1, grid_mode=True, mode="nearest")
    return zoomed
