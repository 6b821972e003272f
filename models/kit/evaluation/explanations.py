"""Heat maps of the best, the median and the worst cases, and the figure that says whether they can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from models.kit.cases import Problem
from models.kit.evaluation.classification import Classification
from models.kit.evaluation.gallery import ranked
from models.kit.evaluation.report import Picture, Section, Table
from models.kit.evaluation.run import Run
from models.kit.explain.faithfulness import SHARE, Attribution, Faithfulness, faithfulness
from models.kit.explain.input_map import input_map
from models.kit.explain.methods import grad_cam
from models.kit.explain.overlay import write_overlays
from models.kit.task import Array

MOST_CASES = 40
SHOWN = 1


def _grad_cam(network: nn.Module, inputs: Tensor, class_index: int) -> Array:
    return grad_cam(network, inputs, class_index)


MAPS: Mapping[str, Attribution] = {"Grad-CAM": _grad_cam, "integrated gradients": input_map}


def explanations(run: Run, found: Classification) -> tuple[dict[str, Any], tuple[Section, ...]]:
    """Of a classifier of pictures: how faithful each kind of map is, by class, and maps of chosen cases.

    Nothing where the network has no layer that a Grad-CAM can weigh; that is a problem with its reason.
    """
    if any(sample.image.ndim != 3 for sample in run.part.samples):
        return {}, ()
    try:
        figures = _figures(run, found)
        pictures = _pictures(run, found)
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
        "to even grey, over cases that the network gives to the class; by chance: the same with a smooth random map. "
        "A map whose fall is no higher than chance explains nothing. Maps speak for the most probable class."
    )
    table = Table(["class", "map", "fall", "by chance"], rows)
    return {"explanation": document}, (Section("Explanation", note, [table], pictures),)


def _figures(run: Run, found: Classification) -> dict[str, dict[str, Faithfulness]]:
    """By class and kind of map; without classes that the network gives to nobody."""
    called = found.logits.argmax(axis=1)
    made = {}
    for index, name in enumerate(run.task.classes):
        given = np.flatnonzero(called == index)
        # Evenly over the part: its order is that of the files.
        chosen = [run.part.cases[one] for one in given[:: max(1, -(-len(given) // MOST_CASES))]]
        if chosen:
            made[name] = {
                kind: faithfulness(run.task, run.network, chosen, index, method, run.samples)
                for kind, method in MAPS.items()
            }
    return made


def _pictures(run: Run, found: Classification) -> list[Picture]:
    """Of the best, the median and the worst cases by the probability of the true class."""
    labels, probabilities = found.part.labels, found.probabilities
    belief = probabilities[np.arange(len(labels)), labels]
    return [
        _picture(run, name, int(index), probabilities[index], int(labels[index]))
        for name, chosen in ranked(belief).items()
        for index in chosen[:SHOWN]
    ]


def _picture(run: Run, rank: str, index: int, probabilities: npt.NDArray[np.float64], label: int) -> Picture:
    classes, case = run.task.classes, run.part.cases[index]
    likely = int(probabilities.argmax())
    inputs = run.part.samples[index].image.float()[None].to(run.device)
    maps = {kind: method(run.network, inputs, likely) for kind, method in MAPS.items()}
    said = f"{rank}: {case.id}: {classes[likely]} {probabilities[likely]:.2f}, in truth {classes[label]}"
    file = BytesIO()
    write_overlays(inputs[0].cpu().numpy(), maps, said, classes[likely], file)
    return Picture(file.getvalue(), said, wide=True)
