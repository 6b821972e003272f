"""Whether a model wants a series, as data: every condition with what was wanted and what was found."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """ADMITTED: a job runs the model. NOT_EVALUABLE: wanted, but outside the model's limits: a job writes that down."""

    ADMITTED = "ADMITTED"
    NOT_EVALUABLE = "NOT EVALUABLE"
    NOT_WANTED = "NOT WANTED"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an admission. ``kind`` is ``selection``, ``limit`` or ``route``."""

    name: str
    kind: str
    wanted: str
    found: str
    met: bool


@dataclass(frozen=True, slots=True)
class RouteCondition:
    """``attribute`` is a DICOM keyword; ``op`` one of eq, ne, in, not_in, matches, lt, le, gt, ge, exists."""

    attribute: str
    op: str
    value: str | int | float | bool | tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Where results of which models go, and how urgent they are."""

    models: tuple[str, ...]
    destinations: tuple[str, ...]
    when: tuple[RouteCondition, ...]
    priority: str


@dataclass(frozen=True, slots=True)
class Admission:
    model: str
    model_version: str
    verdict: Verdict
    conditions: tuple[Condition, ...]
    route: int | None = None
    priority: str = "MEDIUM"
    destinations: tuple[str, ...] = ()

    @property
    def unmet(self) -> tuple[Condition, ...]:
        return tuple(condition for condition in self.conditions if not condition.met)
