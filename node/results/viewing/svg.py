"""Shapes on an image as an SVG that is laid over it: lines of the same width however large the image is shown. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

from node.domain.result import GraphicType
from node.results.plates import PALETTE, Points, Shape

# Of the strokes around a point, in parts of the image's width: they leave the point itself free.
NEAR, FAR = 0.008, 0.024


@dataclass(frozen=True, slots=True)
class Drawn:
    """One segment or finding on a slice; ``number`` is its number in the legend."""

    number: int
    label: str
    shapes: Sequence[Shape]


def colour_of(number: int) -> str:
    red, green, blue = PALETTE[(number - 1) % len(PALETTE)]
    return f"#{red:02x}{green:02x}{blue:02x}"


def is_dashed(number: int) -> bool:
    """Whether the line is broken, because its colour has been used before."""
    return (number - 1) // len(PALETTE) % 2 == 1


def svg(rows: int, columns: int, aspect: float, drawn: Sequence[Drawn]) -> bytes:
    """``aspect``: height of a pixel by its width. A unit is the width of a pixel; (0, 0) the image's outer corner."""
    pen, height = _Pen(aspect, columns), _number(rows * aspect)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns} {height}" fill="none" stroke-linejoin="round">'
    ]
    for one in drawn:
        parts.append(f'<g data-number="{one.number}"><title>{escape(f"{one.number} {one.label}")}</title>')
        line = " ".join(pen.path(shape) for shape in one.shapes)
        dashes = ' stroke-dasharray="6 4"' if is_dashed(one.number) else ""
        # Written once, drawn twice: dark below, so that it shows on black and on white.
        parts.append(f'<defs><path id="n{one.number}" d="{line}" vector-effect="non-scaling-stroke"/></defs>')
        parts.append(f'<use href="#n{one.number}" stroke="#000" stroke-opacity="0.7" stroke-width="3.5"/>')
        parts.append(f'<use href="#n{one.number}" stroke="{colour_of(one.number)}" stroke-width="1.8"{dashes}/>')
        parts.append(f"{pen.number(one)}</g>")
    return "".join([*parts, "</svg>"]).encode()


class _Pen:
    def __init__(self, aspect: float, columns: int) -> None:
        self._scale = np.array([1.0, aspect])
        self._width = columns

    def path(self, shape: Shape) -> str:
        if shape.graphic_type in (GraphicType.POINT, GraphicType.MULTIPOINT):
            return " ".join(self._cross(float(x), float(y)) for x, y in self._placed(shape.points))
        points = [f"{_number(x)} {_number(y)}" for x, y in self._placed(shape.points)]
        return f"M{'L'.join(points)}{'Z' if shape.graphic_type is GraphicType.POLYGON else ''}"

    def number(self, one: Drawn) -> str:
        """Above the first shape, which is the largest."""
        placed = self._placed(one.shapes[0].points)
        size = self._width * 0.032
        x, y = placed[placed[:, 1].argmin()]
        text = (
            f'font-size="{_number(size)}" font-family="system-ui,sans-serif" font-weight="600" text-anchor="middle" '
            'paint-order="stroke" stroke="#000" stroke-width="0.3em" '
        )
        above = max(float(y) - 0.4 * size, size)
        return f'<text x="{_number(x)}" y="{_number(above)}" {text}fill="{colour_of(one.number)}">{one.number}</text>'

    def _cross(self, x: float, y: float) -> str:
        near, far = NEAR * self._width, FAR * self._width
        strokes = ((1, 0), (-1, 0), (0, 1), (0, -1))
        return " ".join(
            f"M{_number(x + dx * near)} {_number(y + dy * near)}L{_number(x + dx * far)} {_number(y + dy * far)}"
            for dx, dy in strokes
        )

    def _placed(self, points: Points) -> Points:
        """(x, y) from (r, c), whose whole numbers are centres of pixels."""
        placed: Points = (points[:, ::-1] + 0.5) * self._scale
        return placed


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
