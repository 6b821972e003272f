"""A folder of small pictures whose truth is known: a bright square is the positive class, and its mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.kit.cases import Case, Listing
from models.kit.data.pictures import read_grey
from models.kit.networks.residual import ResidualClassifier
from models.kit.networks.unet import UNet2d
from models.kit.task import Array, Settings, Task
from tests.unit.models.kit.pictures import save, textured

SIDE = 24
SQUARE = 8


def write(folder: Path, count: int = 32) -> Path:
    """``count`` pictures and masks, half of them with a square; returns ``folder``."""
    for number in range(count):
        generator = np.random.default_rng(number)
        values, mask = 0.5 * textured(number, SIDE, SIDE), np.zeros((SIDE, SIDE), dtype=np.uint8)
        if number % 2:
            row, column = generator.integers(2, SIDE - SQUARE - 2, 2)
            mask[row : row + SQUARE, column : column + SQUARE] = 255
            values[mask > 0] += 110
        save(values, folder / f"{number:03}.png")
        save(mask, folder / "masks" / f"{number:03}.png")
    return folder


def listing(folder: Path) -> Listing:
    """Neighbours are a group."""
    return Listing(
        tuple(
            Case(path.stem, path, int(path.stem) % 2, f"group-{int(path.stem) // 2}", folder / "masks" / path.name)
            for path in sorted(folder.glob("*.png"))
        )
    )


def image(case: Case) -> Array:
    return read_grey(case.image)[None] / 64 - 2


def mask(case: Case) -> npt.NDArray[np.uint8]:
    assert case.mask is not None
    return (read_grey(case.mask) > 127).astype(np.uint8)


def unchanged(image: Tensor, mask: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
    return image, mask


def classifier(width: int = 8) -> ResidualClassifier:
    return ResidualClassifier(1, 2, width, (1, 1))


CLASSIFICATION = Task(
    id="shapes",
    dataset=(),
    kind="classification",
    classes=("none", "square"),
    positive=(1,),
    listing=listing,
    image=image,
    network=classifier,
    augment=unchanged,
    settings=Settings(epochs=4, batch=8, learning_rate=3e-3, ema=0.9, storage="fp32"),
    parts=(0.5, 0.25, 0.25),
)

SEGMENTATION = Task(
    id="outlines",
    dataset=(),
    kind="segmentation",
    classes=("background", "square"),
    positive=(1,),
    listing=listing,
    image=image,
    mask=mask,
    network=lambda: UNet2d(1, 2, 8, 3),
    augment=unchanged,
    settings=Settings(epochs=4, batch=8, learning_rate=3e-3, ema=0.9),
    parts=(0.5, 0.25, 0.25),
)
