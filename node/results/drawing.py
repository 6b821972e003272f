"""An image with what was found on it, as a picture for people: outlines, their numbers, and words above and below.

Outlines, never fills: what lies under them is what a reader looks at. Each is a bright line on a dark one, so that it
shows on black and on white. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from node.domain.result import GraphicType
from node.results.display import Grey
from node.results.lettering import Font, fitted, font_of, line_height
from node.results.plates import Entry, Plate, Points, Rgb, Shape

Picture = npt.NDArray[np.uint8]

# Of the image's shorter side, in pixels: an image of 64 pixels is enlarged, one of 2000 made smaller.
SHORTEST, LONGEST = 512, 1024
# Lines are drawn twice as large and made smaller afterwards, so that they have no steps.
FINER = 2
DARK: Rgb = (0, 0, 0)
LIGHT: Rgb = (255, 255, 255)
PANEL: Rgb = (24, 24, 24)
DIM: Rgb = (190, 190, 190)
WARNING: Rgb = (255, 221, 0)
# Entries of a legend beyond these are counted, not shown.
MOST_ENTRIES = 16
# Where the strokes that mark a point begin and end, in widths of a line.
NEAR, FAR = 4.0, 10.0
# Borders of a heat map, as parts of its highest value.
LEVELS = (0.5, 0.8)


@dataclass(frozen=True, slots=True)
class Words:
    """What stands above and below the image."""

    title: str
    outcome: str
    notes: tuple[str, ...]
    warning: str


def draw(levels: Grey, aspect: float, plate: Plate, words: Words) -> Picture:
    """RGB uint8 (rows, columns, 3). ``aspect`` is the height of a pixel by its width."""
    image, scale = _enlarged(levels, aspect)
    _draw_shapes(image, plate, scale)
    image = image.reduce(FINER)
    entries = plate.entries[:MOST_ENTRIES]
    more = len(plate.entries) - len(entries)
    notes = (*words.notes, plate.place[:1].upper() + plate.place[1:], *_of_heat_map(plate))
    return _stacked(
        [
            _text_panel(
                image.width,
                [(words.title, DIM, 1.0), (words.outcome, LIGHT, 1.2), *((note, DIM, 1.0) for note in notes)],
            ),
            image,
            _legend(image.width, entries, more),
            _text_panel(image.width, [(words.warning, WARNING, 1.2)]),
        ]
    )


def card(words: Words) -> Picture:
    """The words alone, where there is no image to show. RGB uint8 (rows, columns, 3)."""
    width, height = 768, SHORTEST
    said = [(words.title, DIM, 1.5), (words.outcome, LIGHT, 2.0), *((note, LIGHT, 1.5) for note in words.notes)]
    text, warning = _text_panel(width, said), _text_panel(width, [(words.warning, WARNING, 1.5)])
    space = Image.new("RGB", (width, max(0, height - text.height - warning.height)), PANEL)
    return _stacked([text, space, warning])


# ---------------------------------------------------------------- the image


def _enlarged(levels: Grey, aspect: float) -> tuple[Image.Image, tuple[float, float]]:
    """The image ``FINER`` times as large as it will be, and its pixels for each one of the source's (rows, columns)."""
    rows, columns = levels.shape[:2]
    height, width = rows * max(1.0, aspect), columns * max(1.0, 1 / aspect)
    factor = min(max(SHORTEST / min(height, width), 1.0), LONGEST / min(height, width))
    size = (FINER * max(1, round(factor * width)), FINER * max(1, round(factor * height)))
    source = Image.fromarray(levels).convert("RGB")
    return source.resize(size, Image.Resampling.BICUBIC), (size[1] / rows, size[0] / columns)


def _draw_shapes(image: Image.Image, plate: Plate, scale: tuple[float, float]) -> None:
    pen = _Pen(image, scale)
    if plate.heat_map is not None:
        for level, outline in _levels(plate.heat_map.array):
            pen.line(outline, LIGHT, closed=True, dashed=level < LEVELS[-1])
    for entry in plate.entries:
        for shape in entry.shapes:
            pen.shape(shape, entry)
    for entry in plate.entries:
        if entry.shapes and entry.number is not None:
            pen.number(entry)


