"""What the kit needs to train, evaluate and explain this package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.kit.cases import Case, Listing
from models.kit.data.listing import class_folders
from models.kit.data.pictures import read_rgb
from models.kit.networks.residual import ResidualClassifier
from models.kit.picture_augment import PictureAugment
from models.kit.task import Array, Settings, Task
from models.kit.transfer import with_features_of
from models.retinopathy_fundus.input import network_input, without_source
from models.retinopathy_fundus.model import network

DATASET = "fundus-dr-224"
CHEST_WEIGHTS = Path(__file__).parent.parent / "chest_xray_pneumonia" / "weights.safetensors"
CLASSES = ("normal", "diabetic retinopathy")


def patient_of(picture: Path) -> str:
    """The patient by the number before ``_left`` or ``_right``; the two sources number their patients by themselves."""
    return f"{picture.parent.name}/{picture.stem.split('_')[0]}"


def listing(data: Path) -> Listing:
    """Every photograph below ``data``."""
    labels = {"normal": 0, "diabetic_retinopathy": 1}
    return class_folders(data / DATASET, labels, patient_of, data)


def image(case: Case) -> Array:
    """The network's input of a case."""
    return network_input(read_rgb(case.image))


def control_image(case: Case) -> Array:
    """The control's input of a case."""
    return without_source(read_rgb(case.image))


def control_network() -> ResidualClassifier:
    """(N, 1, 128, 128) to logits (N, 2); before its training it sees what the network for chest X-rays sees."""
    fresh = ResidualClassifier(channels=1, classes=2, width=24, blocks=(1, 1, 1, 1), dropout=0.2)
    return with_features_of(fresh, CHEST_WEIGHTS)


TASK = Task(
    id="retinopathy_fundus",
    dataset=(DATASET,),
    kind="classification",
    classes=CLASSES,
    positive=(1,),
    listing=listing,
    image=image,
    network=network,
    split=Path(__file__).with_name("split.json"),
    augment=PictureAugment(
        rotation=4, scale=1.03, aspect=1.02, shift=0.01, gamma=1.05, gain=1.05, offset=0.03, noise=0.02, blur=0, blank=0
    ),
    settings=Settings(epochs=16, batch=8, learning_rate=2e-3, weight_decay=2e-2, dropout=0.1, ema=0.98),
)

# What remains when the sources look alike; measured for the card, not shipped.
CONTROL = replace(
    TASK,
    image=control_image,
    network=control_network,
    augment=PictureAugment(rotation=20, scale=1.15, aspect=1.05, shift=0.06, flip=0.5, gamma=1.1, blank=0.1),
    settings=Settings(epochs=16, batch=16, learning_rate=2e-3, weight_decay=2e-2, dropout=0.2, ema=0.98),
)
