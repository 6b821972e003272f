"""Curves as the paths of a small SVG. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 288, 84
TOP, BOTTOM = 4, 80


@dataclass(frozen=True, slots=True)
class Chart:
    """``now`` is the newest number and ``most`` the highest, as text; None where there is none."""

    name: str
    today: str
    yesterday: str
    now: str | None
    most: str | None


def charts(document: Mapping[str, Any]) -> list[Chart]:
    return [chart(name, curves["today"], curves["yesterday"]) for name, curves in document["charts"].items()]


def chart(name: str, today: Sequence[float | None], yesterday: Sequence[float | None]) -> Chart:
    """Both curves on one scale, so that they can be compared."""
    known = [value for value in (*today, *yesterday) if value is not None]
    most = max(known, default=None)
    newest = next((value for value in reversed(today) if value is not None), None)
    scale = most or 1.0
    return Chart(name, path(today, scale), path(yesterday, scale), _text(newest), _text(most))


def path(values: Sequence[float | None], most: float) -> str:
    """SVG path data (SVG 2 section 9.3): a line that is broken where there is no number, a short one where it stands
    alone.
    """
    step = WIDTH / max(1, len(values) - 1)
    parts: list[str] = []
    pen = False
    for index, value in enumerate(values):
        if value is None:
            pen = False
            continue
        x, y = index * step, BOTTOM - (BOTTOM - TOP) * value / most
        alone = not pen and (index + 1 == len(values) or values[index + 1] is None)
        parts.append(f"{'L' if pen else 'M'}{x:.1f} {y:.1f}" + ("h-2" if alone else ""))
        pen = True
    return "".join(parts)


def _text(value: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
