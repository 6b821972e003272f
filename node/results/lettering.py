"""Text in a picture: measured, wrapped and shrunk until it fits, so that no letter is cut off. Pure."""

from __future__ import annotations

from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont

SMALLEST = 12  # points; below it nobody reads


@lru_cache(maxsize=16)
def font_of(size: int) -> Font:
    """Pillow's own font, which comes with it: a picture does not depend on what a machine has installed.

    Raises:
        OSError: Pillow was built without FreeType.
    """
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OSError("Pillow was built without FreeType: no letters can be drawn")
    return font


def line_height(font: Font) -> int:
    ascent, descent = font.getmetrics()
    return int(ascent + descent) + 2


def fitted(text: str, size: int, width: int) -> tuple[Font, list[str]]:
    """``text`` in lines of at most ``width`` pixels: in ``size``, or smaller where a single word is too long for that.

    A word that is too long even in ``SMALLEST`` is broken.
    """
    words = text.split()
    while size > SMALLEST and any(font_of(size).getlength(word) > width for word in words):
        size -= 1
    font = font_of(size)
    return font, wrapped(words, font, width)


def wrapped(words: list[str], font: Font, width: int) -> list[str]:
    lines: list[str] = []
    for part in (part for word in words for part in _broken(word, font, width)):
        longer = f"{lines[-1]} {part}" if lines else part
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def _broken(word: str, font: Font, width: int) -> list[str]:
    parts = [""]
    for letter in word:
        if parts[-1] and font.getlength(parts[-1] + letter) > width:
            parts.append("")
        parts[-1] += letter
    return parts
