"""Cases read once and kept in memory: what is read from disk again in every epoch makes a processor wait."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.kit.cases import Case, Problem
from models.kit.task import Array, Task
from models.kit.trained import UNREADABLE

logger = logging.getLogger(__name__)

HALF_MAXIMUM = 30_000.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A case in memory: ``image`` (C, H, W) as float16 where that holds its range, else float32; ``mask`` uint8."""

    id: str
    image: Tensor
    label: int
    mask: Tensor | None = None


def read_samples(task: Task, cases: Iterable[Case]) -> tuple[list[Sample], list[Problem]]:
    """Every case that can be read, in order, and what was passed over."""
    samples: list[Sample] = []
    problems: list[Problem] = []
    for case in cases:
        try:
            samples.append(read_sample(task, case))
        except UNREADABLE as error:
            problems.append(Problem(case.id, f"{type(error).__name__}: {error}"))
    if problems:
        logger.warning("%d cases could not be read and are passed over; metrics.json lists them", len(problems))
    return samples, problems


def read_sample(task: Task, case: Case) -> Sample:
    """One case.

    Raises:
        ValueError: the image is not (channels, rows, columns), not finite, has a label that the task does not know, or
            a mask of another size or with unknown classes.
        AinodeError, OSError: a file cannot be read.
    """
    image = task.image(case)
    if image.ndim < 3 or not image.size:
        raise ValueError(f"an image of shape {image.shape}, not (channels, rows, columns)")
    if not np.isfinite(image).all():
        raise ValueError("an image with values that are not finite")
    if not 0 <= case.label < len(task.classes):
        raise ValueError(f"label {case.label} of {len(task.classes)} classes")
    mask = None
    if task.kind == "segmentation":
        mask = torch.from_numpy(_mask(task, case, image.shape[1:]))
    return Sample(case.id, _compact(image), case.label, mask)


def _mask(task: Task, case: Case, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    if task.mask is None:
        raise ValueError("a segmentation needs Task.mask")
    mask = np.ascontiguousarray(task.mask(case), dtype=np.uint8)
    if mask.shape != shape:
        raise ValueError(f"a mask of shape {mask.shape} on an image of shape {shape}")
    if int(mask.max()) >= len(task.classes):
        raise ValueError(f"a mask with class {int(mask.max())} of {len(task.classes)} classes")
    return mask


def _compact(image: Array) -> Tensor:
    tensor = torch.from_numpy(np.array(image, dtype=np.float32))
    return tensor.half() if float(tensor.abs().max()) < HALF_MAXIMUM else tensor
