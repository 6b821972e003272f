"""The best, the median and the worst cases as one picture: a mean has no face."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from models.kit.evaluation.classification import Classification
from models.kit.evaluation.figures import png
from models.kit.evaluation.outlining import Segmentation
from models.kit.evaluation.predictions import ANY, Outlined
from models.kit.task import Array, Task
from models.kit.training.samples import Sample

SHOWN = 4
CELL_INCHES = 2.3
MOST_CHARACTERS = 34


@dataclass(frozen=True, slots=True)
class Picture:
    """An image with its caption; outlines of truth (green) and of what was found (red), where there are any.

    Both hold a class for each pixel, 0 where there is nothing to outline.
    """

    image: Array
    caption: str
    truth: npt.NDArray[np.uint8] | None = None
    found: npt.NDArray[np.uint8] | None = None


def of_classification(task: Task, found: Classification) -> dict[str, list[Picture]]:
    """Cases by the probability of their true class: best, median, worst."""
    labels, probabilities = found.part.labels, found.probabilities
    belief = probabilities[np.arange(len(labels)), labels]

    def picture(index: int) -> Picture:
        likely = int(probabilities[index].argmax())
        said = f"{task.classes[likely]} {probabilities[index, likely]:.2f}"
        caption = f"{_short(found.part.cases[index].id)}\ntrue {task.classes[labels[index]]}; {said}"
        return Picture(displayed(found.part.samples[index].image.float().numpy()), caption)

    return {name: [picture(index) for index in chosen] for name, chosen in ranked(belief).items()}


def of_segmentation(task: Task, found: Segmentation) -> dict[str, list[Picture]]:
    """Images with something to outline by their Dice, and those without by how much was seen in them."""
    dice = np.array([image.overlaps[ANY].dice for image in found.images])
    present = np.flatnonzero(found.truth)
    empty = np.flatnonzero(~found.truth)
    groups = {name: present[chosen] for name, chosen in ranked(dice[present]).items()}
    if len(empty):
        groups["false alarms"] = empty[np.argsort(-found.scores[empty], kind="stable")[:SHOWN]]
    samples = found.part.samples
    return {
        name: [_outlined(task, found.images[index], samples[index], dice[index]) for index in chosen]
        for name, chosen in groups.items()
    }


def ranked(values: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.intp]]:
    """Indices of the ``SHOWN`` largest, middle and smallest values; none twice where there are few."""
    order = np.argsort(-values, kind="stable")
    count = min(SHOWN, max(1, len(order) // 3))
    middle = max(0, (len(order) - count) // 2)
    return {"best": order[:count], "median": order[middle : middle + count], "worst": order[::-1][:count]}


def drawn(rows: dict[str, list[Picture]]) -> bytes:
    """A PNG with a row for each name."""
    columns = max(len(pictures) for pictures in rows.values())
    figure = Figure(figsize=(CELL_INCHES * columns, (CELL_INCHES + 0.5) * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, pictures) in zip(grid, rows.items(), strict=True):
        for axes in line:
            axes.axis("off")
        for axes, picture in zip(line, pictures, strict=False):
            axes.imshow(picture.image, cmap="gray", vmin=0, vmax=1)
            for classes, colour in ((picture.truth, "lime"), (picture.found, "red")):
                for mask in _masks(classes):
                    axes.contour(mask, levels=[0.5], colors=colour, linewidths=0.9)
            axes.set_title(f"{name}: {picture.caption}", fontsize=7)
    return png(figure)


def displayed(image: Array, place: int | None = None) -> Array:
    """A network's input as grey (rows, columns) or RGB (rows, columns, 3) in 0..1.

    Three channels are colours if they differ in their means, else slices, of which the middle one is shown; of a
    volume the slice at ``place``, the middle one without it.
    """
    plane = image[:, image.shape[1] // 2 if place is None else place] if image.ndim == 4 else image
    low, high = np.percentile(plane, [0.5, 99.5])
    scaled: Array = np.clip((plane - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)
    if len(scaled) == 3 and np.ptp(scaled.mean(axis=(1, 2))) > 0.02:
        coloured: Array = np.moveaxis(scaled, 0, 2)
        return coloured
    middle: Array = scaled[len(scaled) // 2]
    return middle


def _outlined(task: Task, image: Outlined, sample: Sample, dice: float) -> Picture:
    assert sample.mask is not None
    truth, found = (
        np.where(np.isin(one, task.positive), one, 0).astype(np.uint8) for one in (sample.mask.numpy(), image.drawn)
    )
    place = None
    if truth.ndim == 3:
        place = _fullest(truth if truth.any() else found)
        truth, found = truth[place], found[place]
    figure = f"score {image.score:.2f}" if np.isnan(dice) else f"Dice {dice:.2f}"
    caption = f"{_short(image.case.id)}\n{figure}"
    return Picture(displayed(sample.image.float().numpy(), place), caption, truth, found)


def _fullest(classes: npt.NDArray[np.uint8]) -> int:
    """The slice of a volume that shows most; of several, and of an empty volume, the middle one."""
    areas = np.count_nonzero(classes, axis=(1, 2))
    most = np.flatnonzero(areas == areas.max())
    return int(most[len(most) // 2])


def _masks(classes: npt.NDArray[np.uint8] | None) -> Iterator[npt.NDArray[np.bool_]]:
    """Of each class with an outline."""
    if classes is None:
        return
    for index in np.unique(classes[classes > 0]):
        mask = classes == index
        if not mask.all():
            yield mask


def _short(name: str) -> str:
    return name if len(name) <= MOST_CHARACTERS else "..." + name[3 - MOST_CHARACTERS :]
