"""Random changes of a training picture in one resampling: place, turn, size, mirror, contrast, noise, a blank patch.

For classifiers whose pictures have values of -1..1 (``preprocess.whole_picture.stretched``); one pass of bilinear
resampling costs a CPU far less than a chain of steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class PictureAugment:
    """A ``Task.augment``.

    Attributes:
        rotation: degrees, either way.
        scale: size changes by a factor of up to this, either way; ``aspect`` likewise, of columns against rows.
        shift: of the picture's side, either way.
        mirror: chance to exchange left and right; ``flip``: top and bottom; ``quarter_turns``: any of the four.
        gamma: exponent of up to this, either way, on the values as 0..1.
        gain, offset: contrast by a factor of up to ``gain``, either way; brightness by up to ``offset``, either way.
        noise: largest standard deviation of added noise.
        blur: chance of a 3 x 3 mean.
        blank: chance that a patch of up to ``blank_side`` of the side is replaced by the picture's mean.
    """

    rotation: float = 10.0
    scale: float = 1.15
    aspect: float = 1.1
    shift: float = 0.06
    mirror: float = 0.5
    flip: float = 0.0
    quarter_turns: bool = False
    gamma: float = 1.3
    gain: float = 1.2
    offset: float = 0.1
    noise: float = 0.05
    blur: float = 0.1
    blank: float = 0.3
    blank_side: float = 0.25

    def __call__(self, image: Tensor, mask: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """(C, H, W) of -1..1 to the same, changed; a mask (H, W) moves along, by its nearest pixels."""
        grid = functional.affine_grid(self._place(generator)[None], [1, *image.shape], align_corners=False)
        moved = functional.grid_sample(image[None].float(), grid, "bilinear", "border", align_corners=False)[0]
        truth = None
        if mask is not None:
            nearest = functional.grid_sample(mask[None, None].float(), grid, "nearest", "zeros", align_corners=False)
            truth = nearest[0, 0].to(mask.dtype)
        return self._blanked(self._values(moved, generator), generator), truth

    def _place(self, generator: torch.Generator) -> Tensor:
        """(2, 3): from places in the new picture to places in the old one, both -1..1."""
        angle = math.radians(self.rotation) * _signed(generator)
        if self.quarter_turns:
            angle += math.pi / 2 * int(torch.randint(4, (), generator=generator))
        size, aspect = _factor(self.scale, generator), _factor(self.aspect, generator)
        across = size * aspect * (-1 if _chance(self.mirror, generator) else 1)
        down = size / aspect * (-1 if _chance(self.flip, generator) else 1)
        return torch.tensor(
            [
                [across * math.cos(angle), -down * math.sin(angle), 2 * self.shift * _signed(generator)],
                [across * math.sin(angle), down * math.cos(angle), 2 * self.shift * _signed(generator)],
            ]
        )

    def _values(self, image: Tensor, generator: torch.Generator) -> Tensor:
        unit = ((image + 1) / 2).clamp(0, 1) ** _factor(self.gamma, generator)
        changed = (2 * unit - 1) * _factor(self.gain, generator) + self.offset * _signed(generator)
        if _chance(self.blur, generator):
            changed = functional.avg_pool2d(changed[None], 3, 1, 1, count_include_pad=False)[0]
        level = self.noise * float(torch.rand((), generator=generator))
        return changed + level * torch.randn(changed.shape, generator=generator)

    def _blanked(self, image: Tensor, generator: torch.Generator) -> Tensor:
        if not _chance(self.blank, generator):
            return image
        rows, columns = image.shape[1:]
        height, width, top, left = torch.rand(4, generator=generator).tolist()
        height, width = (
            int(1 + side * self.blank_side * extent) for side, extent in ((height, rows), (width, columns))
        )
        top, left = int(top * (rows - height)), int(left * (columns - width))
        changed = image.clone()
        changed[:, top : top + height, left : left + width] = image.mean()
        return changed


def _signed(generator: torch.Generator) -> float:
    return 2 * float(torch.rand((), generator=generator)) - 1


def _factor(largest: float, generator: torch.Generator) -> float:
    return math.exp(math.log(largest) * _signed(generator))


def _chance(probability: float, generator: torch.Generator) -> bool:
    return bool(torch.rand((), generator=generator) < probability)
