"""What a package tells the kit about itself: ``models/<id>/task.py`` holds one ``TASK``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.kit.cases import Case, Listing
from models.kit.space import Space
from models.kit.views import View

Array = npt.NDArray[np.float32]
Further = Callable[[Any, Any], tuple[dict[str, Any], tuple[Any, ...]]]
Augment = Callable[[torch.Tensor, torch.Tensor | None, torch.Generator], tuple[torch.Tensor, torch.Tensor | None]]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a package is trained; written beside the weights, so that a run can be repeated.

    Attributes:
        epochs: of the whole schedule (linear warm-up, then cosine); ``patience`` epochs without a better validation
            score end it early, 0 never.
        accumulate: so many batches make one step of the optimiser.
        precision: ``fp32`` or ``bf16`` (autocast).
        ema: decay of the averaged weights, which are the ones that are kept; 0 keeps the last.
        class_weights: of the loss, one for each class; empty means equal.
        label_smoothing: of cross-entropy, 0..1.
        dice_over: of a segmentation's loss, what its Dice is counted over: the ``batch``, or each ``image``.
        dropout: of every dropout layer of the network, whatever it was built with.
        storage: of the weights that are kept; ``bf16`` halves the file.
    """

    epochs: int = 30
    batch: int = 16
    accumulate: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    dropout: float = 0.2
    ema: float = 0.99
    patience: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    class_weights: tuple[float, ...] = ()
    label_smoothing: float = 0.0
    dice_over: Literal["batch", "image"] = "batch"
    seed: int = 0
    storage: Literal["fp32", "bf16"] = "bf16"


@dataclass(frozen=True, slots=True)
class Kinds:
    """What similar cases have in common, where that is another thing than the task's classes.

    Attributes:
        names: of the kinds.
        of: (case) to the index of its kind; ``None`` where nobody knows it.
    """

    names: tuple[str, ...]
    of: Callable[[Case], int | None]


@dataclass(frozen=True, slots=True)
class Task:
    """One package as the kit trains, evaluates and explains it.

    Attributes:
        id: the package's folder below ``models/``.
        dataset: folder(s) below the data folder.
        kind: ``classification``: a class for an image; ``segmentation``: a class for a pixel.
        classes: their names; index 0 is background or the negative class.
        positive: indices that count as positive where a figure wants two classes.
        listing: (data folder with the ``dataset`` folders in it) to cases.
        image: the network's input of a case as float32 (channels, rows, columns), by the very functions that the
            package's ``preprocess`` uses on the node; before augmentation.
        mask: the truth of a segmentation, int64 values as float-free uint8 (rows, columns) on the grid of ``image``.
        network: a fresh network: (N, channels, rows, columns) to logits (N, classes) or (N, classes, rows, columns).
        augment: (image (C, H, W), mask (H, W) or None, generator) to the same, augmented; the size may change to the
            training size.
        parts: fractions of train, validation and test by group.
        space: what ``models.kit.tuning`` varies.
        split: the stored split that finished weights were trained on (``splits.write_split``): its test cases stay
            unseen whatever becomes of the dealing; groups that it does not know are dealt. ``None``: all are dealt.
        score: of a segmentation, how surely an image has anything positive, 0..1, by its probabilities (classes, rows,
            columns); ``None``: the kit's own (``models.kit.evaluation.predictions.image_score``).
        views: of an image that leave its truth as it is. An evaluation looks at how far they change the answer of a
            network that is no ensemble; with one view there is nothing to compare.
        further: what only this package measures: (``evaluation.run.Run``, the network's ``evaluation.classification.
            Classification`` or ``evaluation.outlining.Segmentation``) to a part of ``metrics.json`` and sections of the
            report, whose tables stand in the card's, too.
        kinds: what similar cases are judged by; ``None``: the classes, of a segmentation whether the mask has anything.
        explained: (the trained network) to one of the same weights that maps explain. For networks that look at several
            views of a picture: a class activation map has its places in one of them.
        lesions: of a segmentation, whether what is positive are things to be found, so that an evaluation counts which
            of them were; an organ that every image shows is not.
        required_sensitivity: the operating point is the most specific one with this sensitivity on the validation
            cases; ``None``: the largest Youden index.
    """

    id: str
    dataset: tuple[str, ...]
    kind: Literal["classification", "segmentation"]
    classes: tuple[str, ...]
    positive: tuple[int, ...]
    listing: Callable[[Path], Listing]
    image: Callable[[Case], Array]
    network: Callable[[], nn.Module]
    augment: Augment
    mask: Callable[[Case], npt.NDArray[np.uint8]] | None = None
    settings: Settings = field(default_factory=Settings)
    parts: tuple[float, float, float] = (0.7, 0.15, 0.15)
    split: Path | None = None
    space: Space = field(default_factory=Space)
    score: Callable[[Array], float] | None = None
    views: tuple[View, ...] = ("identity", "flip_columns")
    further: Further | None = None
    kinds: Kinds | None = None
    explained: Callable[[nn.Module], nn.Module] | None = None
    lesions: bool = True
    required_sensitivity: float | None = None


def load_task(package: str) -> Task:
    """The task of the built-in package ``package``.

    Raises:
        ModuleNotFoundError: there is no such package, or it is not trained by the kit.
    """
    task: Task = importlib.import_module(f"models.{package}.task").TASK
    return task
