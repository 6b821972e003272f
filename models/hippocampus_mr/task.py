"""The package as the kit evaluates it. Its training is its own (`train.py`): fixed schedules, no case is chosen by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.hippocampus_mr import grid
from models.hippocampus_mr.augment import augment
from models.hippocampus_mr.data import DATASET, SUFFIX, case_id
from models.hippocampus_mr.model import network, preprocess
from models.hippocampus_mr.network import DIVISOR
from models.hippocampus_mr.report import on_the_node
from models.kit.cases import Case, Listing, Problem
from models.kit.data.listing import left_over
from models.kit.data.studies import read_volume
from models.kit.evaluation.predictions import SPACING_FACT
from models.kit.task import Array, Settings, Task

PATCH = (32, 48, 32)


def listing(data: Path) -> Listing:
    """Every crop with its labels; one without them is a problem. Patients are lost: each crop is a group.

    Raises:
        FileNotFoundError: the set is not there.
    """
    folder = data / DATASET
    if not (folder / "images").is_dir():
        raise FileNotFoundError(f"there is no folder images in {DATASET}")
    cases: list[Case] = []
    problems: list[Problem] = []
    for image in sorted((folder / "images").glob(f"*{SUFFIX}")):
        labels, name = folder / "labels" / image.name, f"{DATASET}/images/{case_id(image)}"
        if labels.is_file():
            # The label says only that there is something to outline.
            cases.append(Case(name, image, 1, case_id(image), labels, {SPACING_FACT: grid.SPACING_MM}))
        else:
            problems.append(Problem(name, "there are no labels"))
    told = {folder / "images" / f"{case_id(Path(problem.path))}{SUFFIX}" for problem in problems}
    return Listing(tuple(cases), (*problems, *left_over(folder, cases, told, data)))


def image(case: Case) -> Array:
    """The network's input, float32 (1, z, y, x) on the padded training grid, by the node's own preprocessing."""
    found: Array = preprocess(read_volume(case.image))[0].numpy()
    return found


def mask(case: Case) -> npt.NDArray[np.uint8]:
    """0 background, 1 anterior, 2 posterior on the grid of `image`.

    Raises:
        ValueError: there are no labels, or voxels that are not of 1 mm.
    """
    if case.mask is None:
        raise ValueError("a crop without labels")
    volume = read_volume(case.mask)
    plan = grid.training_grid(volume.shape, volume.affine, DIVISOR)
    if plan.shape != plan.turned_shape:
        raise ValueError("training expects 1 mm voxels")
    return np.pad(grid.turn(volume.array, plan), plan.padding).astype(np.uint8)


def patch(image: Tensor, mask: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
    """A random patch of (1, z, y, x), mirrored left-right at random; what a tuning trains on."""
    labels = torch.zeros(image.shape[1:], dtype=torch.uint8) if mask is None else mask
    sampled, truth = augment(image[0], labels, PATCH, "lr", generator)
    return sampled[None], None if mask is None else truth


TASK = Task(
    id="hippocampus_mr",
    dataset=(DATASET,),
    kind="segmentation",
    classes=("background", "anterior", "posterior"),
    positive=(1, 2),
    listing=listing,
    image=image,
    mask=mask,
    network=network,
    split=Path(__file__).with_name("split.json"),
    augment=patch,
    settings=Settings(epochs=28, batch=2, learning_rate=2e-3, weight_decay=1e-2, dropout=0.0, ema=0.995),
    # Up and down, front and back are not alike here; left and right are looked at by the network itself.
    views=("identity",),
    further=on_the_node,
    lesions=False,
)
