"""A classifier, measured: what goes into ``metrics.json`` and what its pictures are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.kit.evaluation import binary, multiclass
from models.kit.evaluation.calibration import brier, expected_calibration_error, fit_temperature, log_odds, scaled
from models.kit.evaluation.operating_point import OperatingPoint, choose
from models.kit.evaluation.parts import Part
from models.kit.evaluation.predictions import classified, positive_scores
from models.kit.evaluation.resampling import SAMPLES, Estimate, Indices, estimates
from models.kit.evaluation.subgroups import subgroups
from models.kit.task import Task


@dataclass(frozen=True, slots=True)
class Classification:
    """The network on one part, after temperature scaling.

    Attributes:
        logits: (N, classes).
        temperature: fitted on the validation cases.
        scores: probability (N,) of the positive classes together; ``uncalibrated`` at temperature 1.
        odds: the same as log-odds: what is ranked, as probabilities are rounded to 0 and 1 and then tie.
        held: log-odds of the validation cases.
        called: which cases the operating point calls positive.
    """

    part: Part
    logits: npt.NDArray[np.float64]
    temperature: float
    point: OperatingPoint
    truth: binary.Truth
    scores: binary.Scores
    uncalibrated: binary.Scores
    odds: binary.Scores
    held: binary.Scores

    @property
    def called(self) -> binary.Truth:
        return self.scores >= self.point.threshold

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """(N, classes)."""
        return scaled(self.logits, self.temperature)


def classify(task: Task, network: nn.Module, validation: Part, part: Part, device: torch.device) -> Classification:
    """Temperature and operating point from the validation cases, then the part.

    Raises:
        ValueError: the validation cases are of one class only, or there are none.
    """
    held = classified(task, network, validation, device)
    temperature = fit_temperature(held, validation.labels)
    scores = positive_scores(task, held, temperature)
    point = choose(validation.truth(task.positive), scores, task.required_sensitivity)
    logits = classified(task, network, part, device)
    return Classification(
        part,
        logits,
        temperature,
        point,
        part.truth(task.positive),
        positive_scores(task, logits, temperature),
        positive_scores(task, logits),
        log_odds(logits, task.positive, temperature),
        log_odds(held, task.positive, temperature),
    )


def figures(found: Classification, samples: int = SAMPLES) -> dict[str, Estimate]:
    """Rates at the operating point, areas, and how far probabilities can be trusted, with intervals by group."""

    def trust(picked: Indices) -> Mapping[str, float]:
        truth = found.truth[picked]
        return {
            "ece": expected_calibration_error(truth, found.scores[picked]),
            "ece_uncalibrated": expected_calibration_error(truth, found.uncalibrated[picked]),
            "brier": brier(truth, found.scores[picked]),
        }

    groups = found.part.groups
    rates = binary.measured(found.truth, found.scores, found.point.threshold, groups, samples, found.odds)
    return rates | estimates(trust, groups, samples)


def document(task: Task, found: Classification, measured: Mapping[str, Estimate], samples: int) -> dict[str, Any]:
    """The part of ``metrics.json`` that only a classifier has."""
    labels = found.part.labels
    each = multiclass.measured(labels, found.logits / found.temperature, task.classes, found.part.groups, samples)
    return {
        "temperature": round(found.temperature, 4),
        "metrics": {name: one.as_json() for name, one in measured.items()},
        "classes": {name: one.as_json() for name, one in each.items()},
        "confusion": multiclass.confusion(labels, found.probabilities.argmax(axis=1), len(task.classes)),
        "confusion_at_operating_point": dict(
            zip(
                ("true_positive", "false_positive", "true_negative", "false_negative"),
                binary.counts(found.truth, found.called),
                strict=True,
            )
        ),
        "subgroups": by_subgroup(found, samples),
    }


def by_subgroup(found: Classification, samples: int) -> dict[str, Any]:
    """Cases, groups and figures of each subgroup, at the one operating point."""
    groups = np.asarray(found.part.groups)
    made = {}
    for name, here in subgroups(found.part.cases).items():
        inside = list(groups[here])
        threshold, odds = found.point.threshold, found.odds[here]
        rates = binary.measured(found.truth[here], found.scores[here], threshold, inside, samples, odds)
        made[name] = {
            "cases": int(here.sum()),
            "groups": len(set(inside)),
            "metrics": {key: one.as_json() for key, one in rates.items()},
        }
    return made


def table_rows(task: Task, found: Classification) -> tuple[list[str], list[list[object]]]:
    """Columns and rows of ``predictions.csv``."""
    columns = ["id", "group", "class", "truth", "score", "called", *(f"p_{name}" for name in task.classes)]
    columns += [f"logit_{name}" for name in task.classes]
    rows: list[list[object]] = []
    for index, case in enumerate(found.part.cases):
        shares = [f"{one:.6f}" for one in found.probabilities[index]]
        logits = [f"{one:.5f}" for one in found.logits[index]]
        score, called = f"{found.scores[index]:.6f}", int(found.called[index])
        rows.append(
            [case.id, case.group, task.classes[case.label], int(found.truth[index]), score, called, *shares, *logits]
        )
    return columns, rows
