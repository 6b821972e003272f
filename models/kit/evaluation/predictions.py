"""What a network says of cases: logits of pictures, outlines and candidates of segmentations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.kit.cases import Case
from models.kit.evaluation.calibration import scaled
from models.kit.evaluation.detection import Found, candidates, matched
from models.kit.evaluation.parts import Part, shown
from models.kit.evaluation.segmentation import Overlap, overlap
from models.kit.task import Array, Task
from models.kit.training.samples import Sample

# One pixel is noise; a lesion that anybody would draw has more than these.
SCORE_PIXELS = 32
# Fact of a case that holds the size of a pixel of the network's grid; without it lengths are in pixels.
SPACING_FACT = "grid_spacing_mm"
# Of outlines, in mm or pixels: what two people who outline the same thing differ by.
SURFACE_TOLERANCE = 2.0
ANY = "any"


@dataclass(frozen=True, slots=True)
class Outlined:
    """One segmented image.

    Attributes:
        drawn: the most probable class of each pixel.
        overlaps: of each class but the background, and of all positive classes as one under ``any``.
        found: candidates for anything positive against the true lesions.
        score: how surely the image has anything positive.
    """

    case: Case
    drawn: npt.NDArray[np.uint8]
    overlaps: dict[str, Overlap]
    found: Found
    score: float


def classified(task: Task, network: nn.Module, part: Part, device: torch.device) -> npt.NDArray[np.float64]:
    """Logits (N, classes) of the cases of a part."""
    logits = [one.double().numpy() for one in predict(task, network, part.samples, device)]
    return np.array(logits).reshape(len(part.cases), len(task.classes))


def segmented(task: Task, network: nn.Module, part: Part, device: torch.device) -> tuple[Outlined, ...]:
    """The cases of a part, each compared with its mask."""
    predicted = predict(task, network, part.samples, device)
    return tuple(
        outlined(task, case, sample, torch.softmax(logits, dim=0).numpy())
        for case, sample, logits in zip(part.cases, part.samples, predicted, strict=True)
    )


def outlined(task: Task, case: Case, sample: Sample, probabilities: Array) -> Outlined:
    """Compare probabilities (classes, *grid) with the mask of the sample.

    Raises:
        ValueError: the probabilities are on another grid.
    """
    assert sample.mask is not None
    truth, drawn = sample.mask.numpy(), probabilities.argmax(axis=0).astype(np.uint8)
    spacing = (spacing_of(case)[0],) * truth.ndim
    structures = {name: (index,) for index, name in enumerate(task.classes) if index} | {ANY: task.positive}
    overlaps = {
        name: overlap(np.isin(drawn, chosen), np.isin(truth, chosen), spacing, SURFACE_TOLERANCE)
        for name, chosen in structures.items()
    }
    positive = probabilities[list(task.positive)].sum(axis=0)
    score = image_score(positive) if task.score is None else float(task.score(probabilities))
    found = matched(candidates(positive), np.isin(truth, task.positive))
    return Outlined(case, drawn, overlaps, found, score)


def image_score(positive: Array) -> float:
    """How surely an image has anything positive: the mean of the 32 largest of its pixels' probabilities."""
    count = min(SCORE_PIXELS, positive.size)
    return float(np.partition(positive, -count, axis=None)[-count:].mean())


def positive_scores(task: Task, logits: npt.NDArray[np.float64], temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """Probability (N,) of the positive classes together."""
    summed: npt.NDArray[np.float64] = scaled(logits, temperature)[:, list(task.positive)].sum(axis=1)
    return np.clip(summed, 0.0, 1.0)


def predict(task: Task, network: nn.Module, samples: Sequence[Sample], device: torch.device) -> Iterator[torch.Tensor]:
    """Float32 logits (classes,) or (classes, *grid) of every sample; images of one shape are run in batches.

    What a network says after its classes (an ensemble's disagreement) is left out.
    """
    for batch in shown(list(_batches(samples, task.settings.batch)), "running the network"):
        stacked = torch.stack([sample.image.float() for sample in batch]).to(device)
        with torch.inference_mode():
            yield from network(stacked)[:, : len(task.classes)].float().cpu()


def spacing_of(case: Case) -> tuple[float, str]:
    """The size of a pixel of the network's grid and its unit: the fact ``grid_spacing_mm`` in mm, else 1 px."""
    fact = case.facts.get(SPACING_FACT)
    return (float(fact), "mm") if fact else (1.0, "px")


def _batches(samples: Sequence[Sample], size: int) -> Iterator[list[Sample]]:
    for _, same in groupby(samples, key=lambda sample: sample.image.shape):
        alike = list(same)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))
