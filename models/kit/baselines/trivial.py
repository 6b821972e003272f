"""Statistics that say nothing of a disease: what they reach, a cheat would reach."""

from __future__ import annotations

import numpy as np

from models.kit.baselines.features import Features
from models.kit.cases import Case
from models.kit.data.pictures import read_rgb
from models.kit.task import Array

BORDER_FRACTION = 16
# Where a case lies in a sequence, the size of its pixels: no statistics of an image.
TECHNICAL = frozenset({"sequence", "position", "grid_spacing_mm"})


def file_picture(case: Case) -> Array:
    """The picture file (3, rows, columns) as it lies in the set, before any preprocessing; grey in all channels.

    Raises:
        As ``read_rgb``, which reads no volumes.
    """
    return np.moveaxis(read_rgb(case.image), 2, 0)


def statistics(image: Array) -> Features:
    """Rows, columns, fraction of the darkest value; of each channel mean and deviation, whole and of the border.

    The border is a frame of a sixteenth of the shorter side.
    """
    rows, columns = image.shape[-2:]
    width = max(1, min(rows, columns) // BORDER_FRACTION)
    inner = np.zeros((rows, columns), dtype=bool)
    inner[width:-width, width:-width] = True
    found = [float(rows), float(columns), float(np.mean(image == image.min()))]
    for channel in image.reshape(-1, rows, columns):
        border = channel[~inner]
        found += [float(channel.mean()), float(channel.std()), float(border.mean()), float(border.std())]
    return np.array(found, dtype=np.float32)


def numeric_facts(cases: tuple[Case, ...]) -> tuple[str, ...]:
    """Facts that are a number in every case: each is a baseline of its own (the area of a nodule, an age)."""
    names = {name for case in cases for name in case.facts} - TECHNICAL
    return tuple(sorted(name for name in names if all(_is_number(case.facts.get(name)) for case in cases)))


def _is_number(value: float | str | None) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))
