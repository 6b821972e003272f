"""The two kinds of task, measured beside their baselines: JSON, rows of cases and page of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.kit.cases import Problem
from models.kit.evaluation import classification, comparison, outlining, pages
from models.kit.evaluation.comparison import Parts
from models.kit.evaluation.pages import Page
from models.kit.evaluation.parts import Part
from models.kit.evaluation.predictions import ANY
from models.kit.evaluation.rows import Row
from models.kit.task import Task

NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Run:
    """What is measured on what.

    Attributes:
        validation: chooses temperature, operating point and the baselines' settings.
        part: what is measured.
        parts: of the baselines; ``None`` leaves them out.
        folder: where features are kept.
        problems: receives what could not be done.
    """

    task: Task
    network: nn.Module
    device: torch.device
    validation: Part
    part: Part
    parts: Parts | None
    folder: Path
    problems: list[Problem]
    samples: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What is left to be written: JSON, the table of the cases, the page."""

    document: dict[str, Any]
    columns: list[str]
    rows: list[list[object]]
    page: Page


def measured(run: Run) -> Measured:
    """The network and its baselines.

    Raises:
        ValueError: the validation cases of a classifier are of one class only.
    """
    return _classification(run) if run.task.kind == "classification" else _segmentation(run)


def _classification(run: Run) -> Measured:
    found = classification.classify(run.task, run.network, run.validation, run.part, run.device)
    figures = classification.figures(found, run.samples)
    baselines = list(_image_baselines(run))
    document = {
        "operating_point": asdict(found.point),
        **classification.document(run.task, found, figures, run.samples),
        "baselines": [row.as_json() for row in baselines],
    }
    page = pages.of_classification(run.task, found, document, [Row(NETWORK, "", figures), *baselines])
    return Measured(document, *classification.table_rows(run.task, found), page)


def _segmentation(run: Run) -> Measured:
    found = outlining.outline(run.task, run.network, run.validation, run.part, run.device)
    structures = outlining.structures(found, run.samples)
    figures = outlining.figures(found, run.samples)
    drawn = list(_outline_baselines(run))
    judged = list(_image_baselines(run)) if figures else []
    document = {
        "operating_point": asdict(found.point) if found.point else None,
        **outlining.document(found, figures, structures, run.samples),
        "baselines": [row.as_json() for row in (*drawn, *judged)],
    }
    outlines = [Row(NETWORK, "", structures[ANY], "outlines"), *drawn]
    images = [Row(NETWORK, "", figures), *judged] if figures else []
    page = pages.of_segmentation(run.task, found, structures, document, outlines, images)
    return Measured(document, *outlining.table_rows(found), page)


def _image_baselines(run: Run) -> Iterator[Row]:
    """Rows until one cannot be made; why not is a problem."""
    if run.parts is None:
        return
    try:
        for one in comparison.of_images(run.task, run.parts, run.folder, run.problems):
            yield one.row(run.task.required_sensitivity, run.samples)
    except ValueError as error:
        run.problems.append(Problem("baselines", str(error)))


def _outline_baselines(run: Run) -> Iterator[Row]:
    if run.parts is None:
        return
    try:
        yield from comparison.of_pixels(run.task, run.parts, run.samples)
    except ValueError as error:
        run.problems.append(Problem("baselines", str(error)))