def _levels(array: npt.NDArray[np.float32]) -> list[tuple[float, Points]]:
    from skimage.measure import find_contours  # noqa: PLC0415  for pictures alone

    highest = float(array.max())
    if highest <= 0:
        return []
    framed = np.pad(array.astype(np.float64), 1)
    return [(level, line - 1) for level in LEVELS for line in find_contours(framed, level * highest)]


def _of_heat_map(plate: Plate) -> tuple[str, ...]:
    if plate.heat_map is None:
        return ()
    half, most = (f"{100 * level:.0f} %" for level in LEVELS)
    return (f"White lines: where the network looked (broken: {half} of the highest value, solid: {most})",)


class _Pen:
    """Draws in the coordinates of the source image: (r, c), whole numbers are centres of pixels."""

    def __init__(self, image: Image.Image, scale: tuple[float, float]) -> None:
        self._image = image
        self._draw = ImageDraw.Draw(image)
        self._scale = np.array(scale)
        self._width = FINER * max(2, round(min(image.size) / FINER / 300))
        self._taken: list[tuple[float, float, float, float]] = []

    def shape(self, shape: Shape, entry: Entry) -> None:
        if shape.graphic_type in (GraphicType.POINT, GraphicType.MULTIPOINT):
            for point in shape.points:
                self._cross(point, entry.colour)
        else:
            self.line(shape.points, entry.colour, shape.graphic_type is GraphicType.POLYGON, entry.dashed)

    def line(self, points: Points, colour: Rgb, closed: bool, dashed: bool) -> None:
        placed = self._placed(np.vstack([points, points[:1]]) if closed else points)
        self._stroke([placed], DARK, 2 * self._width + FINER)
        self._stroke(_dashes(placed, 6.0 * self._width) if dashed else [placed], colour, self._width)

    def number(self, entry: Entry) -> None:
        """Beside the largest outline, on a dark ground, where no other number stands."""
        font = font_of(FINER * _size(self._image.width // FINER))
        text = str(entry.number)
        left, top, right, bottom = (float(edge) for edge in font.getbbox(text))
        margin = 2.0 * FINER
        size = np.array([right - left + 2 * margin, bottom - top + 2 * margin])
        x, y = self._free(entry.shapes[0], size)
        box = (x, y, x + float(size[0]), y + float(size[1]))
        self._taken.append(box)
        self._draw.rectangle(box, fill=DARK, outline=entry.colour, width=FINER)
        self._draw.text((x + margin - left, y + margin - top), text, font=font, fill=LIGHT)

    def _free(self, shape: Shape, size: Points) -> tuple[float, float]:
        """The upper left corner of a box beside the shape: above, right, below or left of it; inside of the image."""
        placed = self._placed(shape.points)
        # What marks a point reaches beyond it.
        points = shape.graphic_type in (GraphicType.POINT, GraphicType.MULTIPOINT)
        gap = (FAR + 2.0 if points else 2.0) * self._width
        top, bottom = placed[placed[:, 1].argmin()], placed[placed[:, 1].argmax()]
        leftmost, rightmost = placed[placed[:, 0].argmin()], placed[placed[:, 0].argmax()]
        corners = [
            (top[0] - size[0] / 2, top[1] - size[1] - gap),
            (rightmost[0] + gap, rightmost[1] - size[1] / 2),
            (bottom[0] - size[0] / 2, bottom[1] + gap),
            (leftmost[0] - size[0] - gap, leftmost[1] - size[1] / 2),
        ]
        limit = np.array(self._image.size) - size - 1
        inside = [tuple(float(v) for v in np.clip(corner, 0, np.maximum(limit, 0))) for corner in corners]
        for x, y in inside:
            if not any(_overlap((x, y, x + float(size[0]), y + float(size[1])), other) for other in self._taken):
                return x, y
        return inside[0][0], inside[0][1]

    def _cross(self, point: Points, colour: Rgb) -> None:
        """Four strokes around a point that they leave free."""
        (x, y), near, far = self._placed(point[None])[0], NEAR * self._width, FAR * self._width
        strokes = [
            np.array([[x + dx * near, y + dy * near], [x + dx * far, y + dy * far]])
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
        ]
        self._stroke(strokes, DARK, 2 * self._width + FINER)
        self._stroke(strokes, colour, self._width)

    def _placed(self, points: Points) -> Points:
        """(x, y) in the enlarged image."""
        placed: Points = ((points + 0.5) * self._scale)[:, ::-1] - 0.5
        return placed

    def _stroke(self, lines: Sequence[Points], colour: Rgb, width: int) -> None:
        for line in lines:
            self._draw.line([(float(x), float(y)) for x, y in line], fill=colour, width=width, joint="curve")


def _dashes(line: Points, length: float) -> list[Points]:
    """Every other piece of ``length`` along a line."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    pieces = []
    for start in np.arange(0.0, along[-1], 2 * length):
        end = min(start + length, along[-1])
        at = np.concatenate([[start], along[(along > start) & (along < end)], [end]])
        pieces.append(np.stack([np.interp(at, along, line[:, axis]) for axis in (0, 1)], axis=1))
    return pieces


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


# ---------------------------------------------------------------- the words


def _size(width: int) -> int:
    return max(16, round(width / 44))


def _text_panel(width: int, said: Sequence[tuple[str, Rgb, float]]) -> Image.Image:
    """Texts below each other, each in a colour and so many times the usual size, in as many lines as it needs."""
    margin = _size(width) // 2
    lines: list[tuple[str, Font, Rgb]] = []
    for text, colour, larger in said:
        font, wrapped = fitted(text, round(larger * _size(width)), width - 2 * margin)
        lines += [(line, font, colour) for line in wrapped]
    panel = Image.new("RGB", (width, sum(line_height(font) for _, font, _ in lines) + margin), PANEL)
    pen, y = ImageDraw.Draw(panel), margin // 2
    for line, font, colour in lines:
        pen.text((margin, y), line, font=font, fill=colour)
        y += line_height(font)
    return panel


def _legend(width: int, entries: Sequence[Entry], more: int) -> Image.Image:
    """A row for each entry: a piece of its line with its number, its name and values; dim where not on this image."""
    size, margin = _size(width), _size(width) // 2
    sample = 3 * size
    rows = [(entry, *fitted(_said(entry), size, width - 2 * margin - sample)) for entry in entries]
    heights = [line_height(font) * len(lines) for _, font, lines in rows]
    rest = [f"and {more} more in the report"] if more else []
    height = sum(heights) + len(rest) * line_height(font_of(size)) + (margin if rows else 0)
    panel = Image.new("RGB", (width, height), PANEL)
    pen, y = ImageDraw.Draw(panel), margin // 2
    for (entry, font, lines), tall in zip(rows, heights, strict=True):
        if entry.number is not None:
            _sample(pen, entry, (margin, y), sample, line_height(font))
        for number, line in enumerate(lines):
            place = (margin + sample, y + number * line_height(font))
            pen.text(place, line, font=font, fill=LIGHT if entry.shapes or entry.number is None else DIM)
        y += tall
    for line in rest:
        pen.text((margin + sample, y), line, font=font_of(size), fill=LIGHT)
    return panel


def _said(entry: Entry) -> str:
    elsewhere = "" if entry.shapes or entry.number is None else " (not on this image)"
    details = f": {entry.details}" if entry.details else ""
    return f"{entry.label}{elsewhere}{details}"


def _sample(pen: ImageDraw.ImageDraw, entry: Entry, corner: tuple[int, int], width: int, height: int) -> None:
    font, text = font_of(height - 4), str(entry.number)
    x, y = corner
    pen.text((x, y), text, font=font, fill=LIGHT)
    start, end = x + width * 0.45, x + width * 0.85
    line = np.array([[start, y + height / 2], [end, y + height / 2]])
    for piece in _dashes(line, width * 0.08) if entry.dashed else [line]:
        pen.line([(float(px), float(py)) for px, py in piece], fill=entry.colour, width=3)


def _stacked(panels: Sequence[Image.Image]) -> Picture:
    """Below each other; all are of one width."""
    return np.vstack([np.asarray(panel, np.uint8) for panel in panels if panel.height])
