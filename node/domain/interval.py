"""A closed interval of numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval; None leaves that side open."""

    low: float | None = None
    high: float | None = None

    def holds(self, value: float, tolerance: float = 1e-6) -> bool:
        return (self.low is None or value >= self.low - tolerance) and (
            self.high is None or value <= self.high + tolerance
        )

    def __str__(self) -> str:
        low = "" if self.low is None else f"at least {self.low:g}"
        high = "" if self.high is None else f"at most {self.high:g}"
        return " and ".join(part for part in (low, high) if part) or "any"


ANY = Interval()
