"""What happens to the values of a picture (C, H, W); masks stay. Strengths are relative to the picture's own spread."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

BIAS_KNOTS = 4


def stretched(image: Tensor, factor: float, offset: Tensor) -> Tensor:
    """Contrast by ``factor`` about the mean; ``offset`` (C, 1, 1) in standard deviations is added to each channel."""
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
    knots = amplitude * torch.randn(1, 1, BIAS_KNOTS, BIAS_KNOTS, generator=generator)
    size = (image.shape[1], image.shape[2])
    field = functional.interpolate(knots, size, mode="bicubic", align_corners=True)[0].exp()
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
    wide = functional.pad(image[:, None], [radius] * 4, "replicate")
    return functional.conv2d(functional.conv2d(wide, kernel[None, None, None, :]), kernel[None, None, :, None])[:, 0]
