"""Measure a set of weights on the held-out test fold; reproduces the model card's table.

    python -m models.hippocampus_mr.evaluate --data $AINODE_DATA/hippocampus-msd --weights FILE

Each case goes through the node's own preprocessing and postprocessing, as the volume of a faithfully written DICOM
series and of two that were written without regard to the axes (see `WRAPPINGS`).
"""

import argparse
import json
import logging
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from models.hippocampus_mr import data, model
from models.hippocampus_mr.network import network
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
BOOTSTRAP_SAMPLES = 10_000
# As in the Medical Segmentation Decathlon for this task.
TOLERANCE_MM = 1.0


@dataclass(frozen=True)
class Score:
    """One case and wrapping, by structure name: Dice, volumes in mL, and how far the outlines lie apart.

    `surface_dice` is the fraction of both outlines within `TOLERANCE_MM`, `hausdorff95_mm` the larger 95th percentile
    of their distances; of a missed structure 0 and the diagonal of the image.
    """

    case: str
    wrapping: str
    dice: dict[str, float]
    surface_dice: dict[str, float]
    hausdorff95_mm: dict[str, float]
    volume_ml: dict[str, float]
    expert_ml: dict[str, float]


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
            scores.append(_score(case, wrapping, found, expert, volume))
    return scores


def wrap(raw: data.RawCase, wrapping: str) -> tuple[Volume, NDArray[np.uint8]]:
    """The case as the node would read it from a series written in this way, and the expert's labels on its grid."""
    affine = raw.affine if wrapping == "faithful" else AXIAL_LPS
    order = (2, 1, 0) if wrapping == "untransposed" else (0, 1, 2)
    array = np.ascontiguousarray(raw.array.transpose(order))
    depth, rows, columns = array.shape
    return Volume(array, Grid((depth, rows, columns), affine, "", ()), "MR"), raw.labels.transpose(order)


def summarise(scores: list[Score]) -> dict[str, object]:
    """Dice with bootstrap intervals, volume agreement and the worst cases, by wrapping and structure."""
    summary: dict[str, object] = {}
    for wrapping in dict.fromkeys(score.wrapping for score in scores):
        chosen = [score for score in scores if score.wrapping == wrapping]
        table: dict[str, object] = {"cases": len(chosen)}
        for name in STRUCTURES.values():
            dice = np.array([score.dice[name] for score in chosen])
            surface = np.array([score.surface_dice[name] for score in chosen])
            distance = np.array([score.hausdorff95_mm[name] for score in chosen])
            error = np.array([score.volume_ml[name] - score.expert_ml[name] for score in chosen])
            table[name] = {
                "dice_mean": round(float(dice.mean()), 4),
                "dice_interval_95": bootstrap_interval(dice),
                "dice_median": round(float(np.median(dice)), 4),
                "dice_min": round(float(dice.min()), 4),
                "surface_dice_mean": round(float(surface.mean()), 4),
                "surface_dice_interval_95": bootstrap_interval(surface),
                "hausdorff95_mean_mm": round(float(distance.mean()), 3),
                "hausdorff95_interval_95_mm": bootstrap_interval(distance),
                "volume_mean_error_ml": round(float(error.mean()), 3),
                "volume_mean_absolute_error_ml": round(float(np.abs(error).mean()), 3),
                "volume_limits_of_agreement_ml": [
                    round(float(error.mean() + side * 1.96 * error.std(ddof=1)), 3) if len(error) > 1 else None
                    for side in (-1, 1)
                ],
                "expert_mean_ml": round(float(np.mean([score.expert_ml[name] for score in chosen])), 3),
            }
        worst = sorted(chosen, key=lambda score: min(score.dice.values()))[:3]
        table["worst"] = [{"case": score.case, **{k: round(v, 3) for k, v in score.dice.items()}} for score in worst]
        summary[wrapping] = table
    return summary


def bootstrap_interval(values: NDArray[np.float64]) -> list[float]:
    """95% interval of the mean, by resampling cases with a fixed seed."""
    generator = np.random.default_rng(0)
    picks = generator.integers(0, len(values), (BOOTSTRAP_SAMPLES, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
    return [round(float(low), 4), round(float(high), 4)]


def _score(case: str, wrapping: str, found: NDArray[np.uint8], expert: NDArray[np.uint8], volume: Volume) -> Score:
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
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and labels/")
    parser.add_argument("--weights", type=Path, default=Path(__file__).with_name("weights.safetensors"))
    parser.add_argument("--fold", type=int, default=0, choices=range(data.FOLD_COUNT), help="test fold")
    parser.add_argument("--cases", type=Path, help="write every case's score to this JSON file")
    parser.add_argument("--wrappings", nargs="+", choices=WRAPPINGS, default=WRAPPINGS)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    _, _, test = data.split(arguments.fold, 0)
    scores = score_cases(
        load_network(arguments.weights, device), arguments.data, test, device, tuple(arguments.wrappings)
    )
    if arguments.cases:
        arguments.cases.write_text(json.dumps([asdict(score) for score in scores], indent=1) + "\n")
    read = {score.case for score in scores}
    summary = summarise(scores) | {"passed_over": [case for case in test if case not in read]}
    sys.stdout.write(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
