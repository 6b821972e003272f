"""Augmentation of pictures and volumes: ``compose(rotation=10, scale=0.1, gamma=0.3, ...)`` is a ``Task.augment``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.kit.augment import geometry, intensity
from models.kit.augment.geometry import Fill, uniform

__all__ = ["Augmentation", "compose"]

# Strengths by which ``Augmentation.scaled`` multiplies.
STRENGTHS = (
    *("rotation", "scale", "stretch", "shift", "elastic"),
    *("brightness", "colour", "contrast", "gamma", "bias_field", "noise", "blur"),
)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Draws a motion and a change of values for each picture; what is 0 is left out, and all 0 is the identity.

    Picture (C, H, W) and mask (H, W), or volume (C, D, H, W) and mask (D, H, W), move together. Values are changed only
    in the picture, each way with the probability ``chance``.

    Attributes:
        mirror: axes that are mirrored in half of the pictures: 0 rows (up-down), 1 columns (left-right).
        mirror_depth: whether the slices of half of the volumes come in the other order.
        quarter_turns: whether a turn by 0, 90, 180 or 270 degrees in the plane of rows and columns is drawn; wants
            square pictures, or a ``size``.
        size: rows and columns (of volumes slices before them) of the result: a window at a random place, of the padded
            picture if that is smaller; without it the size stays.
        rotation: degrees, at most, either way; of volumes in each of the three planes.
        scale: 0.2 draws a size between 1 / 1.2 and 1.2 of the picture's.
        stretch: the same, for each axis apart.
        shift: fraction of each axis, at most, either way.
        elastic: standard deviation of the displacement in pixels; ``elastic_cells`` knots along each axis.
        fill: what lies outside the source picture (and, likewise, its mask).
        brightness: added, in standard deviations of the picture, at most, either way.
        colour: the same, for each channel apart.
        contrast: 0.2 draws a factor between 1 / 1.2 and 1.2 about the mean.
        gamma: 0.2 draws an exponent between 1 / 1.2 and 1.2.
        bias_field: standard deviation of the logarithm of a smooth factor.
        noise: standard deviation, at most, in standard deviations of the picture.
        blur: sigma in pixels, at most.
        chance: of each change of values, and of an elastic deformation.
    """

    mirror: tuple[int, ...] = ()
    mirror_depth: bool = False
    quarter_turns: bool = False
    size: tuple[int, ...] | None = None
    rotation: float = 0.0
    scale: float = 0.0
    stretch: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    elastic_cells: int = 5
    fill: Fill = "zeros"
    brightness: float = 0.0
    colour: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    bias_field: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    chance: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from.

        Raises:
            ValueError: a negative strength, an axis other than 0 and 1, or a chance outside 0..1.
        """
        negative = [name for name in STRENGTHS if getattr(self, name) < 0]
        if negative:
            raise ValueError(f"negative: {', '.join(negative)}")
        if not set(self.mirror) <= {0, 1}:
            raise ValueError(f"mirror knows the axes 0 and 1, not {self.mirror}")
        if not 0 <= self.chance <= 1:
            raise ValueError(f"a chance of {self.chance}")

    def __call__(self, image: Tensor, mask: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Augmented copies of ``image`` (C, ...) and ``mask`` (...); random numbers from ``generator`` alone.

        Raises:
            ValueError: neither picture nor volume, a ``size`` of other axes, or a picture to be mirrored in depth.
        """
        axes = image.ndim - 1
        if axes not in (2, 3) or len(self.size or image.shape[1:]) != axes or (self.mirror_depth and axes == 2):
            raise ValueError(f"an image of shape {tuple(image.shape)} does not fit {self}")
        image, mask = self._moved(image, mask, generator)
        return self._valued(image, generator), mask

    def scaled(self, factor: float) -> Augmentation:
        """The same with every strength times ``factor``; mirrors, quarter turns and size stay."""
        return replace(self, **{name: factor * getattr(self, name) for name in STRENGTHS})

    def _moved(self, image: Tensor, mask: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        axes = image.ndim - 1
        # Rows and columns are the last two axes.
        wanted = [0] * self.mirror_depth + [axis + axes - 2 for axis in self.mirror]
        mirror = tuple(axis for axis in wanted if _happens(0.5, generator))
        quarters = int(torch.randint(4, (), generator=generator)) if self.quarter_turns else 0
        image, mask = geometry.turned(image, mask, mirror, quarters)
        size = self.size or tuple(image.shape[1:])
        image, mask = geometry.padded(image, mask, size, self.fill)
        room = [whole - part for whole, part in zip(image.shape[1:], size, strict=True)]
        offset = [int(torch.randint(one + 1, (), generator=generator)) for one in room]
        if not any((self.rotation, self.scale, self.stretch, self.shift, self.elastic)):
            return geometry.cut(image, mask, offset, size)
        where = geometry.positions(offset, size, *self._motion(size, generator))
        return geometry.sampled(image, mask, where, self.fill)

    def _motion(
        self, size: tuple[int, ...], generator: torch.Generator
    ) -> tuple[Tensor, tuple[float, ...], Tensor | None]:
        degrees = [uniform(-self.rotation, self.rotation, generator) for _ in range(1 if len(size) == 2 else 3)]
        whole = _factor(self.scale, generator)
        scale = tuple(whole * _factor(self.stretch, generator) for _ in size)
        shift = tuple(uniform(-self.shift, self.shift, generator) * length for length in size)
        field = None
        if self.elastic and _happens(self.chance, generator):
            field = geometry.elastic_field(size, self.elastic_cells, self.elastic, generator)
        return geometry.linear_map(degrees, scale), shift, field

    def _valued(self, image: Tensor, generator: torch.Generator) -> Tensor:
        if self.blur and _happens(self.chance, generator):
            image = intensity.blurred(image, uniform(0.1, 1.0, generator) * self.blur)
        if self.bias_field and _happens(self.chance, generator):
            image = intensity.biased(image, self.bias_field, generator)
        if self.gamma and _happens(self.chance, generator):
            image = intensity.gamma_corrected(image, _factor(self.gamma, generator))
        if any((self.contrast, self.brightness, self.colour)) and _happens(self.chance, generator):
            offset = uniform(-self.brightness, self.brightness, generator) + self.colour * (
                2 * torch.rand(image.shape[0], *[1] * (image.ndim - 1), generator=generator) - 1
            )
            image = intensity.stretched(image, _factor(self.contrast, generator), offset)
        if self.noise and _happens(self.chance, generator):
            image = intensity.noisy(image, uniform(0.0, self.noise, generator), generator)
        return image


compose = Augmentation


def _happens(chance: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < chance


def _factor(strength: float, generator: torch.Generator) -> float:
    """Between 1 / (1 + strength) and 1 + strength, evenly on a logarithmic scale."""
    return float((1 + strength) ** uniform(-1.0, 1.0, generator))
