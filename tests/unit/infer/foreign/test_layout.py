"""Orientation, voxel size and padding: the numbers of MONAI, and back to where they came from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms import DivisiblePad, Orientation, Spacing

from node.domain.declared import Preprocessing
from node.domain.study import Volume
from node.infer.foreign.layout import layout
from tests.unit.infer.foreign.volumes import DIRECTIONS, SHAPE, volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def as_monai(given: Volume) -> MetaTensor:
    """The volume as MONAI's readers give it: an affine to RAS."""
    return MetaTensor(torch.from_numpy(given.array[None]), affine=torch.from_numpy(LPS_TO_RAS @ given.affine))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("code", ["RAS", "LPS", "SPL", "AIR"])
def test_orientation_as_monai(direction: str, code: str) -> None:
    given = volume(direction)
    expected = Orientation(axcodes=code, labels=(("L", "R"), ("P", "A"), ("I", "S")))(as_monai(given))
    place = layout(given, Preprocessing(orientation=code), 3)
    np.testing.assert_array_equal(place.to_network(given.array), expected[0].numpy())


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.6, 1.7, 3.1), (0.0, 2.0, 0.0)])
def test_voxel_size_and_padding_as_monai(direction: str, spacing: tuple[float, float, float]) -> None:
    given = volume(direction)
    oriented = Orientation(axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))(as_monai(given))
    pixdim = [size if size > 0 else -1.0 for size in spacing]
    expected = Spacing(pixdim=pixdim, mode="bilinear", dtype=torch.float64)(oriented)
    steps = Preprocessing(orientation="RAS", spacing_mm=spacing, divisible_by=4)
    place = layout(given, steps, 3)
    found = place.to_network(given.array)
    assert found.shape == tuple(expected.shape[1:])
    np.testing.assert_allclose(found, expected[0].numpy(), atol=2e-3)
    padded = DivisiblePad(4)(torch.from_numpy(found[None]))
    assert place.padded == tuple(padded.shape[1:])
    np.testing.assert_array_equal(np.pad(found, place.padding), padded[0].numpy())


def test_as_it_comes_nothing_changes() -> None:
    given = volume("oblique")
    place = layout(given, Preprocessing(), 3)
    np.testing.assert_array_equal(place.to_network(given.array), given.array)
    assert place.padded == SHAPE


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("code", ["", "RAS", "IPR"])
def test_there_and_back(direction: str, code: str) -> None:
    given = volume(direction)
    place = layout(given, Preprocessing(orientation=code, divisible_by=8), 3)
    back = place.from_network(np.pad(place.to_network(given.array), place.padding))
    np.testing.assert_array_equal(back, given.array)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_back_from_another_voxel_size(direction: str) -> None:
    given = volume(direction)
    place = layout(given, Preprocessing(orientation="RAS", spacing_mm=(0.4, 0.4, 0.4), divisible_by=16), 3)
    back = place.from_network(np.pad(place.to_network(given.array), place.padding))
    # Linear there and back on a finer grid: what is lost is small against a range of 200. The finer grid ends up to
    # half of its voxels before the last slice, which is then as the grid's last.
    np.testing.assert_allclose(back[1:-1], given.array[1:-1], atol=2.0)
    np.testing.assert_allclose(back, given.array, atol=5.0)


def test_size_keeps_the_outer_edges() -> None:
    given = volume("axial", (8, 6, 4))
    steps = Preprocessing(size=(16, 3, 4))
    place = layout(given, steps, 3)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(given.array)[None, None], size=(16, 3, 4), mode="trilinear", align_corners=False
    )
    np.testing.assert_allclose(place.to_network(given.array), expected[0, 0].numpy(), atol=1e-3)


def test_a_network_of_two_dimensions_leaves_the_slices_alone() -> None:
    given = volume("axial")
    place = layout(given, Preprocessing(size=(20, 30), divisible_by=16), 2)
    assert place.padded == (SHAPE[0], 32, 32)


def test_labels_are_not_interpolated() -> None:
    given = volume("sagittal")
    place = layout(given, Preprocessing(orientation="LPS", spacing_mm=(1.3, 1.3, 1.3)), 3)
    labels: npt.NDArray[np.float32] = np.random.default_rng(0).integers(0, 2, place.padded).astype(np.float32) * 7
    assert set(np.unique(place.from_network(labels, nearest=True))) == {0.0, 7.0}
