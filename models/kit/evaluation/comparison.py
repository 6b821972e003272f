"""All classical baselines of a task, on the split of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from models.kit.baselines import trivial
from models.kit.baselines.cache import FeatureCache
from models.kit.baselines.classical import Settings, Table, classifiers, fitted, logistic
from models.kit.baselines.features import Features, features
from models.kit.baselines.pixels import Image, outlines
from models.kit.cases import Problem
from models.kit.evaluation import overlaps
from models.kit.evaluation.parts import Part, shown
from models.kit.evaluation.predictions import SURFACE_TOLERANCE, spacing_of
from models.kit.evaluation.resampling import SAMPLES
from models.kit.evaluation.rows import Judged, Row
from models.kit.evaluation.run import Parts
from models.kit.evaluation.segmentation import overlap
from models.kit.task import Array, Task
from models.kit.trained import UNREADABLE

# So many training images make a classifier of pixels; more cost time and change little.
PIXEL_IMAGES = 300


def of_images(task: Task, parts: Parts, folder: Path, problems: list[Problem]) -> Iterator[Judged]:
    """Every classifier of whole images.

    Args:
        folder: where computed features are kept.
        problems: receives which baseline could not be made, and why.

    Raises:
        ValueError: training or validation have cases of one class only.
    """
    train, validation, test = (part.truth(task.positive) for part in parts.all)

    def judged(name: str, settings: Settings, columns: Sequence[Features]) -> Judged:
        table = Table(columns[0], columns[1], columns[2], train, validation)
        return Judged(fitted(name, settings, table), validation, test, parts.test.groups)

    by_hand = hand_made(parts, folder)
    for name, settings in classifiers(len(train), task.settings.seed):
        yield judged(name, settings, by_hand)
    inputs = _vectors(parts, folder / "statistics.npz", trivial.statistics)
    yield judged("trivial: border and mean of the network's input", logistic(), inputs)
    try:
        files = [
            np.stack([trivial.statistics(trivial.file_picture(case)) for case in shown(part.cases, "file statistics")])
            for part in parts.all
        ]
    except UNREADABLE as error:
        problems.append(Problem("baselines", f"no statistics of the files: {type(error).__name__}: {error}"))
    else:
        yield judged("trivial: size, border and mean of the file", logistic(), files)
    for fact in trivial.numeric_facts(tuple(case for part in parts.all for case in part.cases)):
        yield judged(f"trivial: {fact} alone", logistic(), [_column(part, fact) for part in parts.all])


def hand_made(parts: Parts, folder: Path) -> list[Features]:
    """The hand-made features (N, F) of each part, as kept in ``folder``."""
    return _vectors(parts, folder / "features.npz", features)


def of_pixels(task: Task, parts: Parts, samples: int = SAMPLES) -> Iterator[Row]:
    """Every outline without a network, of all positive classes as one.

    Raises:
        ValueError: no training or no validation image has anything positive.
    """
    train, validation, test = (_images(task, part) for part in parts.all)
    step = max(1, len(train) // PIXEL_IMAGES)
    for drawn in outlines(train[::step], validation, [one.image for one in test], task.settings.seed):
        compared = [
            overlap(mask, one.mask, (spacing_of(case)[0],) * one.mask.ndim, SURFACE_TOLERANCE)
            for mask, one, case in zip(drawn.masks, test, parts.test.cases, strict=True)
        ]
        yield Row(drawn.name, drawn.setting, overlaps.measured(compared, parts.test.groups, samples), "outlines")


def _images(task: Task, part: Part) -> list[Image]:
    return [
        Image(sample.image.float().numpy(), np.isin(sample.mask.numpy(), task.positive))
        for sample in part.samples
        if sample.mask is not None
    ]


def _vectors(parts: Parts, file: Path, make: Callable[[Array], Features]) -> list[Features]:
    cache = FeatureCache(file)
    return [cache.of((one.image.float().numpy() for one in shown(part.samples, file.stem)), make) for part in parts.all]


def _column(part: Part, fact: str) -> Features:
    return np.array([[float(case.facts[fact])] for case in part.cases], dtype=np.float32)
