"""A whole picture as the input of a network."""

from __future__ import annotations

import numpy as np
import pytest

from models.kit.preprocess.whole_picture import grey, require_contrast, require_grey, resized, stretched
from node.errors import UnsupportedImage

RAMP = np.tile(np.linspace(0, 255, 80, dtype=np.float32), (70, 1))


def test_grey_of_colour_is_its_luma() -> None:
    colour = np.zeros((4, 5, 3), dtype=np.float32)
    colour[..., 1] = 100
    assert np.allclose(grey(colour), 58.7)
    assert grey(RAMP) is RAMP


def test_colour_is_refused_where_grey_is_wanted_and_small_coloured_marks_are_not() -> None:
    stored_as_colour = np.repeat(RAMP[..., None], 3, axis=2)
    assert np.allclose(require_grey(stored_as_colour), RAMP, atol=1e-3)
    stored_as_colour[:3, :3, 0] = 255
    require_grey(stored_as_colour)
    stored_as_colour[20:40, :, 0] = 255
    with pytest.raises(UnsupportedImage, match="coloured"):
        require_grey(stored_as_colour)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((100, 63), np.float32), "at least"),
        (np.full((100, 100), 7, np.float32), "contrast"),
        (np.full((100, 100), np.nan, np.float32), "finite"),
    ],
)
def test_what_is_no_picture_is_refused(array: np.ndarray, words: str) -> None:
    with pytest.raises(UnsupportedImage, match=words):
        require_contrast(array)


def test_resizing_averages_what_it_drops() -> None:
    checks = np.indices((128, 128)).sum(0) % 2 * np.float32(200)
    assert np.abs(resized(checks, 32, 32) - 100).max() < 30
    assert resized(np.repeat(RAMP[..., None], 3, axis=2), 20, 30).shape == (20, 30, 3)


def test_stretching_does_not_care_for_gain_and_offset() -> None:
    plain = stretched(RAMP, 1, 99)
    assert (plain.min(), plain.max(), plain.dtype) == (-1, 1, np.float32)
    assert np.allclose(plain, stretched(RAMP * 16 - 1000, 1, 99), atol=1e-4)
