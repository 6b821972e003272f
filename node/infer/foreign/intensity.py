"""The declared steps on an image's values. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from node.domain.declared import IntensityStep, Percentiles, Rescale, ZScore

Float = npt.NDArray[np.float32]


def changed(image: Float, steps: tuple[IntensityStep, ...]) -> Float:
    """``image`` (channels, ...) after each of ``steps``."""
    for step in steps:
        if isinstance(step, ZScore):
            image = _standardised(image, step)
        elif isinstance(step, Percentiles):
            low, high = (float(value) for value in np.percentile(image, (step.low, step.high)))
            image = _rescaled(image, Rescale(low, high, step.target, step.clip))
        else:
            image = _rescaled(image, step)
    return image


def _rescaled(image: Float, step: Rescale) -> Float:
    start, end = step.target
    # An image of one value has no range: it becomes the lower end.
    factor = (end - start) / (step.high - step.low) if step.high > step.low else 0.0
    image = ((image - np.float32(step.low)) * np.float32(factor) + np.float32(start)).astype(np.float32)
    return np.clip(image, min(step.target), max(step.target)) if step.clip else image


def _standardised(image: Float, step: ZScore) -> Float:
    counted = image != 0 if step.nonzero else np.ones(image.shape, dtype=bool)
    mean, deviation = _declared(image, step) if step.mean else _own(image[counted] if step.nonzero else image)
    return np.where(counted, (image - mean) / deviation, image).astype(np.float32)


def _declared(image: Float, step: ZScore) -> tuple[Float, Float]:
    of_channels = (-1, *(1,) * (image.ndim - 1))
    mean, deviation = (np.array(numbers, np.float32) for numbers in (step.mean, step.deviation))
    return mean.reshape(of_channels), deviation.reshape(of_channels)


def _own(values: Float) -> tuple[Float, Float]:
    """Of no values: 0 and 1; of equal ones the deviation is 1, so that they become 0."""
    mean = float(values.mean(dtype=np.float64)) if values.size else 0.0
    deviation = float(values.std(dtype=np.float64)) if values.size else 0.0
    return np.array(mean, np.float32), np.array(deviation or 1.0, np.float32)
