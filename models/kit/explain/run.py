"""``ainode models explain``: a picture and a few numbers that say why a network decided as it did."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.kit.cases import Case
from models.kit.explain.heat_map import DEFAULT_LAYER
from models.kit.explain.methods import grad_cam, integrated_gradients, occlusion
from models.kit.explain.overlay import write_overlays
from models.kit.task import Array, Task
from models.kit.trained import (
    class_probabilities,
    explained,
    network_input,
    trained_network,
    unlabelled,
    weights_digest,
)
from node.errors import UnsupportedImage

Method = Callable[[nn.Module, Tensor, int, str | None], Array]

METHODS: Mapping[str, Method] = {
    "Grad-CAM": grad_cam,
    "integrated gradients": lambda network, inputs, index, layer: integrated_gradients(network, inputs, index),
    "occlusion": lambda network, inputs, index, layer: occlusion(network, inputs, index),
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One explained picture.

    Attributes:
        case: its id.
        class_name: the class that the maps speak for.
        probability: of that class; of a segmentation the highest of any pixel.
        maps: float32 (rows, columns) on the grid of the network's input, by method.
        picture: the PNG; beside it lie the maps (``.npz``) and the numbers (``.json``) under the same name.
    """

    case: str
    class_name: str
    probability: float
    maps: Mapping[str, Array]
    picture: Path


def explain(
    task: Task,
    weights: Path,
    image: Case | Path,
    out: Path,
    class_index: int | None = None,
    methods: Sequence[str] = tuple(METHODS),
    layer: str | None = None,
    device: str = "cpu",
) -> Explanation:
    """Explain one image of a two-dimensional task, and write the pictures into ``out``.

    Args:
        image: a case, or the path of an image that ``task.image`` can read without knowing more.
        class_index: of ``task.classes``; None means the most probable class of a classifier, and of a segmentation the
            positive class (else: class but the background) with the largest region.
        methods: names of ``METHODS``.
        layer: for Grad-CAM, a dotted name in the network (of an ensemble: in each member); None is the
            ``last_convolution`` of the network or of what it wraps.

    Raises:
        InvalidModelPackage: the weights do not fit the task's network.
        UnsupportedImage: the task gives no picture (channels, rows, columns).
        ValueError: no such class, method or layer.
        AinodeError, OSError: the image cannot be read.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(METHODS)}")
    case = unlabelled(image)
    network = trained_network(task, weights, device)
    inputs = network_input(task, case)
    if inputs.ndim != 4:
        raise UnsupportedImage(f"{task.id} gives the shape {tuple(inputs.shape[1:])}, which is no picture to explain")
    probabilities = class_probabilities(network, inputs)[0]
    index = _chosen_class(task, probabilities, class_index)
    seeing = explained(task, network)
    maps = {name: METHODS[name](seeing, inputs.to(device), index, layer) for name in methods}
    probability = float(probabilities[index].max())
    out.mkdir(parents=True, exist_ok=True)
    stem = file_stem(case.id)
    done = Explanation(case.id, task.classes[index], probability, maps, out / f"{stem}.png")
    truth = task.classes[case.label] if isinstance(image, Case) and task.kind == "classification" else None
    write_overlays(inputs[0].numpy(), maps, _title(done, truth), done.class_name, done.picture)
    # np.load gives them back under the methods' names.
    np.savez_compressed(out / f"{stem}.npz", allow_pickle=False, **maps)
    highest = {name: round(float(value.max()), 6) for name, value in zip(task.classes, probabilities, strict=True)}
    facts = {
        "task": task.id,
        "case": case.id,
        "truth": truth,
        "class": done.class_name,
        "probabilities": highest,
        "methods": list(maps),
        "layer": layer or DEFAULT_LAYER,
        "weights_sha256": weights_digest(weights),
    }
    (out / f"{stem}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return done


def file_stem(case_id: str) -> str:
    """A file name for a case id, which may hold slashes: what had to be replaced is told apart by a digest."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", case_id)
    return safe if safe == case_id else f"{safe}-{hashlib.sha256(case_id.encode()).hexdigest()[:6]}"


def _chosen_class(task: Task, probabilities: Tensor, class_index: int | None) -> int:
    if class_index is not None:
        if not 0 <= class_index < len(task.classes):
            raise ValueError(f"class {class_index} of {len(task.classes)} classes")
        return class_index
    if task.kind == "classification":
        return int(probabilities.argmax())
    wanted = task.positive or tuple(range(1, len(task.classes)))
    areas = torch.bincount(probabilities.argmax(dim=0).flatten(), minlength=len(task.classes))
    return max(wanted, key=lambda index: int(areas[index]))


def _title(explanation: Explanation, truth: str | None) -> str:
    said = f"{explanation.class_name} {100 * explanation.probability:.1f} %"
    return f"{explanation.case}: {said}" + (f" (in truth: {truth})" if truth else "")
