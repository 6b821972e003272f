"""A malignancy rating of 1 to 5 from the outline of a nodule: a linear model on features of size, shape and brightness.

LIDC's readers rated how likely a nodule is malignant (1 highly unlikely, 3 indeterminate, 5 highly suspicious); the
truth here is their median. It is an impression of radiologists, no histology. Coefficients: `malignancy.json`, made
by `fit_malignancy.py`. Crops are 128 x 128 pixels of about 0.7 mm with the nodule in the middle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import perimeter
from skimage.morphology import convex_hull_image

Float = npt.NDArray[np.float32]
Features = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

CROP = 128
LEAST_PIXELS = 4
NAMES = (
    "log area", "squared log area", "roundness", "elongation", "solidity", "mean", "deviation", "maximum", "low end",
    "mean of the surroundings", "their deviation", "contrast", "sharpness of the edge", "its deviation", "log width",
)  # fmt: skip
COEFFICIENTS = Path(__file__).parent / "malignancy.json"


@dataclass(frozen=True, slots=True)
class Linear:
    """rating = ``intercept`` + sum of ``slopes`` x (feature - ``centres``) / ``widths``, cut to 1..5."""

    centres: Features
    widths: Features
    slopes: Features
    intercept: float

    def rating(self, features: Features) -> float:
        """1 (highly unlikely) to 5 (highly suspicious) of one nodule's features."""
        value = self.intercept + float(((features - self.centres) / self.widths) @ self.slopes)
        return float(np.clip(value, 1.0, 5.0))


def read_linear(file: Path = COEFFICIENTS) -> Linear:
    """The coefficients that the package ships.

    Raises:
        ValueError: they belong to other features.
    """
    stored = json.loads(file.read_text())
    if tuple(stored["features"]) != NAMES:
        raise ValueError(f"{file.name} belongs to other features")
    arrays = [np.array(stored[name], dtype=np.float64) for name in ("centres", "widths", "slopes")]
    return Linear(arrays[0], arrays[1], arrays[2], float(stored["intercept"]))


def slice_features(crop: Float, mask: Mask) -> Features | None:
    """Of one slice, in the order of ``NAMES``; None where fewer than ``LEAST_PIXELS`` belong to the nodule.

    ``crop`` in any linear stretch of HU: brightness counts in deviations of the crop.
    """
    area = int(mask.sum())
    deviation = float(crop.std())
    if area < LEAST_PIXELS or deviation <= 0:
        return None
    z = (crop - crop.mean()) / deviation
    inner = z[mask]
    around = z[ndimage.binary_dilation(mask, iterations=3) & ~ndimage.binary_dilation(mask)]
    edge = mask ^ ndimage.binary_erosion(mask)
    steepness = np.hypot(*np.gradient(ndimage.gaussian_filter(z, 1)))[edge]
    spread = np.maximum(np.linalg.eigvalsh(np.cov(np.argwhere(mask).T)), 0.1)
    log_area = np.log(area)
    outside = around if around.size else inner
    outline = float(perimeter(mask, 8))
    hull = int(convex_hull_image(mask).sum())
    return np.array(
        [
            log_area,
            log_area**2,
            outline**2 / (4 * np.pi * area),
            spread[0] / spread[1],
            area / max(1, hull),
            inner.mean(),
            inner.std(),
            inner.max(),
            np.percentile(inner, 10),
            outside.mean(),
            outside.std(),
            inner.mean() - np.percentile(outside, 10),
            steepness.mean(),
            steepness.std(),
            np.log(spread[1]),
        ],
        dtype=np.float64,
    )


def nodule_features(slices: list[tuple[Float, Mask]]) -> Features | None:
    """The mean over up to three slices about the largest; None where no slice shows enough."""
    known = [one for one in (slice_features(crop, mask) for crop, mask in slices) if one is not None]
    return np.mean(known, axis=0) if known else None


def three_about_the_largest(areas: list[int]) -> list[int]:
    """Indices of the slices to look at: those of the largest area and its neighbours, as in the training set."""
    largest = int(np.argmax(areas))
    return [index for index in range(largest - 1, largest + 2) if 0 <= index < len(areas)]
