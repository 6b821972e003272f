"""A task over pictures made up for tests, whose image function is a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from models.kit.cases import Case, Listing
from models.kit.data.listing import class_folders
from models.kit.data.pictures import read_grey
from models.kit.preprocess.pipeline import Pipeline, pipeline
from models.kit.task import Array, Task
from tests.unit.models.kit.pictures import save, textured

INPUT: Pipeline = pipeline(
    ("letterbox", {"rows": 32, "columns": 32}),
    ("median", {"size": 3}),
    ("clahe", {"tiles": 4}),
    "z_score",
    "channels_first",
)


def image(case: Case) -> Array:
    """The network's input of a case."""
    return INPUT(read_grey(case.image))


def tiny_task(made: Callable[[Case], Array] = image) -> Task:
    """Two classes in the folders ``set/well`` and ``set/ill``; the group is the name before the underscore."""

    def listing(data: Path) -> Listing:
        return class_folders(data / "set", {"well": 0, "ill": 1}, lambda path: path.stem.split("_")[0], data)

    def network() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 2))

    def augment(
        image: torch.Tensor, mask: torch.Tensor | None, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        return image, mask

    return Task("tiny", ("set",), "classification", ("well", "ill"), (1,), listing, made, network, augment)


def write_set(data: Path, patients: int = 20) -> None:
    """Two pictures of each patient, every second patient ill."""
    for patient in range(patients):
        for number in range(2):
            folder = data / "set" / ("ill" if patient % 2 else "well")
            save(textured(10 * patient + number, 48, 40), folder / f"p{patient:02}_{number}.png")
