"""The two kinds of task, measured beside their baselines: JSON, rows of cases and page of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.kit.baselines.classical import Scores
from models.kit.cases import Problem
from models.kit.evaluation import classification, comparison, doubt, explanations, outlining, pages, sequences
from models.kit.evaluation.pages import Page
from models.kit.evaluation.predictions import ANY
from models.kit.evaluation.report import Section
from models.kit.evaluation.rows import Row
from models.kit.evaluation.run import Run
from models.kit.evaluation.similarity import similarity

NETWORK = "network"


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
    ordered = list(_sequences(run, found.held, found.odds))
    document = {
        "operating_point": asdict(found.point),
        **classification.document(run.task, found, figures, run.samples),
        **_compared(baselines, ordered),
    }
    page = pages.of_classification(run.task, found, document, [Row(NETWORK, "", figures), *baselines], ordered)
    more = (similarity(run), doubt.of_classification(run), explanations.of_classification(run, found))
    whole = _with(Measured(document, *classification.table_rows(run.task, found), page), more)
    return _with_further(run, found, whole)


def _segmentation(run: Run) -> Measured:
    found = outlining.outline(run.task, run.network, run.validation, run.part, run.device)
    structures = outlining.structures(found, run.samples)
    figures = outlining.figures(found, run.samples)
    drawn = list(_outline_baselines(run))
    judged = list(_image_baselines(run)) if figures else []
    ordered = list(_sequences(run, found.held, found.scores)) if figures else []
    document = {
        "operating_point": asdict(found.point) if found.point else None,
        **outlining.document(run.task, found, figures, structures, run.samples),
        **_compared([*drawn, *judged], ordered),
    }
    outlines = [Row(NETWORK, "", structures[ANY], "outlines"), *drawn]
    images = [Row(NETWORK, "", figures), *judged] if figures else []
    page = pages.of_segmentation(run.task, found, structures, document, outlines, images, ordered)
    more = (similarity(run), doubt.of_segmentation(run, found), explanations.of_segmentation(run, found))
    whole = _with(Measured(document, *outlining.table_rows(found), page), more)
    return _with_further(run, found, whole)


def _with(found: Measured, more: Sequence[tuple[dict[str, Any], tuple[Section, ...]]]) -> Measured:
    """The same with what else was measured, as further parts of the document and of the page."""
    document, sections = dict(found.document), found.page.sections
    for part, shown in more:
        document |= part
        sections += shown
    return replace(found, document=document, page=replace(found.page, sections=sections))


def _with_further(run: Run, found: classification.Classification | outlining.Segmentation, whole: Measured) -> Measured:
    """The same with what only this package measures, which stands in the card, too."""
    if run.task.further is None:
        return whole
    part, sections = run.task.further(run, found)
    page = whole.page
    notes, tables = (tuple(one.note for one in sections), tuple(table for one in sections for table in one.tables))
    carded = replace(whole, page=replace(page, notes=page.notes + notes, tables=page.tables + tables))
    return _with(carded, [(part, sections)])


def _compared(rows: Sequence[Row], ordered: Sequence[Row]) -> dict[str, Any]:
    """Baselines of images, outlines and sequences; the network's own figures of sequences, where there are any."""
    return {
        "baselines": [row.as_json() for row in (*rows, *ordered[1:])],
        "network_on_sequences": ordered[0].as_json() if ordered else None,
    }


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


def _sequences(run: Run, validation: Scores, part: Scores) -> Iterator[Row]:
    """The network first; rows until one cannot be made."""
    try:
        for one in sequences.of_network(run, validation, part):
            yield one.row(run.task.required_sensitivity, run.samples)
        if run.parts is not None:
            for one in sequences.of_baselines(run, run.parts):
                yield one.row(run.task.required_sensitivity, run.samples)
    except ValueError as error:
        run.problems.append(Problem("sequences", str(error)))
