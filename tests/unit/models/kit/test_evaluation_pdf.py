"""The report on paper: every word of it is there, and on the sheet."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from models.kit.cases import Problem
from models.kit.evaluation import pdf
from models.kit.evaluation.report import Picture, Report, Section, Table

WIDE = Table(
    ["model", *(f"figure {number}" for number in range(8))],
    [["a model with a long name and a setting (C=0.1)", *["0.970 (0.919-1.000)"] * 8], ["b", *["0.5 $x"] * 8]],
    marked=1,
)


def drawn(rows: int, columns: int) -> bytes:
    buffer = io.BytesIO()
    image.imsave(buffer, np.random.default_rng(0).random((rows, columns)), format="png")
    return buffer.getvalue()


def report() -> Report:
    narrow = [Picture(drawn(40, 40), f"curve {number}") for number in range(5)]
    sections = (
        Section("First", "What it means, in a sentence. " * 12, [WIDE, WIDE], narrow),
        Section("Second", "", [Table(["case"], [[f"line {number}"] for number in range(90)])]),
        Section(
            "Third", "", [], [Picture(drawn(90, 30), "tall", wide=True), Picture(drawn(20, 90), "flat", wide=True)]
        ),
    )
    problems = [Problem(f"set/picture {number} \udcff", "broken: it is empty") for number in range(50)]
    return Report("known", "test", "0" * 64, Table(["part", "cases"], [["test", "3"]]), sections, problems)


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> list[Figure]:
    """The sheets of the report as they were written."""
    found: list[Figure] = []

    class Noted(pdf.PdfPages):
        def savefig(self, figure: Any = None, **options: Any) -> None:
            found.append(figure)
            super().savefig(figure, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf, "PdfPages", Noted)
        pdf.write_pdf(report(), tmp_path_factory.mktemp("paper") / "report.pdf")
    return found


def test_every_word_is_on_a_sheet(sheets: list[Figure]) -> None:
    texts = [text.get_text() for sheet in sheets for text in sheet.texts]
    words = " ".join(texts)
    for wanted in ("First", "Second", "Third", "Not a medical device", "known: evaluation on the part test", "0" * 64):
        assert wanted in words
    assert texts.count("0.970 (0.919-1.000)") == 16
    assert [f"line {number}" for number in range(90)] == [text for text in texts if text.startswith("line ")]
    assert sum("it is empty" in text for text in texts) == pdf.MOST_PROBLEMS
    assert sum(len(sheet.axes) for sheet in sheets) == 7
    assert len(sheets) > 4


def test_nothing_leaves_its_sheet_or_covers_another_column(sheets: list[Figure]) -> None:
    for sheet in sheets:
        renderer = FigureCanvasAgg(sheet).get_renderer()
        width, height = sheet.bbox.width, sheet.bbox.height
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in sheet.texts]
        boxes += [("picture", axes.get_window_extent(renderer)) for axes in sheet.axes]
        for name, box in boxes:
            assert box.x0 >= 0, name
            assert box.x1 <= width, name
            assert box.y0 >= 0, name
            assert box.y1 <= height, name
        cells = [box for text, box in boxes if text == "0.970 (0.919-1.000)"]
        for left, right in itertools.pairwise(cells):
            assert left.y0 != right.y0 or left.x1 < right.x0


def test_the_same_report_is_the_same_file(tmp_path: Path) -> None:
    short = replace(report(), sections=report().sections[2:], problems=[])
    for name in ("one", "two"):
        pdf.write_pdf(short, tmp_path / f"{name}.pdf")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
