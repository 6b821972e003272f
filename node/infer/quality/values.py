"""Whether values can be an image's: not constant, not blank, not saturated, in the declared range. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from node.domain.interval import ANY, Interval
from node.domain.quality import QualityLimits
from node.errors import ConstantImage, EmptySlices, ImplausibleIntensity, SaturatedImage
from node.infer.quality.checks import Judged, judged, percent

Float = npt.NDArray[np.float32]

# Shares and percentiles of a volume are those of every so many rows and columns.
STEP = 4
# A CT has air around or in the body, and soft tissue (HU).
AIR_HU = -500.0
SOFT_TISSUE_HU = (-200.0, 300.0)


@dataclass(frozen=True, slots=True)
class Values:
    """What the checks of a volume or of a picture look at.

    Attributes:
        lows, highs: the lowest and the highest value of each slice; not finite where a value is not.
        sample: values of the whole input, thinned out.
    """

    lows: Float
    highs: Float
    sample: Float

    @property
    def lowest(self) -> float:
        return float(self.lows.min())

    @property
    def highest(self) -> float:
        return float(self.highs.max())

    @property
    def is_image(self) -> bool:
        """Whether there is more than one value, and all are finite."""
        return 0 < self.highest - self.lowest < np.inf


def volume_values(array: Float) -> Values:
    """Of (k, rows, columns)."""
    flat = array.reshape(len(array), -1)
    return Values(flat.min(axis=1), flat.max(axis=1), array[:, ::STEP, ::STEP])


def picture_values(array: Float) -> Values:
    """Of (rows, columns), or of colour (rows, columns, 3), where a pixel counts by its brightest channel."""
    sample = array.max(axis=2) if array.ndim == 3 else array
    return Values(array.min(keepdims=True).ravel(), array.max(keepdims=True).ravel(), sample)


def value_checks(values: Values, limits: QualityLimits, words: str) -> Iterator[Judged]:
    """Contrast first: what is constant or not finite is judged no further. ``words``: ``the picture``."""
    contrast = values.highest - values.lowest
    finite = bool(np.isfinite(contrast))
    yield judged(
        "contrast",
        ConstantImage if finite else ImplausibleIntensity,
        finite and contrast > 0,
        f"values from {values.lowest:g} to {values.highest:g}",
        "more than one value, all finite",
        f"{words} is empty: every pixel has the value {values.lowest:g}"
        if finite
        else f"{words} holds values that are not finite",
        contrast if finite else None,
        0.0,
    )
    if not values.is_image:
        return
    saturated = float(np.mean(values.sample == values.highest))
    yield judged(
        "saturation",
        SaturatedImage,
        saturated <= limits.saturated_at_most,
        f"{percent(saturated)} of the pixels have the highest value",
        f"at most {percent(limits.saturated_at_most)}",
        f"{percent(saturated)} of {words} is saturated; this model needs at most {percent(limits.saturated_at_most)}",
        saturated,
        limits.saturated_at_most,
    )
    for percentile, wanted in ((1, limits.percentile_1), (99, limits.percentile_99)):
        if wanted != ANY:
            yield _percentile(values.sample, percentile, wanted, words)


def _percentile(sample: Float, percentile: int, wanted: Interval, words: str) -> Judged:
    found = float(np.percentile(sample, percentile))
    return judged(
        f"intensity, percentile {percentile}",
        ImplausibleIntensity,
        wanted.holds(found),
        f"{found:.4g}",
        str(wanted),
        f"{percentile} % of {words} lie below the value {found:.4g}; this model needs {wanted}",
        found,
    )


def empty_slice_checks(values: Values, limits: QualityLimits) -> Iterator[Judged]:
    """Slices of one single value: few at the ends, none between others."""
    empty = values.lows == values.highs
    share, full = float(empty.mean()), np.flatnonzero(~empty)
    between = int(empty[full[0] : full[-1]].sum()) if len(full) else 0
    yield judged(
        "empty slices",
        EmptySlices,
        share <= limits.empty_slices_at_most,
        f"{int(empty.sum())} of {len(empty)} slices",
        f"at most {percent(limits.empty_slices_at_most)}",
        f"{int(empty.sum())} of {len(empty)} slices are empty; this model needs at most "
        f"{percent(limits.empty_slices_at_most)}",
        share,
        limits.empty_slices_at_most,
    )
    yield judged(
        "empty slices between others",
        EmptySlices,
        between == 0,
        f"{between}",
        "0",
        f"{between} empty slices lie between others: a part of the series was lost",
        between,
        0,
    )


def hounsfield_checks(sample: Float, limits: QualityLimits) -> Iterator[Judged]:
    """Whether values can be Hounsfield units: air and soft tissue are among them."""
    low, high = SOFT_TISSUE_HU
    air = float(np.mean(sample < AIR_HU))
    soft = float(np.mean((sample > low) & (sample < high)))
    for name, share, least, words in (
        ("air", air, limits.air_at_least, f"of air (below {AIR_HU:g} HU)"),
        ("soft tissue", soft, limits.soft_tissue_at_least, f"of soft tissue ({low:g} to {high:g} HU)"),
    ):
        yield judged(
            f"{name} in Hounsfield units",
            ImplausibleIntensity,
            share >= least,
            f"{percent(share)} of the voxels",
            f"at least {percent(least)}",
            f"{percent(share)} of the voxels have the Hounsfield units {words}, at least {percent(least)} are "
            "expected: these are no Hounsfield units of a patient",
            share,
            least,
        )
