"""A segmentation, measured: what goes into ``metrics.json`` and what its pictures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from models.kit.evaluation import binary, detection, overlaps
from models.kit.evaluation.operating_point import OperatingPoint, choose
from models.kit.evaluation.parts import Part
from models.kit.evaluation.predictions import ANY, SURFACE_TOLERANCE, Outlined, segmented, spacing_of
from models.kit.evaluation.resampling import SAMPLES, Estimate
from models.kit.evaluation.subgroups import subgroups
from models.kit.task import Task

# An operating point that was chosen by fewer images of a side says nothing.
FEWEST_IMAGES = 3


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The network on one part.

    ``point``: of the images' scores, from the validation images, whose scores are ``held``; ``None`` (and empty) where
    fewer than ``FEWEST_IMAGES`` of them are positive, or are not.
    """

    part: Part
    images: tuple[Outlined, ...]
    truth: binary.Truth
    scores: binary.Scores
    point: OperatingPoint | None
    held: binary.Scores


def outline(task: Task, network: nn.Module, validation: Part, part: Part, device: torch.device) -> Segmentation:
    """Operating point of the images' scores from the validation images, then the part."""
    point, held = None, np.empty(0)
    truth = validation.truth(task.positive)
    if min(np.count_nonzero(truth), np.count_nonzero(~truth)) >= FEWEST_IMAGES:
        held = np.array([image.score for image in segmented(task, network, validation, device)])
        point = choose(truth, held, task.required_sensitivity)
    images = segmented(task, network, part, device)
    scores = np.array([image.score for image in images])
    return Segmentation(part, images, part.truth(task.positive), scores, point, held)


def structures(found: Segmentation, samples: int = SAMPLES) -> dict[str, dict[str, Estimate]]:
    """Figures of every structure, and of all positive ones as one (``any``)."""
    return _structures(found.images, found.part.groups, samples)


def figures(found: Segmentation, samples: int = SAMPLES) -> dict[str, Estimate]:
    """Of images, whether anything positive is there; empty where there is no operating point."""
    if found.point is None:
        return {}
    return binary.measured(found.truth, found.scores, found.point.threshold, found.part.groups, samples)


def document(
    task: Task,
    found: Segmentation,
    measured: Mapping[str, Estimate],
    outlined: Mapping[str, dict[str, Estimate]],
    samples: int,
) -> dict[str, Any]:
    """The part of ``metrics.json`` that only a segmentation has; ``froc`` is null where there are no lesions."""
    lesions = [image.found for image in found.images]
    froc = detection.measured(lesions, found.part.groups, samples) if task.lesions else None
    return {
        "unit": spacing_of(found.part.cases[0])[1],
        "surface_tolerance": SURFACE_TOLERANCE,
        "structures": _as_json(outlined),
        "images": {name: one.as_json() for name, one in measured.items()},
        "froc": _as_json({"froc": froc})["froc"] if froc else None,
        "subgroups": by_subgroup(found, samples),
    }


def by_subgroup(found: Segmentation, samples: int) -> dict[str, Any]:
    """Cases, groups and figures of all positive structures as one, of each subgroup."""
    made = {}
    for name, here in subgroups(found.part.cases).items():
        images = [image for image, inside in zip(found.images, here, strict=True) if inside]
        groups = [image.case.group for image in images]
        made[name] = {
            "cases": len(images),
            "groups": len(set(groups)),
            "metrics": _as_json(_structures(images, groups, samples))[ANY],
        }
    return made


def table_rows(found: Segmentation) -> tuple[list[str], list[list[object]]]:
    """Columns and rows of ``predictions.csv``."""
    names = list(found.images[0].overlaps)
    kinds = ("dice", "surface_dice", "hausdorff95", "truth_size", "found_size")
    columns = ["id", "group", "truth", "score", *(f"{kind}_{name}" for name in names for kind in kinds)]
    rows: list[list[object]] = []
    for image, truth in zip(found.images, found.truth, strict=True):
        values = [f"{getattr(image.overlaps[name], kind):.5g}" for name in names for kind in kinds]
        rows.append([image.case.id, image.case.group, int(truth), f"{image.score:.6f}", *values])
    return columns, rows


def _structures(images: Sequence[Outlined], groups: Sequence[str], samples: int) -> dict[str, dict[str, Estimate]]:
    return {
        name: overlaps.measured([image.overlaps[name] for image in images], groups, samples)
        for name in images[0].overlaps
    }


def _as_json(nested: Mapping[str, Mapping[str, Estimate]]) -> dict[str, dict[str, Any]]:
    return {name: {key: one.as_json() for key, one in inner.items()} for name, inner in nested.items()}
