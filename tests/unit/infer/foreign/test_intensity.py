"""Steps on values give MONAI's numbers, also for an image of one value."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.transforms import (
    NormalizeIntensity,
    ScaleIntensity,
    ScaleIntensityRange,
    ScaleIntensityRangePercentiles,
    Transform,
)

from node.domain.declared import IntensityStep, Percentiles, Rescale, ZScore
from node.infer.foreign.intensity import changed

IMAGE = np.random.default_rng(3).normal(20, 300, (1, 6, 7, 8)).astype(np.float32)
IMAGE[0, 0] = 0.0


@pytest.mark.parametrize(
    ("step", "transform"),
    [
        (Rescale(-57, 164), ScaleIntensityRange(-57, 164, 0, 1, clip=True)),
        (Rescale(-57, 164, (-1, 1), clip=False), ScaleIntensityRange(-57, 164, -1, 1)),
        (Percentiles(1, 99, (0, 1)), ScaleIntensityRangePercentiles(1, 99, 0, 1, clip=True)),
        (Percentiles(5, 90, (0, 255), clip=False), ScaleIntensityRangePercentiles(5, 90, 0, 255)),
        (Percentiles(0, 100, (0, 1), clip=False), ScaleIntensity()),
        (ZScore(), NormalizeIntensity()),
        (ZScore(nonzero=True), NormalizeIntensity(nonzero=True)),
        (ZScore((100.0,), (50.0,)), NormalizeIntensity(100.0, 50.0)),
    ],
)
def test_as_monai(step: IntensityStep, transform: Transform) -> None:
    np.testing.assert_allclose(changed(IMAGE, (step,)), transform(torch.from_numpy(IMAGE)).numpy(), atol=2e-4)


def test_one_after_the_other() -> None:
    window, score = Rescale(0, 100), ZScore()
    np.testing.assert_array_equal(changed(IMAGE, (window, score)), changed(changed(IMAGE, (window,)), (score,)))


def test_a_mean_for_each_channel() -> None:
    image = np.ones((3, 4, 5), np.float32)
    found = changed(image, (ZScore((1.0, 0.0, -1.0), (1.0, 2.0, 4.0)),))
    np.testing.assert_allclose(found[:, 0, 0], [0.0, 0.5, 0.5])


@pytest.mark.parametrize(
    ("step", "value"), [(ZScore(), 0.0), (ZScore(nonzero=True), 0.0), (Percentiles(1, 99, (-1, 1)), -1.0)]
)
def test_an_image_of_one_value(step: IntensityStep, value: float) -> None:
    assert np.unique(changed(np.full((1, 3, 3), 7.0, np.float32), (step,))).tolist() == [value]
    assert np.isfinite(changed(np.zeros((1, 3, 3), np.float32), (step,))).all()
