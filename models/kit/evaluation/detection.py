"""Lesions found at a price of false positives: candidates of a probability map, and the FROC curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.kit.evaluation.resampling import SAMPLES, Estimate, Indices, estimates

# The rates at which the LUNA16 challenge averages sensitivity (Setio et al., Medical Image Analysis 2017).
FALSE_POSITIVES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
CANDIDATE_PROBABILITY = 0.1
CANDIDATE_PIXELS = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """Where something may be, (row, column) or (slice, row, column) of its centre of mass, and its best probability."""

    centre: tuple[float, ...]
    score: float


@dataclass(frozen=True, slots=True)
class Found:
    """One image: of each true lesion the best score that hit it (-inf: missed), and the scores that hit nothing."""

    lesions: tuple[float, ...]
    false_positives: tuple[float, ...]


def candidates(
    probability: npt.NDArray[np.float32], lowest: float = CANDIDATE_PROBABILITY, pixels: int = CANDIDATE_PIXELS
) -> tuple[Candidate, ...]:
    """Connected regions (faces, no corners) of at least ``pixels`` with a probability of at least ``lowest``."""
    regions, count = ndimage.label(probability >= lowest)
    if not count:
        return ()
    numbers = np.arange(1, count + 1)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    scores = ndimage.maximum(probability, regions, numbers)
    centres = ndimage.center_of_mass(probability, regions, numbers)
    return tuple(
        Candidate(tuple(map(float, centre)), float(score))
        for centre, score, size in zip(centres, scores, sizes, strict=True)
        if size >= pixels
    )


def matched(found: Sequence[Candidate], truth: npt.NDArray[np.bool_]) -> Found:
    """Candidates against the connected regions of the true mask.

    As in LUNA16: a candidate hits a lesion from whose centre it is not further away than the radius of the circle (or
    ball) of the lesion's size; a second hit of one lesion is neither a hit nor a false positive.
    """
    regions, count = ndimage.label(truth)
    numbers = np.arange(1, count + 1)
    centres = np.array(ndimage.center_of_mass(truth, regions, numbers)).reshape(count, truth.ndim)
    sizes = np.bincount(regions.ravel(), minlength=count + 1)[1:]
    radii = np.sqrt(sizes / np.pi) if truth.ndim == 2 else np.cbrt(3 * sizes / (4 * np.pi))
    best = np.full(count, -inf)
    false: list[float] = []
    for one in found:
        distances = np.linalg.norm(centres - np.array(one.centre), axis=1)
        near = int(np.argmin(distances - radii)) if count else 0
        if count and distances[near] <= radii[near]:
            best[near] = max(best[near], one.score)
        else:
            false.append(one.score)
    return Found(tuple(map(float, best)), tuple(false))


def sensitivity_at(images: Sequence[Found], rate: float) -> float:
    """Fraction of lesions found where at most ``rate`` false positives an image are allowed; NaN without lesions."""
    lesions = np.array([score for image in images for score in image.lesions])
    if not len(lesions):
        return nan
    return float(np.mean(lesions > _floor(images, rate)))


def curve(images: Sequence[Found]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The FROC curve: false positives an image, rising, and sensitivity at each, from every score that occurs."""
    lesions = np.array([score for image in images for score in image.lesions])
    false = np.array([score for image in images for score in image.false_positives])
    thresholds = np.unique(np.concatenate([lesions[np.isfinite(lesions)], false]))[::-1]
    rates = np.array([np.count_nonzero(false >= one) / len(images) for one in thresholds])
    found = np.array([np.count_nonzero(lesions >= one) / max(1, len(lesions)) for one in thresholds])
    return rates, found


def measured(images: Sequence[Found], groups: Sequence[str], samples: int = SAMPLES) -> dict[str, Estimate]:
    """Sensitivity at each of ``FALSE_POSITIVES`` and their mean (``froc``), with intervals by group."""

    def measure(picked: Indices) -> Mapping[str, float]:
        chosen = [images[index] for index in picked]
        found = {f"sensitivity_at_{rate:g}": sensitivity_at(chosen, rate) for rate in FALSE_POSITIVES}
        return found | {"froc": float(np.mean(list(found.values())))}

    return estimates(measure, groups, samples)


def _floor(images: Sequence[Found], rate: float) -> float:
    """The score that has to be exceeded so that at most ``rate`` false positives an image are left."""
    false = sorted((score for image in images for score in image.false_positives), reverse=True)
    allowed = int(np.floor(rate * len(images) + 1e-9))
    return false[allowed] if allowed < len(false) else -inf
