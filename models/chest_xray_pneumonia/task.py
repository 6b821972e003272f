"""What the kit needs to train, evaluate and explain this package."""

from __future__ import annotations

import re
from pathlib import Path

from models.chest_xray_pneumonia.input import network_input
from models.chest_xray_pneumonia.model import network
from models.kit.cases import Case, Listing
from models.kit.data.listing import class_folders
from models.kit.data.pictures import read_grey
from models.kit.picture_augment import PictureAugment
from models.kit.task import Array, Settings, Task

DATASET = "chest-xray-pneumonia-224"
CLASSES = ("normal", "pneumonia")
PERSON = re.compile(r"(?P<person>person\d+)_|(?:NORMAL2-)?IM-(?P<number>\d+)-")


def person_of(picture: Path) -> str:
    """The child of a picture by its file name; a name that tells none is a person of its own.

    Pictures without pneumonia carry the number of an examination; equal numbers are taken for one child.
    """
    found = PERSON.match(picture.name)
    if found is None:
        return f"file-{picture.stem}"
    return found["person"] or f"normal-{found['number']}"


def listing(data: Path) -> Listing:
    """Every picture below ``data``."""
    return class_folders(data / DATASET / "train", {"NORMAL": 0, "PNEUMONIA": 1}, person_of, data)


def image(case: Case) -> Array:
    """The network's input of a case."""
    return network_input(read_grey(case.image))


TASK = Task(
    id="chest_xray_pneumonia",
    dataset=(DATASET,),
    kind="classification",
    classes=CLASSES,
    positive=(1,),
    listing=listing,
    image=image,
    network=network,
    split=Path(__file__).with_name("split.json"),
    augment=PictureAugment(),
    settings=Settings(epochs=18, batch=16, learning_rate=2e-3, weight_decay=2e-2, dropout=0.3, ema=0.995),
    required_sensitivity=0.95,
)
