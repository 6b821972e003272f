"""How far the members of an ensemble disagree about each case, and whether that points at their errors."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score

from models.kit.cases import Case, Problem
from models.kit.ensemble import Ensemble, Vote
from models.kit.evaluation.resampling import SAMPLES, Estimate, Indices, estimates
from models.kit.task import Task
from models.kit.trained import UNREADABLE, network_input


@dataclass(frozen=True, slots=True)
class CaseVote:
    """What an ensemble says of one case.

    Attributes:
        probabilities: mean over the votes, by class; of a segmentation the highest of any pixel.
        mutual_information: in nats; of a segmentation the mean over the pixels that any vote gives to a class but the
            background, 0 where there are none.
        variance: of the probabilities over the votes; of a segmentation over the same pixels.
        agreement: of a classifier the share of the votes for the class that wins; of a segmentation the mean Dice of
            every two votes' masks (any class but the background; two empty ones agree).
    """

    case: Case
    probabilities: tuple[float, ...]
    mutual_information: float
    variance: float
    agreement: float


def votes(
    task: Task, ensemble: Ensemble, cases: Iterable[Case], device: str = "cpu"
) -> tuple[tuple[CaseVote, ...], tuple[Problem, ...]]:
    """Every case that can be read, and the others with the reason."""
    network = ensemble.to(device).eval()
    found: list[CaseVote] = []
    problems: list[Problem] = []
    for case in cases:
        try:
            inputs = network_input(task, case)
        except UNREADABLE as error:
            problems.append(Problem(case.id, f"{type(error).__name__}: {error}"))
            continue
        found.append(vote_of(network, case, inputs.to(device)))
    return tuple(found), tuple(problems)


def vote_of(ensemble: Ensemble, case: Case, inputs: torch.Tensor) -> CaseVote:
    """What the members and views of ``ensemble`` say of one case; ``inputs`` (1, channels, rows, columns)."""
    with torch.inference_mode():
        vote = Vote(ensemble.vote(inputs).each.cpu())
    return _of_picture(case, vote) if vote.each.ndim == 3 else _of_mask(case, vote)


def write_votes(task: Task, found: Sequence[CaseVote], file: Path) -> None:
    """One line a case (CSV, UTF-8), the most doubtful first."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream)
        lines.writerow(
            ["case", "label", *(f"p({name})" for name in task.classes), "mutual_information", "variance", "agreement"]
        )
        for vote in sorted(found, key=lambda vote: (-vote.mutual_information, vote.case.id)):
            figures = (*vote.probabilities, vote.mutual_information, vote.variance, vote.agreement)
            lines.writerow([vote.case.id, task.classes[vote.case.label], *(f"{figure:.6f}" for figure in figures)])


def errors(found: Sequence[CaseVote]) -> npt.NDArray[np.bool_]:
    """Of a classifier, whether the most probable class is a wrong one, (N,)."""
    return np.array([int(np.argmax(vote.probabilities)) != vote.case.label for vote in found], dtype=np.bool_)


def error_auc(found: Sequence[CaseVote], samples: int = SAMPLES, seed: int = 0) -> Estimate:
    """How well disagreement tells wrong answers of a classifier from right ones (ROC AUC, 0.5 is chance).

    Not defined (NaN) where all answers are right, or all wrong. The interval is by bootstrap over groups.
    """
    doubt = np.array([vote.mutual_information for vote in found])
    wrong = errors(found)

    def measure(picked: Indices) -> dict[str, float]:
        chosen = wrong[picked]
        return {"auc": nan if chosen.all() or not chosen.any() else float(roc_auc_score(chosen, doubt[picked]))}

    return estimates(measure, [vote.case.group for vote in found], samples, seed)["auc"]


def _of_picture(case: Case, vote: Vote) -> CaseVote:
    probability = vote.probability[0]
    winners = vote.each[:, 0].argmax(dim=1)
    return CaseVote(
        case,
        tuple(map(float, probability)),
        float(vote.mutual_information[0]),
        float(vote.variance[0]),
        float((winners == probability.argmax()).float().mean()),
    )


def _of_mask(case: Case, vote: Vote) -> CaseVote:
    masks = vote.each[:, 0].argmax(dim=1) > 0
    anywhere = masks.any(dim=0)
    inside = bool(anywhere.any())
    return CaseVote(
        case,
        tuple(map(float, vote.probability[0].flatten(1).amax(dim=1))),
        float(vote.mutual_information[0][anywhere].mean()) if inside else 0.0,
        float(vote.variance[0][anywhere].mean()) if inside else 0.0,
        _mean_dice(masks),
    )


def _mean_dice(masks: torch.Tensor) -> float:
    pairs = [_dice(first, second) for first, second in combinations(masks, 2)]
    return float(np.mean(pairs)) if pairs else 1.0


def _dice(first: torch.Tensor, second: torch.Tensor) -> float:
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0
