"""The judgement of the pictures, without a viewer: an overlay that is mirrored, displaced or absent is seen to be."""

from __future__ import annotations

import numpy as np
import pytest

from tests.browser.overlap import Mask, Pixels, overlaps

SHAPE = (90, 120)
RED, BLUE = (230, 97, 1), (94, 60, 153)


def bodies() -> tuple[Mask, Mask]:
    r, c = np.indices(SHAPE)
    return ((r - 30) / 12) ** 2 + ((c - 40) / 25) ** 2 < 1, (r - 65) ** 2 + (c - 90) ** 2 < 100


def plain() -> Pixels:
    ellipsoid, ball = bodies()
    grey = np.full(SHAPE, 60, np.uint8)
    grey[ellipsoid], grey[ball] = 217, 255
    return np.repeat(grey[..., None], 3, axis=2)


def covered(first: Mask, second: Mask) -> Pixels:
    picture = plain().astype(float)
    for mask, colour in ((first, RED), (second, BLUE)):
        picture[mask] = 0.5 * picture[mask] + 0.5 * np.array(colour)
    return picture.astype(np.uint8)


def test_an_overlay_on_both_bodies() -> None:
    assert [one.of_union for one in overlaps(plain(), covered(*bodies()))] == [1, 1]


@pytest.mark.parametrize("axis", [0, 1])
def test_a_mirrored_overlay_is_on_neither(axis: int) -> None:
    ellipsoid, ball = bodies()
    found = overlaps(plain(), covered(np.flip(ellipsoid, axis), np.flip(ball, axis)))
    assert all(one.of_union < 0.5 for one in found)


def test_an_overlay_displaced_by_a_tenth_of_a_body_is_not_enough() -> None:
    ellipsoid, ball = bodies()
    found = overlaps(plain(), covered(np.roll(ellipsoid, 3, axis=0), np.roll(ball, 3, axis=0)))
    assert all(one.of_union < 0.9 for one in found)


def test_segments_that_changed_places_are_on_neither() -> None:
    ellipsoid, ball = bodies()
    assert [one.both for one in overlaps(plain(), covered(ball, ellipsoid))] == [0, 0]


def test_no_overlay_covers_nothing() -> None:
    nothing = np.zeros(SHAPE, bool)
    found = overlaps(plain(), covered(nothing, nothing))
    assert [(one.overlay, one.of_union) for one in found] == [(0, 0), (0, 0)]
