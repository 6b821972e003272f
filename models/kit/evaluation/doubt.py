"""Where members of an ensemble, or views of a picture, disagree: is the network wrong more often there?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt

from models.kit.disagreement import CaseVote, error_auc, errors, vote_of, write_votes
from models.kit.ensemble import Ensemble
from models.kit.evaluation.outlining import Segmentation
from models.kit.evaluation.parts import shown
from models.kit.evaluation.predictions import ANY
from models.kit.evaluation.report import Section, Table, heading
from models.kit.evaluation.resampling import Estimate, Indices, Measure, estimates, widened
from models.kit.evaluation.run import Run

TERCILES = ("least disagreement", "middle", "most disagreement")
VOTES = "disagreement.csv"
LEAST = 1e-5  # nats; what rounding makes
SAME = " The votes never differ, as those of a network that takes every view by itself: the parts are dealt by chance."


@dataclass(frozen=True, slots=True)
class _Tercile:
    name: str
    highest: float
    cases: int
    figures: Mapping[str, Estimate]


def of_classification(run: Run) -> tuple[dict[str, Any], tuple[Section, ...]]:
    """The fraction of cases whose most probable class is wrong, by tercile of disagreement."""
    found = _votes(run)
    if not found:
        return {}, ()
    wrong = errors(found)

    def measure(picked: Indices) -> Mapping[str, float]:
        return {"errors": float(wrong[picked].mean())}

    auc = error_auc(found, run.samples)
    document, section = _told(run, _terciles(run, found, measure))
    document["error_auc"] = auc.as_json()
    note = f"{section.note} It tells errors from right answers with a ROC AUC of {auc} (0.5 is chance)."
    return {"disagreement": document}, (Section(section.title, note, section.tables),)


def of_segmentation(run: Run, outlined: Segmentation) -> tuple[dict[str, Any], tuple[Section, ...]]:
    """Dice of the images with something to outline, and false alarms in the others, by tercile of disagreement."""
    found = _votes(run)
    if not found:
        return {}, ()
    overlaps = [image.overlaps[ANY] for image in outlined.images]
    dice = np.array([one.dice for one in overlaps])
    drawn = np.array([one.found_size > 0 for one in overlaps])

    def measure(picked: Indices) -> Mapping[str, float]:
        there, empty = picked[outlined.truth[picked]], picked[~outlined.truth[picked]]
        return {
            "dice": float(dice[there].mean()) if len(there) else nan,
            "false_alarm": float(drawn[empty].mean()) if len(empty) else nan,
        }

    document, section = _told(run, _terciles(run, found, measure))
    return {"disagreement": document}, (section,)


def _votes(run: Run) -> tuple[CaseVote, ...]:
    """Of every case of the part that is a picture; none where there are not two votes."""
    ensemble = _ensemble(run)
    if len(ensemble.members) * len(ensemble.views) < 2 or any(sample.image.ndim != 3 for sample in run.part.samples):
        return ()
    pairs = list(zip(run.part.cases, run.part.samples, strict=True))
    found = tuple(
        vote_of(ensemble, case, sample.image.float()[None].to(run.device))
        for case, sample in shown(pairs, "disagreement")
    )
    write_votes(run.task, found, run.folder / VOTES)
    return found


def _ensemble(run: Run) -> Ensemble:
    """The network itself, or the views of the task by the one network."""
    return run.network if isinstance(run.network, Ensemble) else Ensemble([run.network], run.task.views).eval()


def _terciles(run: Run, found: Sequence[CaseVote], measure: Measure) -> list[_Tercile]:
    doubt = np.array([vote.mutual_information for vote in found])
    groups = np.asarray(run.part.groups)
    made = []
    for name, here in zip(TERCILES, np.array_split(np.argsort(doubt, kind="stable"), len(TERCILES)), strict=True):
        if len(here):
            figures = _within(measure, here, groups, run.samples)
            made.append(_Tercile(name, float(doubt[here].max()), len(here), figures))
    return made


def _within(
    measure: Measure, here: npt.NDArray[np.intp], groups: npt.NDArray[np.str_], samples: int
) -> dict[str, Estimate]:
    inside = list(groups[here])
    found = estimates(lambda picked: measure(here[picked]), inside, samples)
    rates = {name: widened(found[name], len(set(inside))) for name in ("errors", "false_alarm") if name in found}
    return found | rates


def _told(run: Run, terciles: Sequence[_Tercile]) -> tuple[dict[str, Any], Section]:
    ensemble = _ensemble(run)
    how = f"{len(ensemble.members)} network(s), each looking at the views {', '.join(ensemble.views)}"
    document: dict[str, Any] = {
        "votes": how,
        "terciles": [
            {
                "name": one.name,
                "highest_mutual_information": round(one.highest, 6),
                "cases": one.cases,
                "metrics": {name: figure.as_json() for name, figure in one.figures.items()},
            }
            for one in terciles
        ],
    }
    names = list(terciles[0].figures)
    rows = [
        [one.name, str(one.cases), f"{one.highest:.4f}", *(str(one.figures[name]) for name in names)]
        for one in terciles
    ]
    note = f"Mutual information of the votes, in nats. Votes: {how}. {VOTES} has every case, the most doubtful first."
    if terciles[-1].highest < LEAST:
        note += SAME
        document["votes_differ"] = False
    return document, Section("Disagreement", note, [Table(["part", "cases", "up to", *map(heading, names)], rows)])
