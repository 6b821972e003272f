"""What happens to the values of a picture (C, H, W) or volume (C, D, H, W); masks stay.

Strengths are relative to the picture's own spread.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from models.kit.augment.geometry import smooth

BIAS_KNOTS = 4


def stretched(image: Tensor, factor: float, offset: Tensor) -> Tensor:
    """Contrast by ``factor`` about the mean; ``offset`` (C, 1, ...) in standard deviations is added to each channel."""
    mean, spread = image.mean(), image.std(correction=0)
    return (image - mean) * factor + mean + offset * spread


def gamma_corrected(image: Tensor, exponent: float) -> Tensor:
    """The range of the picture raised to ``exponent``; its lowest and highest value stay."""
    low, high = image.amin(), image.amax()
    width = high - low
    if not float(width) > 0:
        return image
    return ((image - low) / width).pow(exponent) * width + low


def biased(image: Tensor, amplitude: float, generator: torch.Generator) -> Tensor:
    """Times a smooth field exp(N(0, ``amplitude``)), above the lowest value, as by the coils of an MR scanner."""
    size = image.shape[1:]
    knots = amplitude * torch.randn(1, 1, *[BIAS_KNOTS] * len(size), generator=generator)
    field = smooth(knots, size)[0].exp()
    low = image.amin()
    return (image - low) * field + low


def noisy(image: Tensor, amplitude: float, generator: torch.Generator) -> Tensor:
    """Gaussian noise of ``amplitude`` standard deviations of the picture."""
    return image + amplitude * image.std(correction=0) * torch.randn(image.shape, generator=generator)


def blurred(image: Tensor, sigma: float) -> Tensor:
    """Gaussian of ``sigma`` pixels, cut at three sigma, borders repeated."""
    radius = max(1, math.ceil(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    axes = image.ndim - 1
    blurry = functional.pad(image[:, None], [radius] * 2 * axes, "replicate")
    convolve = functional.conv2d if axes == 2 else functional.conv3d
    for axis in reversed(range(axes)):
        along = [1] * axes
        along[axis] = len(kernel)
        blurry = convolve(blurry, kernel.view(1, 1, *along))
    return blurry[:, 0]
