"""Regular stacks get their affine, irregular ones the error and the words a physician reads."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from node.domain.study import SopRef
from node.errors import (
    DuplicateSlices,
    GantryTilt,
    GeometryError,
    MissingSlices,
    MixedImages,
    MixedOrientation,
    SeveralAcquisitions,
    UnevenSpacing,
)
from node.infer.geometry import Plane, stack

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def plane(number: int, z: float, **changes: Any) -> Plane:
    regular = Plane(
        source=number,
        frame=0,
        ref=SopRef("1.2", f"1.2.{number}"),
        shape=(4, 3),
        position=(1.0, 2.0, z),
        orientation=AXIAL,
        spacing=(0.5, 0.75),
    )
    return replace(regular, **changes)


def planes(*depths: float) -> list[Plane]:
    return [plane(number, z) for number, z in enumerate(depths)]


def test_slices_are_sorted_along_the_normal_and_the_affine_maps_indices_to_patient_mm() -> None:
    result = stack(planes(5.0, 0.0, 2.5))
    assert [each.source for each in result.planes] == [1, 2, 0]
    np.testing.assert_allclose(result.affine @ (2, 3, 1, 1), (1.0 + 0.75, 2.0 + 3 * 0.5, 5.0, 1.0))


def test_sagittal_slices_are_sorted_along_their_own_normal() -> None:
    stacked = stack([plane(n, 0, position=(x, 0.0, 0.0), orientation=SAGITTAL) for n, x in enumerate((3.0, 1.0, 2.0))])
    # row x column = y x -z = -x: the normal points to the patient's right
    assert [each.source for each in stacked.planes] == [0, 2, 1]
    np.testing.assert_allclose(stacked.affine[:3, 0], (-1, 0, 0))


@pytest.mark.parametrize(
    ("depths", "words"),
    [
        ((12, 13, 14, 17, 18, 19), "2 slices are missing between 14.0 and 17.0 mm"),
        ((0, 1, 2, 4, 5, 6), "1 slice is missing between 2.0 and 4.0 mm"),
        ((0, 1, 4), "2 slices are missing between 1.0 and 4.0 mm"),
        ((0, 1, 3, 4, 6), "2 slices are missing at 2 places, the first between 1.0 and 3.0 mm"),
    ],
)
def test_missing_slices_are_counted_and_placed(depths: tuple[float, ...], words: str) -> None:
    with pytest.raises(MissingSlices) as caught:
        stack(planes(*depths))
    assert caught.value.message == words


@pytest.mark.parametrize("depths", [(0, 1, 2, 3.4, 4.4), (0, 1, 2, 3, 3.5, 4.5), (0, 1, 2.2, 3.6, 5.2)])
def test_uneven_gaps(depths: tuple[float, ...]) -> None:
    with pytest.raises(UnevenSpacing, match=r"the distance between slices varies from \d"):
        stack(planes(*depths))


def test_a_slow_drift_is_uneven_although_no_gap_stands_out() -> None:
    depths = np.cumsum([0, *np.linspace(1.0, 1.045, 60)])
    with pytest.raises(UnevenSpacing, match="off an even spacing"):
        stack(planes(*depths.tolist()))


def test_positions_rounded_to_hundredths_are_even() -> None:
    exact = np.arange(200) * (1 / 3)
    spacing = np.linalg.norm(stack(planes(*np.round(exact, 2).tolist())).affine[:3, 0])
    assert spacing == pytest.approx(1 / 3, rel=1e-3)


def test_repeated_positions_are_duplicates() -> None:
    with pytest.raises(DuplicateSlices, match=r"1 images repeat the position of another, the first at 2\.0 mm"):
        stack(planes(0, 1, 2, 2, 3))


@pytest.mark.parametrize(
    ("fact", "values", "words"),
    [
        ("EchoTime", ("10", "90"), "2 different echo times"),
        ("TemporalPosition", ("1", "2"), "2 different time points"),
        ("DiffusionBValue", ("0", "1000"), "b-values"),
        ("ImageContent", ("ORIGINAL/PRIMARY/M", "ORIGINAL/PRIMARY/P"), "kinds of image"),
    ],
)
def test_several_echoes_phases_and_weightings(fact: str, values: tuple[str, str], words: str) -> None:
    mixed = [plane(n, n // 2, facts={fact: values[n % 2]}) for n in range(8)]
    with pytest.raises(SeveralAcquisitions, match=words) as caught:
        stack(mixed)
    assert caught.value.details["attribute"] == fact


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_two_acquisitions_of_the_same_region_even_when_interleaved(shift: float) -> None:
    mixed = [plane(n, n % 4 + shift * (n // 4), acquisition=str(n // 4)) for n in range(8)]
    with pytest.raises(SeveralAcquisitions, match="2 acquisitions of the same region"):
        stack(mixed)


def test_step_and_shoot_with_one_acquisition_for_each_slice_is_one_volume() -> None:
    assert len(stack([plane(n, n, acquisition=str(n)) for n in range(4)]).planes) == 4


def test_the_same_positions_at_other_times_are_several_acquisitions() -> None:
    with pytest.raises(SeveralAcquisitions, match="more than one time"):
        stack([plane(n, n // 2, taken_at=str(n % 2)) for n in range(8)])


def test_mixed_orientation() -> None:
    with pytest.raises(MixedOrientation, match="1 of 4 images are oriented differently"):
        stack([*planes(0, 1, 2), plane(3, 3, orientation=SAGITTAL)])


def test_a_localizer_among_the_others_is_named_before_its_size() -> None:
    with pytest.raises(MixedOrientation, match="1 localizer images lie among the 3 others"):
        stack([*planes(0, 1, 2), plane(3, 3, localizer=True, shape=(9, 9))])


def test_gantry_tilt() -> None:
    with pytest.raises(GantryTilt, match=r"an angle of 10\.0 degrees"):
        stack([plane(n, n, position=(0.0, n * math.tan(math.radians(10)), float(n))) for n in range(5)])


def test_a_shear_below_the_tolerance_stays_in_the_affine() -> None:
    shear = math.tan(math.radians(0.3))
    result = stack([plane(n, n, position=(0.0, n * shear, float(n))) for n in range(5)])
    np.testing.assert_allclose(result.affine[:3, 0], (0, shear, 1))


def test_a_slice_displaced_sideways() -> None:
    displaced = plane(2, 2, position=(1.0, 6.0, 2.0))
    with pytest.raises(GeometryError, match=r"sideways against each other by 4\.0 mm"):
        stack([*planes(0, 1), displaced, plane(3, 3), plane(4, 4)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": (8, 8)}, "size: 4 x 3 and 8 x 8 pixels"),
        ({"spacing": (1.0, 1.0)}, "pixel spacing"),
        ({"photometric": "MONOCHROME1"}, "photometric"),
        ({"frame_of_reference_uid": "1.9"}, "frames of reference"),
    ],
)
def test_mixed_images(change: dict[str, Any], words: str) -> None:
    with pytest.raises(MixedImages, match=words):
        stack([*planes(0, 1, 2), plane(3, 3, **change)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"position": None}, r"1 of 3 images have no position"),
        ({"orientation": None}, "no orientation"),
        ({"spacing": None}, "no pixel spacing"),
        ({"position": (0.0, 0.0, math.nan)}, "invalid position"),
        ({"position": (0.0, 0.0)}, "invalid position"),
        ({"orientation": (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)}, "not two perpendicular directions"),
        ({"orientation": (0.0,) * 6}, "not two perpendicular directions"),
        ({"spacing": (0.0, 1.0)}, "zero or below"),
    ],
)
def test_absent_and_absurd_geometry(change: dict[str, Any], words: str) -> None:
    with pytest.raises(GeometryError, match=words):
        stack([*planes(0, 1), plane(2, 2, **change)])


def test_a_single_slice_and_none() -> None:
    with pytest.raises(GeometryError, match="a single slice"):
        stack(planes(0))
    with pytest.raises(GeometryError, match="no images"):
        stack([])
