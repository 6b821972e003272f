"""The package as the kit trains and evaluates it.

Tumours: 2,610 slices of T1-weighted MR after contrast with masks, in runs of consecutive slices (`runs.csv`). Patient
identifiers are lost, so that neither a run nor a chunk of neighbouring runs crosses a split. Negatives: 352 slices
without tumour from other scanners, several sequences among them, in groups of four consecutive names.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from torch import nn

from models.brain_tumour_mr import grid
from models.brain_tumour_mr.augment import augment
from models.brain_tumour_mr.network import SliceUNet, TumourNetwork, network
from models.kit.cases import Case, Listing, Problem
from models.kit.data.duplicates import deduplicated
from models.kit.data.listing import left_over
from models.kit.data.pictures import read_grey
from models.kit.task import Array, Settings, Task

TUMOUR, HEALTHY = "brain-tumour-t1ce-256", "brain-mr-no-tumour-256"
HEALTHY_GROUP = 4


def listing(data: Path) -> Listing:
    """Every slice but twins; a tumour's slice without mask is a problem. Groups that share a near twin are joined.

    Raises:
        FileNotFoundError: `runs.csv` or a folder is not there.
    """
    cases: list[Case] = []
    problems: list[Problem] = []
    folder = data / TUMOUR
    told = {folder / "runs.csv"}
    with (folder / "runs.csv").open(newline="") as file:
        rows = {row["index"]: row for row in csv.DictReader(file)}
    for image in sorted(folder.glob("*.jpg")):
        mask = folder / f"{image.stem}_mask.png"
        row = rows.get(image.stem)
        name = f"{TUMOUR}/{image.stem}"
        if row is None or not mask.is_file():
            problems.append(Problem(name, "not in runs.csv" if row is None else "there is no mask"))
            told |= {image, mask}
            continue
        facts: dict[str, float | str] = {"run": row["run"], "source": "tumour"}
        facts |= {"sequence": f"run-{row['run']}", "position": float(image.stem)}
        cases.append(Case(name, image, 1, f"chunk-{row['chunk']}", mask, facts))
    for number, image in enumerate(sorted((data / HEALTHY).glob("*.jpg"))):
        group = f"healthy-{number // HEALTHY_GROUP}"
        facts = {"run": group, "source": "healthy", "sequence": group, "position": float(number)}
        cases.append(Case(f"{HEALTHY}/{image.stem}", image, 0, group, None, facts))
    problems += [one for root in (folder, data / HEALTHY) for one in left_over(root, cases, told, data)]
    return deduplicated(Listing(tuple(sorted(cases, key=lambda case: case.id)), tuple(problems)))


def image(case: Case) -> Array:
    """The slice on the network's plane, (1, 192, 192)."""
    return grid.from_picture(_upright(case, read_grey(case.image)))[None]


def mask(case: Case) -> npt.NDArray[np.uint8]:
    """1 where the tumour is, (192, 192)."""
    if case.mask is None:
        return np.zeros((grid.SIZE, grid.SIZE), dtype=np.uint8)
    return grid.mask_from_picture(_upright(case, read_grey(case.mask)) > 127)


def _upright(case: Case, picture: Array) -> Array:
    """The tumours' pictures are stored with rows and columns exchanged, the others as they are shown."""
    return picture.T if case.facts["source"] == "tumour" else picture


def score(probabilities: Array) -> float:
    """How surely a slice has a tumour: the surest pixel's probability, in which the head has its say."""
    return float(probabilities[1].max())


def whole_picture(network: nn.Module) -> SliceUNet:
    """What maps explain: the outlines of a picture as it is, without views and head."""
    return cast(TumourNetwork, network).slices


TASK = Task(
    id="brain_tumour_mr",
    dataset=(TUMOUR, HEALTHY),
    kind="segmentation",
    classes=("background", "tumour"),
    positive=(1,),
    listing=listing,
    image=image,
    mask=mask,
    network=network,
    split=Path(__file__).with_name("split.json"),
    augment=augment,
    settings=Settings(epochs=40, batch=8, learning_rate=2e-3, weight_decay=1e-2, dropout=0.1, ema=0.99, storage="bf16"),
    parts=(0.76, 0.1, 0.14),
    score=score,
    views=("identity",),
    explained=whole_picture,
)

# What is trained first; the head comes after it (``train.py``).
SLICES = replace(TASK, network=SliceUNet)
