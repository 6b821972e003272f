"""The package as the kit trains and evaluates it: nodule or not, for each pixel of crops of LIDC-IDRI.

Truth is the consensus of at least half the readers: what two or more of the three or four readers outlined
(``readers/*.png`` holds their number). Split by patient (``pid``).
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.kit.augment import compose
from models.kit.cases import Case, Listing, Problem
from models.kit.data.pictures import read_grey
from models.kit.task import Array, Kinds, Settings, Task
from models.lung_nodule_ct import crops
from models.lung_nodule_ct.network import NoduleUNet, SingleLook, network, single_look
from models.lung_nodule_ct.rated import INDETERMINATE, malignancy_figures

FOLDER = "lung-nodule-lidc-128"
CONSENSUS = 2
# By the readers' rating of malignancy.
RATED = ("rated 1 or 2", "rated 3", "rated 4 or 5")


def listing(data: Path) -> Listing:
    """Every crop of ``slices.csv``; one without picture or readers' mask is a problem.

    Raises:
        FileNotFoundError: `slices.csv` is not there.
    """
    folder = data / FOLDER
    cases: list[Case] = []
    problems: list[Problem] = []
    with (folder / "slices.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            image, mask = folder / "img" / f"{row['file']}.jpg", folder / "readers" / f"{row['file']}.png"
            name = f"{FOLDER}/{row['file']}"
            if not image.is_file() or not mask.is_file():
                problems.append(Problem(name, "its picture or its readers' mask is not there"))
                continue
            facts: dict[str, float | str] = {
                "nodule": f"{row['pid']}/{row['nodule']}",
                "readers": float(row["readers"]),
                "area": float(row["area"]),
                "largest": float(row["is_max"]),
            }
            if row["malignancy"]:
                facts["malignancy"] = float(row["malignancy"])
            cases.append(Case(name, image, 1, row["pid"], mask, facts))
    return Listing(tuple(sorted(cases, key=lambda case: case.id)), tuple(problems))


def image(case: Case) -> Array:
    """The case's window at random, (1, 80, 80)."""
    return crops.normalised(np.asarray(crops.window(read_grey(case.image), case.id), dtype=np.float32))[None]


def mask(case: Case) -> npt.NDArray[np.uint8]:
    """1 where at least ``CONSENSUS`` readers saw the nodule, (80, 80)."""
    if case.mask is None:
        raise ValueError("a crop without the readers' mask")
    return np.asarray(crops.window(read_grey(case.mask) >= CONSENSUS, case.id), dtype=np.uint8)


# What is trained first: every picture as it is, once.
TRAINED = Task(
    id="lung_nodule_ct",
    dataset=(FOLDER,),
    kind="segmentation",
    classes=("background", "nodule"),
    positive=(1,),
    listing=listing,
    image=image,
    mask=mask,
    network=NoduleUNet,
    split=Path(__file__).with_name("split.json"),
    augment=compose(
        mirror=(0, 1),
        quarter_turns=True,
        rotation=15,
        scale=0.2,
        shift=0.25,
        fill="reflection",
        brightness=0.3,
        contrast=0.3,
        gamma=0.2,
        noise=0.1,
        blur=0.7,
    ),
    settings=Settings(epochs=36, batch=8, learning_rate=2e-3, weight_decay=1e-2, dropout=0.1, ema=0.99),
    parts=(0.7, 0.12, 0.18),
)

# The other member: on enlarged pictures, and a small nodule weighs as much as a large one.
ENLARGED = replace(TRAINED, network=SingleLook, settings=replace(TRAINED.settings, seed=1, dice_over="image"))


def rated_kind(case: Case) -> int | None:
    """The index in ``RATED`` of a case; ``None`` where the readers' rating is not known."""
    if "malignancy" not in case.facts:
        return None
    rating = float(case.facts["malignancy"])
    return 0 if rating < INDETERMINATE else 1 if rating == INDETERMINATE else 2


# What is evaluated and shipped.
TASK = replace(
    TRAINED,
    network=network,
    further=malignancy_figures,
    kinds=Kinds(RATED, rated_kind),
    explained=single_look,
)
