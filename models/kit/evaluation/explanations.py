"""Heat maps of the best, the median and the worst cases, and the figure that says whether they can be believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from models.kit.cases import Problem
from models.kit.evaluation.classification import Classification
from models.kit.evaluation.gallery import ranked
from models.kit.evaluation.outlining import Segmentation
from models.kit.evaluation.predictions import ANY
from models.kit.evaluation.report import Picture, Section, Table
from models.kit.evaluation.run import Run
from models.kit.explain.faithfulness import SHARE, Attribution, Faithfulness, faithfulness
from models.kit.explain.input_map import input_map
from models.kit.explain.methods import grad_cam
from models.kit.explain.overlay import write_overlays
from models.kit.task import Array
from models.kit.trained import explained

MOST_CASES = 40
SHOWN = 1


def _grad_cam(network: nn.Module, inputs: Tensor, class_index: int) -> Array:
    return grad_cam(network, inputs, class_index)


MAPS: Mapping[str, Attribution] = {"Grad-CAM": _grad_cam, "integrated gradients": input_map}


def of_classification(run: Run, found: Classification) -> tuple[dict[str, Any], tuple[Section, ...]]:
    """Of a classifier of pictures: how faithful each kind of map is, by class, and maps of chosen cases.

    Nothing where the network has no layer that a Grad-CAM can weigh; that is a problem with its reason.
    """
    called = found.logits.argmax(axis=1)
    given = {index: np.flatnonzero(called == index) for index in range(len(run.task.classes))}
    belief = found.probabilities[np.arange(len(found.part.labels)), found.part.labels]

    def shown(index: int) -> tuple[int, str]:
        likely, label = int(called[index]), int(found.part.labels[index])
        said = f"{run.task.classes[likely]} {found.probabilities[index, likely]:.2f}"
        return likely, f"{said}, in truth {run.task.classes[label]}"

    return _explained(run, given, _Shown(belief, shown), "cases that the network gives to the class")


def of_segmentation(run: Run, found: Segmentation) -> tuple[dict[str, Any], tuple[Section, ...]]:
    """Of a segmentation of pictures the same, by what is drawn; a map speaks for the region of its class.

    Nothing where the network looks at several views and has no ``Task.explained``: a Grad-CAM has no place in them.
    """
    if run.task.explained is None:
        return {}, ()
    given = {
        index: np.array([row for row, image in enumerate(found.images) if (image.drawn == index).any()], dtype=np.intp)
        for index in run.task.positive
    }
    overlap = np.array([image.overlaps[ANY].dice for image in found.images])

    def shown(index: int) -> tuple[int, str]:
        areas = {one: int((found.images[index].drawn == one).sum()) for one in run.task.positive}
        largest = max(areas, key=lambda one: areas[one])
        return largest, f"{run.task.classes[largest]}, {areas[largest]} pixels, Dice {overlap[index]:.2f}"

    return _explained(run, given, _Shown(overlap, shown), "cases in which it is drawn")


@dataclass(frozen=True, slots=True)
class _Shown:
    """How good each case is, and of a case the class that its map speaks for, and what is said of it."""

    quality: npt.NDArray[np.float64]
    of: Callable[[int], tuple[int, str]]


def _explained(
    run: Run, given: Mapping[int, npt.NDArray[np.intp]], shown: _Shown, which: str
) -> tuple[dict[str, Any], tuple[Section, ...]]:
    """``given``: by class the cases that its maps are measured on, ``which`` in words."""
    if any(sample.image.ndim != 3 for sample in run.part.samples):
        return {}, ()
    network = explained(run.task, run.network)
    try:
        figures = _figures(run, network, given)
        pictures = _pictures(run, network, shown)
    except ValueError as error:
        run.problems.append(Problem("explanation", str(error)))
        return {}, ()
    document = {
        name: {kind: {"fall": one.fall.as_json(), "by_chance": one.by_chance.as_json()} for kind, one in kinds.items()}
        for name, kinds in figures.items()
    }
    rows = [
        [name, kind, str(figure.fall), str(figure.by_chance)]
        for name, kinds in figures.items()
        for kind, figure in kinds.items()
    ]
    note = (
        f"Fall of the log-odds of the class when the {100 * SHARE:g} % of the picture that a map marks most is turned "
        f"to even grey, over {which}; by chance: the same with a smooth random map. "
        "A map whose fall is no higher than chance explains nothing. Maps speak for the most probable class."
    )
    table = Table(["class", "map", "fall", "by chance"], rows)
    return {"explanation": document}, (Section("Explanation", note, [table], pictures),)


def _figures(
    run: Run, network: nn.Module, given: Mapping[int, npt.NDArray[np.intp]]
) -> dict[str, dict[str, Faithfulness]]:
    """By class and kind of map; without classes that no case has."""
    made = {}
    for index, rows in given.items():
        # Evenly over the part: its order is that of the files.
        chosen = [run.part.cases[one] for one in rows[:: max(1, -(-len(rows) // MOST_CASES))]]
        if chosen:
            made[run.task.classes[index]] = {
                kind: faithfulness(run.task, network, chosen, index, method, run.samples)
                for kind, method in MAPS.items()
            }
    return made


def _pictures(run: Run, network: nn.Module, shown: _Shown) -> list[Picture]:
    """Of the best, the median and the worst of the cases that have a quality."""
    judged = np.flatnonzero(~np.isnan(shown.quality))
    return [
        _picture(run, network, name, index, *shown.of(index))
        for name, chosen in ranked(shown.quality[judged]).items()
        for index in judged[chosen[:SHOWN]].tolist()
    ]


def _picture(run: Run, network: nn.Module, rank: str, index: int, likely: int, words: str) -> Picture:
    inputs = run.part.samples[index].image.float()[None].to(run.device)
    maps = {kind: method(network, inputs, likely) for kind, method in MAPS.items()}
    said = f"{rank}: {run.part.cases[index].id}: {words}"
    file = BytesIO()
    write_overlays(inputs[0].cpu().numpy(), maps, said, run.task.classes[likely], file)
    return Picture(file.getvalue(), said, wide=True)
