"""Figures of a structure over many images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np

from models.kit.evaluation.resampling import SAMPLES, Estimate, Indices, estimates
from models.kit.evaluation.segmentation import Overlap


def measured(overlaps: Sequence[Overlap], groups: Sequence[str], samples: int = SAMPLES) -> dict[str, Estimate]:
    """Means over the images that have the structure in truth, with intervals by group.

    ``dice_median`` is over the same images; ``false_alarm`` is the fraction of images without the structure in which
    something was drawn. Size errors are relative to the true size.
    """
    present = np.array([one.truth_size > 0 for one in overlaps])
    columns = {
        "dice": np.array([one.dice for one in overlaps]),
        "surface_dice": np.array([one.surface_dice for one in overlaps]),
        "hausdorff95": np.array([one.hausdorff95 for one in overlaps]),
        "size_error": np.array([one.size_error for one in overlaps]),
        "size_error_absolute": np.abs([one.size_error for one in overlaps]),
    }
    drawn = np.array([one.found_size > 0 for one in overlaps])

    def measure(picked: Indices) -> Mapping[str, float]:
        here, empty = picked[present[picked]], picked[~present[picked]]
        figures = {name: float(values[here].mean()) if len(here) else nan for name, values in columns.items()}
        return figures | {
            "dice_median": float(np.median(columns["dice"][here])) if len(here) else nan,
            "false_alarm": float(drawn[empty].mean()) if len(empty) else nan,
        }

    return estimates(measure, groups, samples)
