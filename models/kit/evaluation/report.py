"""One page that stands alone: tables, curves and cases, pictures inside; and the table of a model card."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.kit.cases import Problem
from models.kit.evaluation.resampling import SAMPLES, Estimate
from models.kit.evaluation.rows import Row

TEMPLATE = "report.html.j2"
HEADINGS = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "precision": "precision",
    "f1": "F1",
    "accuracy": "accuracy",
    "dice": "Dice",
    "dice_median": "median Dice",
    "surface_dice": "surface Dice",
    "hausdorff95": "95 % Hausdorff",
    "size_error": "size error",
    "size_error_absolute": "absolute size error",
    "false_alarm": "false alarms",
    "ece": "ECE",
    "ece_uncalibrated": "ECE as trained",
    "brier": "Brier score",
    "froc": "FROC score",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of text; ``marked`` is the row that stands out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: int = -1

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = [list(self.columns), ["---"] * len(self.columns), *([_cell(one) for one in row] for row in self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG file and what it shows; ``wide`` takes the whole line."""

    png: bytes
    caption: str
    wide: bool = False

    @property
    def data(self) -> str:
        """Base64."""
        return base64.b64encode(self.png).decode()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands below it."""

    title: str
    note: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that the page says."""

    task: str
    part: str
    weights_sha256: str
    parts: Table
    sections: Sequence[Section]
    problems: Sequence[Problem]
    samples: int = SAMPLES

    def html(self) -> str:
        """The page, complete in itself."""
        loader = FileSystemLoader(Path(__file__).parent)
        environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
        fields = {name: getattr(self, name) for name in self.__slots__}
        return environment.get_template(TEMPLATE).render(fields)


def compared(rows: Sequence[Row], figures: Sequence[str], marked: int = 0) -> Table:
    """Rows of a comparison with the given figures as columns; settings stand behind the names."""
    names = [f"{row.name} ({row.setting})" if row.setting else row.name for row in rows]
    return Table(
        ["model", *(heading(one) for one in figures)],
        [[name, *(str(row.figures[one]) for one in figures)] for name, row in zip(names, rows, strict=True)],
        marked,
    )


def listed(figures: Mapping[str, Estimate]) -> Table:
    """One figure a line."""
    return Table(["figure", "value (95 % interval)"], [[heading(name), str(one)] for name, one in figures.items()])


def heading(name: str) -> str:
    """A figure's name for people."""
    return HEADINGS.get(name, name.replace("_", " "))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
