"""What the report says of a classifier and of a segmentation, and the table of the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.kit.evaluation import figures, gallery
from models.kit.evaluation.classification import Classification
from models.kit.evaluation.detection import CANDIDATE_PROBABILITY
from models.kit.evaluation.outlining import Segmentation
from models.kit.evaluation.predictions import ANY
from models.kit.evaluation.report import Picture, Section, Table, compared, heading, listed
from models.kit.evaluation.resampling import Estimate
from models.kit.evaluation.rows import Row
from models.kit.task import Task

JUDGED = ("roc_auc", "pr_auc", "sensitivity", "specificity", "precision", "f1", "accuracy")
OUTLINED = ("dice", "dice_median", "surface_dice", "hausdorff95", "size_error_absolute", "false_alarm")
TRUST = ("ece", "ece_uncalibrated", "brier")


@dataclass(frozen=True, slots=True)
class Page:
    """Sections of the report, notes and tables of the model card, and the picture of cases."""

    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    tables: tuple[Table, ...]
    cases_png: bytes


def of_classification(
    task: Task, found: Classification, document: Mapping[str, Any], rows: Sequence[Row], ordered: Sequence[Row] = ()
) -> Page:
    """``rows`` of images and ``ordered``, those of sequences: the network first."""
    positive = ", ".join(task.classes[index] for index in task.positive)
    rule = operating_rule(document["operating_point"])
    table = compared(rows, JUDGED)
    note = (
        f"Positive: {positive}. {rule} Each baseline's own threshold comes from the validation cases by the same rule."
    )
    trust = {name: rows[0].figures[name] for name in TRUST}
    pictures = gallery.drawn(gallery.of_classification(task, found))
    curves = [Picture(figures.confusion(document["confusion"], task.classes), "cases by true and most probable class")]
    if found.truth.any() and not found.truth.all():
        curves = [
            Picture(figures.roc(found.truth, found.odds, found.called), "sensitivity over false positive rate"),
            Picture(figures.precision_recall(found.truth, found.odds, found.called), "grey: what chance reaches"),
            *curves,
        ]
    reliability = figures.calibration(found.truth, found.scores, found.uncalibrated)
    temperature = f"Logits are divided by the temperature {found.temperature:.3f}, fitted on the validation cases."
    sections = (
        Section("Network and baselines", note, [table]),
        *_sequences(ordered),
        Section("Curves", "", [], curves),
        Section("Calibration", temperature, [listed(trust)], [Picture(reliability, "reliability")]),
        Section("Classes", "Each class against all others.", [listed(_estimates(document["classes"]))]),
        *_subgroups(document, JUDGED),
        Section("Cases", "By the probability of the true class.", [], [Picture(pictures, "cases", wide=True)]),
    )
    tables = (table, *(one for section in _sequences(ordered) for one in section.tables), listed(trust))
    return Page(sections, (note, temperature), tables, pictures)


def of_segmentation(
    task: Task,
    found: Segmentation,
    structures: Mapping[str, Mapping[str, Estimate]],
    document: Mapping[str, Any],
    outlines: Sequence[Row],
    images: Sequence[Row],
    ordered: Sequence[Row] = (),
) -> Page:
    """``outlines``, ``images``, ``ordered``: the network first; the latter two are empty where all are positive."""
    by_structure = Table(
        ["structure", *map(heading, OUTLINED)],
        [[name, *(str(values[one]) for one in OUTLINED)] for name, values in structures.items()],
    )
    unit = f"Lengths in {document['unit']}; surface Dice at a tolerance of {document['surface_tolerance']:g}. "
    note = (
        unit + "Means over the images that have the structure; a missed one has Dice 0 and the image's diagonal as "
        "distance. False alarms: images without it in which something was drawn."
    )
    drawn = compared(outlines, OUTLINED)
    sections = [
        Section("Structures", note, [by_structure]),
        Section("Network and baselines: outlines", "All positive structures as one.", [drawn]),
    ]
    tables, notes = [by_structure, drawn], [note]
    if found.point is not None:
        rule = operating_rule(document["operating_point"])
        judged, called = compared(images, JUDGED), found.scores >= found.point.threshold
        curves = [
            Picture(figures.roc(found.truth, found.scores, called), "sensitivity over false positive rate"),
            Picture(figures.precision_recall(found.truth, found.scores, called), "grey: what chance reaches"),
        ]
        shown = curves if found.truth.any() and not found.truth.all() else []
        sections.append(Section("Network and baselines: is anything there", rule, [judged], shown))
        sections += _sequences(ordered)
        of_sequences = [one for section in _sequences(ordered) for one in section.tables]
        tables, notes = [*tables, judged, *of_sequences], [*notes, rule]
    dice = np.array([image.overlaps[ANY].dice for image in found.images])
    pictures = gallery.drawn(gallery.of_segmentation(task, found))
    lesions = _lesions(found, document) if task.lesions else ()
    sections += [
        *lesions,
        *_subgroups(document, OUTLINED),
        Section(
            "Cases",
            "Green: truth; red: network.",
            [],
            [
                Picture(figures.histogram(dice[np.isfinite(dice)], "Dice"), "all positive structures as one"),
                Picture(pictures, "cases", wide=True),
            ],
        ),
    ]
    notes += [section.note for section in lesions]
    tables += [table for section in lesions for table in section.tables]
    return Page(tuple(sections), tuple(notes), tuple(tables), pictures)


def learning(curve: Path | None) -> tuple[Section, ...]:
    """The learning curve, where there is one."""
    if curve is None:
        return ()
    return (Section("Training", "", [], [Picture(curve.read_bytes(), "learning curve")]),)


def counted(parts: Mapping[str, Mapping[str, int]]) -> Table:
    """Cases, groups and cases of each class, by part."""
    columns = list(dict.fromkeys(name for counts in parts.values() for name in counts))
    rows = [[name, *(str(counts.get(column, 0)) for column in columns)] for name, counts in parts.items()]
    return Table(["part", *columns], rows)


def card(parts: Mapping[str, Mapping[str, int]], page: Page) -> str:
    """Markdown for the model card: cases, tables, and how to read them."""
    tables = (counted(parts), *page.tables)
    return "\n\n".join([*(table.markdown() for table in tables), *page.notes]) + "\n"


def operating_rule(point: Mapping[str, Any]) -> str:
    """In a sentence."""
    return (
        f"Operating point: score >= {point['threshold']:.4f}, the {point['rule']} "
        f"(there sensitivity {point['sensitivity']:.3f}, specificity {point['specificity']:.3f})."
    )


def _lesions(found: Segmentation, document: Mapping[str, Any]) -> tuple[Section, ...]:
    """How many of the true lesions were found, at which price."""
    rule = (
        f"Candidates are regions with a probability of at least {CANDIDATE_PROBABILITY}; one hits a lesion from whose "
        "centre it is not further away than the radius of a disc of its size."
    )
    images = [image.found for image in found.images]
    anything = any(np.isfinite(image.overlaps[ANY].dice) for image in found.images)
    curve = [Picture(figures.froc(images), "lesions found over false positives")] if anything else []
    return (Section("Lesions", rule, [listed(_estimates(document["froc"]))], curve),)


def _sequences(rows: Sequence[Row]) -> tuple[Section, ...]:
    """The network's highest score of a sequence's slices beside models of the sequence; nothing without sequences."""
    if not rows:
        return ()
    note = (
        "Each sequence of slices as one case. The hidden Markov model and the plain GRU read hand-made features of the "
        "slices."
    )
    table = compared(rows, JUDGED)
    return (Section("Network and baselines: sequences of slices", note, [table]),)


def _subgroups(document: Mapping[str, Any], shown: Sequence[str]) -> tuple[Section, ...]:
    if not document["subgroups"]:
        return ()
    rows = [
        [name, str(one["cases"]), str(one["groups"]), *(str(_estimates(one["metrics"])[figure]) for figure in shown)]
        for name, one in document["subgroups"].items()
    ]
    table = Table(["subgroup", "cases", "groups", *map(heading, shown)], rows)
    return (Section("Subgroups", "At the one operating point.", [table]),)


def _estimates(figures_as_json: Mapping[str, Mapping[str, float | None]]) -> dict[str, Estimate]:
    """Figures as they stand in ``metrics.json``."""
    return {
        name: Estimate(
            *(float("nan") if one[key] is None else float(one[key] or 0) for key in ("value", "low", "high"))
        )
        for name, one in figures_as_json.items()
    }
