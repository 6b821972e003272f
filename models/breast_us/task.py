"""What the kit needs to train, evaluate and explain this package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.breast_us.input import network_input
from models.breast_us.network import in_place, member, network
from models.kit.cases import Case, Listing
from models.kit.data.listing import class_folders
from models.kit.data.pictures import read_grey
from models.kit.networks.residual import ResidualClassifier
from models.kit.picture_augment import PictureAugment
from models.kit.task import Array, Settings, Task
from models.kit.transfer import with_features_of

DATASET = "breast-us-busi"
CHEST_WEIGHTS = Path(__file__).parent.parent / "chest_xray_pneumonia" / "weights.safetensors"
CLASSES = ("normal", "benign", "malignant")


def listing(data: Path) -> Listing:
    """Every picture below ``data``. Patients are lost: each picture is a group, the kit joins near twins."""
    labels = {name: index for index, name in enumerate(CLASSES)}
    return class_folders(data / DATASET, labels, lambda picture: f"{picture.parent.name}/{picture.stem}", data)


def image(case: Case) -> Array:
    """The network's input of a case."""
    return network_input(read_grey(case.image))


def started_member() -> ResidualClassifier:
    """A member before its training: it begins with what the network for chest X-rays sees."""
    return with_features_of(member(), CHEST_WEIGHTS)


MEMBER = Task(
    id="breast_us",
    dataset=(DATASET,),
    kind="classification",
    classes=CLASSES,
    positive=(2,),
    listing=listing,
    image=image,
    network=started_member,
    split=Path(__file__).with_name("split.json"),
    augment=PictureAugment(
        rotation=12, scale=1.3, aspect=1.15, shift=0.1, gamma=1.5, gain=1.3, blank=0.5, blank_side=0.35
    ),
    settings=Settings(epochs=64, batch=16, learning_rate=2e-3, weight_decay=2e-2, dropout=0.3, ema=0.98),
    required_sensitivity=0.9,
)

# What is evaluated and shipped: the members together.
TASK = replace(MEMBER, network=network, explained=in_place)
