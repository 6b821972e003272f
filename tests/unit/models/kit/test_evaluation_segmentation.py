"""Overlap, distances and FROC against hand-computed cases and brute force."""

from __future__ import annotations

from math import inf, isnan

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from models.kit.evaluation import detection, overlaps
from models.kit.evaluation.detection import Candidate, Found, candidates, curve, matched, sensitivity_at
from models.kit.evaluation.segmentation import overlap


def square(top: int, left: int, side: int, size: int = 32) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def outline(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask & ~ndimage.binary_erosion(mask))


def test_a_shifted_square_by_hand() -> None:
    # 10 x 10 moved by 2 columns: 80 pixels in common, no outline further away than 2.
    found = overlap(square(5, 7, 10), square(5, 5, 10), (1.0, 1.0), tolerance=2.0)
    assert found.dice == pytest.approx(0.8)
    assert found.surface_dice == pytest.approx(1.0)
    assert found.hausdorff95 == pytest.approx(2.0)
    assert (found.truth_size, found.found_size, found.size_error) == (100.0, 100.0, 0.0)


def test_lengths_and_areas_are_in_the_unit_of_the_spacing() -> None:
    found = overlap(square(5, 7, 10), square(5, 5, 10), (0.5, 0.5), tolerance=0.4)
    assert found.hausdorff95 == pytest.approx(1.0)
    assert found.truth_size == 25.0
    assert found.surface_dice < 1.0


@pytest.mark.parametrize("seed", range(3))
def test_distances_against_every_pair_of_outline_pixels(seed: int) -> None:
    generator = np.random.default_rng(seed)
    first, second = (ndimage.gaussian_filter(generator.normal(size=(40, 40)), 4) > 0.01 for _ in range(2))
    distances = cdist(outline(first), outline(second))
    wanted = max(np.percentile(distances.min(axis=1), 95), np.percentile(distances.min(axis=0), 95))
    found = overlap(first, second, (1.0, 1.0), tolerance=2.0)
    assert found.hausdorff95 == pytest.approx(wanted)
    near = (distances.min(axis=1) <= 2).sum() + (distances.min(axis=0) <= 2).sum()
    assert found.surface_dice == pytest.approx(near / sum(distances.shape))


def test_a_miss_costs_and_nothing_is_no_success() -> None:
    empty = np.zeros((30, 40), dtype=bool)
    lesion = empty.copy()
    lesion[3:6, 3:6] = True
    missed = overlap(empty, lesion, (1.0, 1.0), 2.0)
    assert (missed.dice, missed.surface_dice, missed.hausdorff95, missed.size_error) == (0.0, 0.0, 50.0, -1.0)
    alarm = overlap(lesion, empty, (1.0, 1.0), 2.0)
    assert alarm.dice == 0.0
    assert isnan(alarm.size_error)
    assert isnan(overlap(empty, empty, (1.0, 1.0), 2.0).dice)
    with pytest.raises(ValueError, match="do not compare"):
        overlap(empty, lesion.T, (1.0, 1.0), 2.0)


def test_a_volume_has_distances_too() -> None:
    first = np.zeros((12, 12, 12), dtype=bool)
    first[3:9, 3:9, 3:9] = True
    found = overlap(np.roll(first, 1, axis=0), first, (2.0, 1.0, 1.0), tolerance=2.0)
    assert found.hausdorff95 == pytest.approx(2.0)
    assert found.dice == pytest.approx(5 / 6)
    assert found.truth_size == 432.0


def test_means_are_over_images_that_have_the_structure() -> None:
    empty = np.zeros((32, 32), dtype=bool)
    images = [
        overlap(square(5, 5, 10), square(5, 5, 10), (1.0, 1.0), 2.0),
        overlap(empty, square(5, 5, 10), (1.0, 1.0), 2.0),
        overlap(square(5, 5, 4), empty, (1.0, 1.0), 2.0),
        overlap(empty, empty, (1.0, 1.0), 2.0),
    ]
    found = overlaps.measured(images, ["a", "b", "c", "d"], samples=100)
    assert found["dice"].value == 0.5
    assert found["false_alarm"].value == 0.5
    assert found["size_error"].value == -0.5


def test_candidates_are_regions_of_enough_pixels() -> None:
    belief = np.zeros((32, 32), dtype=np.float32)
    belief[2:6, 2:6] = 0.4
    belief[3, 3] = 0.9
    belief[20, 20] = 1.0
    found = candidates(belief)
    assert [one.score for one in found] == [pytest.approx(0.9)]
    assert found[0].centre == pytest.approx((3.5, 3.5), abs=0.1)
    assert candidates(np.zeros((8, 8), dtype=np.float32)) == ()


def test_hits_doubles_and_false_positives() -> None:
    truth = square(4, 4, 6) | square(20, 20, 6)
    found = matched([Candidate((6.5, 6.5), 0.6), Candidate((7.0, 7.0), 0.8), Candidate((15.0, 15.0), 0.7)], truth)
    # The first lesion is hit twice, by 0.8 at best; the second is missed; 0.7 hits nothing.
    assert sorted(found.lesions) == [-inf, 0.8]
    assert found.false_positives == (0.7,)
    assert matched([Candidate((1.0, 1.0), 0.5)], np.zeros((8, 8), dtype=bool)) == Found((), (0.5,))


def test_sensitivity_at_false_positives_by_hand() -> None:
    images = [Found((0.9,), (0.8,)), Found((0.7,), (0.6, 0.5)), Found((-inf,), ()), Found((0.3,), (0.4,))]
    # At a quarter of a false positive an image one of 0.8 0.6 0.5 0.4 may stand: lesions above 0.6.
    assert sensitivity_at(images, 0.25) == 0.5
    assert sensitivity_at(images, 0.0) == 0.25
    # Everything allowed: only the missed one is not found.
    assert sensitivity_at(images, 8.0) == 0.75
    assert isnan(sensitivity_at([Found((), (0.5,))], 1.0))


def test_the_curve_agrees_with_the_sensitivities() -> None:
    generator = np.random.default_rng(0)
    images = [
        Found(
            tuple(generator.random(generator.integers(0, 3))), tuple(generator.random(generator.integers(0, 4)) * 0.8)
        )
        for _ in range(40)
    ]
    alarms, found = curve(images)
    assert (np.diff(alarms) >= 0).all()
    for rate in (0.1, 0.5, 1.0):
        assert sensitivity_at(images, rate) == pytest.approx(found[alarms <= rate].max(initial=0.0))
    measured = detection.measured(images, [str(one) for one in range(40)], samples=50)
    assert measured["sensitivity_at_1"].low <= measured["sensitivity_at_1"].value <= measured["sensitivity_at_1"].high
