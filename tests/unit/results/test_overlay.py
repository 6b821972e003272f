"""A heat map over its picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from node.domain.result import HeatMap
from node.domain.study import Picture, SopRef
from node.results.overlay import overlay

REF = SopRef("1.2", "1.2.3")
GREY = np.array([[-5, 0], [5, 15]], np.float32)


def drawn(array: np.ndarray, heat: np.ndarray) -> np.ndarray:
    png = overlay(Picture(array.astype(np.float32), REF), HeatMap(REF, heat.astype(np.float32)))
    return np.asarray(Image.open(io.BytesIO(png)))


def test_without_heat_it_is_the_picture() -> None:
    np.testing.assert_array_equal(drawn(GREY, np.zeros((2, 2)))[..., 0], [[0, 64], [128, 255]])
    colour = np.random.default_rng(0).integers(0, 256, (2, 2, 3))
    np.testing.assert_array_equal(drawn(colour, np.zeros((2, 2))), colour)


@pytest.mark.parametrize(("heat", "rgb"), [(1.0, [153, 153, 0]), (0.5, [76, 0, 0])])
def test_heat_is_red_and_then_yellow(heat: float, rgb: list[int]) -> None:
    flat = drawn(np.full((2, 2), 7), np.full((2, 2), heat))
    np.testing.assert_array_equal(flat[0, 0], rgb)
