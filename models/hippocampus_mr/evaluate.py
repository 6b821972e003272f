"""A case through the node's own steps, in every way in which it may have become a DICOM series.

Faithfully written, and in two ways without regard to the axes (see `WRAPPINGS`); `report.py` makes tables of it.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from models.hippocampus_mr import data, model
from models.hippocampus_mr.network import network
from models.kit.evaluation.resampling import SAMPLES, Estimate, Indices, estimates
from models.kit.evaluation.segmentation import overlap
from node.domain.result import Reason
from node.domain.study import Grid, Volume

logger = logging.getLogger(__name__)

MM3_PER_ML = 1000.0
STRUCTURES = {1: "anterior", 2: "posterior"}
# How a case may have become a DICOM series. faithful: the affine says where the voxels are. naive: the NIfTI array
# [x, y, z] transposed and called axial LPS, 180 degrees off. untransposed: the array as it is, called axial LPS.
WRAPPINGS = ("faithful", "naive", "untransposed")
# Index (k, r, c) to LPS of an axial series at the origin with 1 mm voxels.
AXIAL_LPS = np.eye(4)[[2, 1, 0, 3]]
# As in the Medical Segmentation Decathlon for this task.
TOLERANCE_MM = 1.0


@dataclass(frozen=True)
class Score:
    """One case and wrapping, by structure name: Dice, volumes in mL, and how far the outlines lie apart.

    `surface_dice` is the fraction of both outlines within `TOLERANCE_MM`, `hausdorff95_mm` the larger 95th percentile
    of their distances; of a missed structure 0 and the diagonal of the image. `refused`: not evaluable on the node, so
    that everything is missed.
    """

    case: str
    wrapping: str
    dice: dict[str, float]
    surface_dice: dict[str, float]
    hausdorff95_mm: dict[str, float]
    volume_ml: dict[str, float]
    expert_ml: dict[str, float]
    refused: bool


def load_network(weights: Path, device: torch.device) -> nn.Module:
    """The node's network with the weights of `weights`, in float32 and evaluation mode."""
    module = network()
    module.load_state_dict({key: value.float() for key, value in load_file(str(weights)).items()})
    return module.to(device).eval()


def segment(module: nn.Module, volume: Volume, device: torch.device) -> tuple[NDArray[np.uint8], Reason | None]:
    """Label map uint8 on the grid of `volume` through the node's own pre- and postprocessing.

    Empty, with the reason, where the model refuses to evaluate.
    """
    with torch.inference_mode():
        outputs = module(model.preprocess(volume).to(device)).float().cpu()
    result = model.postprocess(outputs, volume)
    if result.segmentation is None:
        return np.zeros(volume.shape, dtype=np.uint8), result.reason
    return result.segmentation.label_map, None


def score_cases(
    module: nn.Module, folder: Path, ids: list[str], device: torch.device, wrappings: tuple[str, ...] = WRAPPINGS
) -> list[Score]:
    """Score every case in every wrapping; one that cannot be read is passed over, and logged with its reason."""
    module.eval()
    scores = []
    for case in ids:
        try:
            raw = data.read_raw(folder, case)
        except data.UNREADABLE as error:
            data.problem_of(case, error)
            continue
        for wrapping in wrappings:
            volume, expert = wrap(raw, wrapping)
            found, reason = segment(module, volume, device)
            if reason:
                logger.warning("%s (%s): not evaluable, %s", case, wrapping, reason.text)
            scores.append(_score(case, wrapping, found, expert, volume, refused=reason is not None))
    return scores


def wrap(raw: data.RawCase, wrapping: str) -> tuple[Volume, NDArray[np.uint8]]:
    """The case as the node would read it from a series written in this way, and the expert's labels on its grid."""
    affine = raw.affine if wrapping == "faithful" else AXIAL_LPS
    order = (2, 1, 0) if wrapping == "untransposed" else (0, 1, 2)
    array = np.ascontiguousarray(raw.array.transpose(order))
    depth, rows, columns = array.shape
    return Volume(array, Grid((depth, rows, columns), affine, "", ()), "MR"), raw.labels.transpose(order)


def figures(
    scores: Sequence[Score], group_of: Mapping[str, str], samples: int = SAMPLES
) -> dict[str, dict[str, dict[str, Estimate]]]:
    """By wrapping and structure: means with intervals by group, and without them what no interval can be given of.

    Volumes in mL: ``volume_error`` is found minus expert, ``agreement_low`` and ``agreement_high`` are the 95 % limits
    of agreement (Bland and Altman, The Lancet 1986).
    """
    wrappings = dict.fromkeys(score.wrapping for score in scores)
    return {
        wrapping: {
            name: _figures([score for score in scores if score.wrapping == wrapping], name, group_of, samples)
            for name in STRUCTURES.values()
        }
        for wrapping in wrappings
    }


def as_json(measured: Mapping[str, Mapping[str, Mapping[str, Estimate]]]) -> dict[str, object]:
    """`figures` as plain values."""
    return {
        wrapping: {name: {key: one.as_json() for key, one in found.items()} for name, found in structures.items()}
        for wrapping, structures in measured.items()
    }


def _figures(scores: Sequence[Score], name: str, group_of: Mapping[str, str], samples: int) -> dict[str, Estimate]:
    """Of one structure."""
    dice = np.array([score.dice[name] for score in scores])
    error = np.array([score.volume_ml[name] - score.expert_ml[name] for score in scores])
    columns = {
        "dice": dice,
        "surface_dice": np.array([score.surface_dice[name] for score in scores]),
        "hausdorff95": np.array([score.hausdorff95_mm[name] for score in scores]),
        "volume_error": error,
        "volume_error_absolute": np.abs(error),
    }

    def measure(picked: Indices) -> Mapping[str, float]:
        means = {key: float(values[picked].mean()) for key, values in columns.items()}
        return means | {"dice_median": float(np.median(dice[picked]))}

    spread = 1.96 * float(error.std(ddof=1)) if len(error) > 1 else float("nan")
    return estimates(measure, [group_of[score.case] for score in scores], samples) | {
        "dice_lowest": Estimate(float(dice.min())),
        "agreement_low": Estimate(float(error.mean()) - spread),
        "agreement_high": Estimate(float(error.mean()) + spread),
        "expert_volume": Estimate(float(np.mean([score.expert_ml[name] for score in scores]))),
    }


def _score(
    case: str, wrapping: str, found: NDArray[np.uint8], expert: NDArray[np.uint8], volume: Volume, refused: bool
) -> Score:
    overlaps = {
        name: overlap(found == label, expert == label, volume.spacing, TOLERANCE_MM)
        for label, name in STRUCTURES.items()
    }
    return Score(
        case,
        wrapping,
        {name: one.dice for name, one in overlaps.items()},
        {name: one.surface_dice for name, one in overlaps.items()},
        {name: one.hausdorff95 for name, one in overlaps.items()},
        {name: one.found_size / MM3_PER_ML for name, one in overlaps.items()},
        {name: one.truth_size / MM3_PER_ML for name, one in overlaps.items()},
        refused,
    )
