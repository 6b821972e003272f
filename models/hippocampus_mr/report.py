"""What an evaluation adds for this package: every case as the node gets it, through the node's own steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from models.hippocampus_mr import data, evaluate
from models.hippocampus_mr.evaluate import Score
from models.kit.evaluation.outlining import Segmentation
from models.kit.evaluation.report import Section, Table, heading
from models.kit.evaluation.resampling import Estimate
from models.kit.evaluation.run import Run

FAITHFUL = "faithful"
WRAPPINGS = {
    FAITHFUL: "faithful (NIfTI affine to LPS)",
    "naive": "naive (array transposed, called axial LPS)",
    "untransposed": "untransposed (array as it is, called axial LPS)",
}


def on_the_node(run: Run, found: Segmentation) -> tuple[dict[str, Any], tuple[Section, ...]]:
    """Dice of each structure in every wrapping; outlines and volumes of the faithful one.

    Unlike the kit's own figures of the network's output, these are of what the node writes: in the orientation that
    the search chose, the largest connected piece alone, and nothing where the case is refused.
    """
    folder = run.part.cases[0].image.parents[1]
    group_of = {data.case_id(case.image): case.group for case in run.part.cases}
    scores = evaluate.score_cases(run.network, folder, list(group_of), run.device)
    measured = evaluate.figures(scores, group_of, run.samples)
    refused = {name: sum(one.refused for one in scores if one.wrapping == name) for name in measured}
    shift = _shift(scores)
    document = {"wrappings": evaluate.as_json(measured), "refused": refused, "shift": shift}
    return {"on_the_node": document}, (_orientation(measured, refused, shift), _quantities(measured))


def _orientation(measured: Mapping[str, Any], refused: Mapping[str, int], shift: float) -> Section:
    rows = [
        [WRAPPINGS[wrapping], structure, *(str(found[key]) for key in ("dice", "dice_median", "dice_lowest"))]
        for wrapping, structures in measured.items()
        for structure, found in structures.items()
    ]
    note = (
        "Each case as the volume of a DICOM series, written in three ways, through the node's own pre- and "
        f"postprocessing. Not evaluable: {', '.join(f'{name} {count}' for name, count in refused.items())}. Between "
        f"the wrappings of a case Dice differs by {shift:.3f} at most."
    )
    columns = ["wrapping as DICOM", "structure", heading("dice"), heading("dice_median"), "lowest Dice"]
    return Section("On the node: orientation", note, [Table(columns, rows)])


def _quantities(measured: Mapping[str, Mapping[str, Mapping[str, Estimate]]]) -> Section:
    found = measured[FAITHFUL]
    outlines = Table(
        ["structure", f"surface Dice at {evaluate.TOLERANCE_MM:g} mm", "95 % Hausdorff, mm"],
        [[name, str(one["surface_dice"]), str(one["hausdorff95"])] for name, one in found.items()],
    )
    volumes = Table(
        ["structure", "expert, mean mL", "mean error", "mean absolute error", "95 % limits of agreement"],
        [
            [
                name,
                f"{one['expert_volume'].value:.2f}",
                _signed(one["volume_error"]),
                str(one["volume_error_absolute"]),
                f"{one['agreement_low'].value:+.2f} to {one['agreement_high'].value:+.2f}",
            ]
            for name, one in found.items()
        ],
    )
    return Section("On the node: outlines and volumes", "Of the faithful wrapping.", [outlines, volumes])


def _signed(one: Estimate) -> str:
    interval = "" if isnan(one.low) else f" ({one.low:+.3f} to {one.high:+.3f})"
    return f"{one.value:+.3f}{interval}"


def _shift(scores: Sequence[Score]) -> float:
    """The largest difference of Dice between the wrappings of one case, for any structure."""
    most = 0.0
    for case in {score.case for score in scores}:
        for name in evaluate.STRUCTURES.values():
            dice = [score.dice[name] for score in scores if score.case == case]
            most = max(most, max(dice) - min(dice))
    return round(most, 4)
