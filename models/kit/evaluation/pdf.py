"""The report on paper: the same words, tables and pictures as the page, on A4 sheets by matplotlib."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib import image
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from models.kit.evaluation.report import Picture, Report, Section, Table

Pixels = npt.NDArray[np.generic]

# A4, turned: tables are wide. Lengths in points (1/72 inch), from the upper left corner.
WIDTH, HEIGHT, MARGIN = 842.0, 595.0, 36.0
USABLE = WIDTH - 2 * MARGIN
BODY, HEADING, TITLE, SMALL = 9.0, 12.0, 16.0, 7.0
LARGEST_TABLE, SMALLEST_TABLE = 8.0, 3.0
LEADING = 1.35
# Widths of a character, in units of the font's size: exactly of DejaVu Sans Mono, on average of DejaVu Sans.
MONO, SANS = 0.602, 0.54
IN_A_ROW = 3
GAP = 8.0
CAPTION = 2 * SMALL * LEADING
DPI = 150
MOST_PROBLEMS = 40


def write_pdf(report: Report, file: Path) -> None:
    """Write the report; the same report gives the same bytes."""
    with PdfPages(file, metadata={"Title": f"{_plain(report.task)}: evaluation", "CreationDate": None}) as pages:
        paper = _Paper(pages)
        paper.text(f"{report.task}: evaluation on the part {report.part}", TITLE)
        paper.text(
            "Not a medical device. Figures hold for cases like those of this data set. In brackets 95 % intervals: "
            f"{report.samples} resamples of whole groups (patients, or what stands for them). "
            f"Weights {report.weights_sha256}."
        )
        paper.table(report.parts)
        for section in report.sections:
            _section(paper, section)
        _problems(paper, report)
        paper.finish()


def _section(paper: _Paper, section: Section) -> None:
    # A heading stays with what it is of: a few lines, or the first picture.
    first = section.pictures[0] if section.pictures and not section.tables else None
    paper.heading(section.title, 0 if first is None else _shape(_pixels(first), 1 if first.wide else IN_A_ROW)[1])
    if section.note:
        paper.text(section.note)
    for table in section.tables:
        paper.table(table)
    narrow = [picture for picture in section.pictures if not picture.wide]
    for start in range(0, len(narrow), IN_A_ROW):
        paper.pictures(narrow[start : start + IN_A_ROW], IN_A_ROW)
    for picture in section.pictures:
        if picture.wide:
            paper.pictures([picture], 1)


def _problems(paper: _Paper, report: Report) -> None:
    if report.problems:
        paper.heading(f"Problems: {len(report.problems)}")
        for one in report.problems[:MOST_PROBLEMS]:
            paper.text(f"{one.path}: {one.reason}", SMALL)
        if len(report.problems) > MOST_PROBLEMS:
            paper.text("The others are in metrics.json.", SMALL)


class _Paper:
    """Sheets that are filled from the top; what does not fit any more begins a new one."""

    def __init__(self, pages: PdfPages) -> None:
        self._pages = pages
        self._sheet = _sheet()
        self._down = MARGIN

    def heading(self, text: str, below: float = 0) -> None:
        """With room for a few lines and what is as high as ``below``, so that it never stands alone at the foot."""
        self._down += GAP
        self._reserve(min(6 * HEADING + below, HEIGHT - 2 * MARGIN))
        self.text(text, HEADING, weight="bold")

    def text(self, text: str, size: float = BODY, weight: str = "normal") -> None:
        """Broken into lines."""
        for line in textwrap.wrap(_plain(text), int(USABLE / (SANS * size))):
            self._line([(0.0, line)], size, weight=weight)
        self._down += 0.4 * size

    def table(self, table: Table) -> None:
        """In a size that lets the widest row fit; the marked row is bold."""
        rows = [[_plain(cell) for cell in row] for row in (table.columns, *table.rows)]
        widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
        size = max(SMALLEST_TABLE, min(LARGEST_TABLE, USABLE / (MONO * sum(widths))))
        starts = [MONO * size * sum(widths[:index]) for index in range(len(widths))]
        for number, row in enumerate(rows):
            bold = number == 0 or number == table.marked + 1
            cells = list(zip(starts, row, strict=True))
            self._line(cells, size, "DejaVu Sans Mono", "bold" if bold else "normal")
        self._down += GAP

    def pictures(self, pictures: Sequence[Picture], columns: int) -> None:
        """Beside each other, each as wide as its column and no higher than a sheet, with captions."""
        width = _column(columns)
        decoded = [_pixels(picture) for picture in pictures]
        shapes = [_shape(pixels, columns) for pixels in decoded]
        height = max(high for _, high in shapes)
        self._reserve(height + CAPTION)
        for number, (picture, pixels, (wide, high)) in enumerate(zip(pictures, decoded, shapes, strict=True)):
            left, top = MARGIN + number * (width + GAP), self._down
            box = (left / WIDTH, 1 - (top + high) / HEIGHT, wide / WIDTH, high / HEIGHT)
            axes = self._sheet.add_axes(box)
            axes.imshow(pixels, aspect="auto", interpolation="none")
            axes.set_axis_off()
            for place, line in enumerate(textwrap.wrap(_plain(picture.caption), int(width / (SANS * SMALL)))[:2]):
                down = top + height + (place + 0.8) * SMALL * LEADING
                self._write(left - MARGIN, down, line, SMALL)
        self._down += height + CAPTION + GAP

    def finish(self) -> None:
        """Write the last sheet."""
        self._pages.savefig(self._sheet)  # type: ignore[no-untyped-call]

    def _line(
        self, cells: Sequence[tuple[float, str]], size: float, family: str = "DejaVu Sans", weight: str = "normal"
    ) -> None:
        self._reserve(size * LEADING)
        self._down += size * LEADING
        for left, text in cells:
            self._write(left, self._down, text, size, family, weight)

    def _write(
        self, left: float, down: float, text: str, size: float, family: str = "DejaVu Sans", weight: str = "normal"
    ) -> None:
        place = (MARGIN + left) / WIDTH, 1 - down / HEIGHT
        self._sheet.text(*place, text, fontsize=size, family=family, weight=weight, parse_math=False)

    def _reserve(self, height: float) -> None:
        if self._down + height > HEIGHT - MARGIN and self._down > MARGIN:
            self._pages.savefig(self._sheet)  # type: ignore[no-untyped-call]
            self._sheet, self._down = _sheet(), MARGIN


def _column(columns: int) -> float:
    return (USABLE - GAP * (columns - 1)) / columns


def _shape(pixels: Pixels, columns: int) -> tuple[float, float]:
    """Width and height of a picture as it is shown: as wide as its column, unless the sheet is too low for that.

    A picture that fills its sheet leaves room for its heading and a note.
    """
    ratio = pixels.shape[0] / pixels.shape[1]
    width = min(_column(columns), (HEIGHT - 2 * MARGIN - CAPTION - 5 * HEADING) / ratio)
    return width, width * ratio


def _pixels(picture: Picture) -> Pixels:
    return np.asarray(image.imread(io.BytesIO(picture.png), format="png"))


def _sheet() -> Figure:
    return Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=DPI)


def _plain(text: str) -> str:
    """Without what no font can show: the bytes of a file name that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()
