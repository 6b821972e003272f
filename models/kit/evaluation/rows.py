"""Rows of the comparison: the network and everything simpler, measured in one way on the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.kit.baselines.classical import Scored
from models.kit.evaluation.binary import Truth, measured
from models.kit.evaluation.operating_point import choose
from models.kit.evaluation.resampling import SAMPLES, Estimate


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; ``unit`` says what was judged: images, sequences or pixels."""

    name: str
    setting: str
    figures: dict[str, Estimate]
    unit: str = "images"

    def as_json(self) -> dict[str, object]:
        """Name, setting, unit and figures."""
        figures = {name: one.as_json() for name, one in self.figures.items()}
        return {"name": self.name, "setting": self.setting, "unit": self.unit, "figures": figures}


@dataclass(frozen=True, slots=True)
class Judged:
    """A baseline's scores and the truth that they are held against, of validation and test."""

    scored: Scored
    validation: Truth
    test: Truth
    groups: Sequence[str]
    unit: str = "images"

    def row(self, required_sensitivity: float | None, samples: int = SAMPLES) -> Row:
        """Measured as the network is: the operating point comes from the validation cases, by the same rule.

        Raises:
            ValueError: only one class among the validation cases.
        """
        point = choose(self.validation, self.scored.validation, required_sensitivity)
        figures = measured(self.test, self.scored.test, point.threshold, self.groups, samples)
        return Row(self.scored.name, self.scored.setting, figures, self.unit)
