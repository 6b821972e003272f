"""What each step does, by what is known of its output."""

from __future__ import annotations

import numpy as np
import pytest

from models.kit.preprocess import fundus, intensity, regions, shapes, volumes
from node.errors import UnsupportedImage
from tests.peers import data_dir
from tests.unit.models.kit.pictures import Float, textured


def _ellipse(rows: int, columns: int) -> Float:
    row, column = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    return np.asarray(row**2 + column**2 < 0.5, dtype=np.float32)


def test_letterbox_keeps_the_aspect_and_pads_evenly() -> None:
    boxed = shapes.letterboxed(np.full((20, 40), 5, dtype=np.float32), 32, 32, fill=-1)
    assert boxed.shape == (32, 32)
    np.testing.assert_allclose(boxed[8:24], 5, rtol=1e-6)
    assert (boxed[:8] == -1).all()
    assert (boxed[24:] == -1).all()
    colour = shapes.letterboxed(np.full((40, 20, 3), 5, dtype=np.float32), 16, 16)
    assert colour.shape == (16, 16, 3)
    np.testing.assert_allclose(colour[:, 4:12], 5, rtol=1e-6)
    assert colour[:, :4].max() == colour[:, 12:].max() == 0


def test_scaling_down_does_not_alias() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.float32), (64, 32))
    small = shapes.letterboxed(stripes, 16, 16)
    assert np.abs(small - 127.5).max() < 12


def test_centre_crop_cuts_and_pads() -> None:
    picture = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(shapes.centred(picture, 2, 2), picture[1:3, 2:4])
    padded = shapes.centred(picture, 6, 2, fill=9)
    np.testing.assert_array_equal(padded[1:5], picture[:, 2:4])
    assert (padded[[0, 5]] == 9).all()


@pytest.mark.parametrize("axes", [2, 3])
def test_respacing_keeps_places_and_means(axes: int) -> None:
    shape, spacing, target = (12, 40, 30)[:axes], (3.0, 0.5, 0.8)[:axes], (1.5, 1.0, 1.0)[:axes]
    ramp = np.add.outer(np.arange(shape[0]) * spacing[0], np.arange(shape[1]) * spacing[1])
    array = (ramp if axes == 2 else np.repeat(ramp[:, :, None], shape[2], axis=2)).astype(np.float32)
    made = shapes.respaced(array, spacing, target)
    assert made.shape == (24, 20, 24)[:axes]
    # Voxel 0 of the finer or coarser grid begins at the same edge: centre at half a voxel.
    inner = made[(slice(2, -2), slice(2, -2), 12)[:axes]]
    places = [
        (np.arange(side)[2:-2] + 0.5) * new - 0.5 * old
        for side, new, old in zip(made.shape[:2], target[:2], spacing[:2], strict=True)
    ]
    np.testing.assert_allclose(inner, np.add.outer(places[0], places[1]), atol=1e-3)
    with pytest.raises(ValueError, match="spacings"):
        shapes.respaced(array, spacing[:1], target)


def test_respacing_does_not_alias() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.float32), (8, 32))
    assert np.abs(shapes.respaced(stripes, (1.0, 0.5), (1.0, 2.1))[:, 1:-1] - 127.5).max() < 12


def test_window_cuts_and_scales() -> None:
    hu = np.array([[-1350, -600, 150, 900]], dtype=np.float32)
    np.testing.assert_allclose(intensity.windowed(hu, -600, 1500), [[0, 0.5, 1, 1]])
    with pytest.raises(ValueError, match="width"):
        intensity.windowed(hu, 0, 0)


def test_percentile_window_does_not_depend_on_exposure() -> None:
    picture = textured(0)
    made = intensity.percentile_windowed(picture, 1, 99)
    assert (made.min(), made.max()) == (0, 1)
    np.testing.assert_allclose(intensity.percentile_windowed(3 * picture + 100, 1, 99), made, atol=1e-5)
    assert intensity.min_max(picture).max() == 1


def test_z_score_of_everything_and_of_what_is_not_zero() -> None:
    picture = textured(1)
    scored = intensity.z_scored(picture)
    assert float(scored.mean()) == pytest.approx(0, abs=1e-5)
    assert float(scored.std()) == pytest.approx(1, abs=1e-5)
    masked = picture * _ellipse(*picture.shape)
    inside = masked != 0
    scored = intensity.z_scored(masked, nonzero=True)
    assert float(scored[inside].mean()) == pytest.approx(0, abs=1e-5)
    assert not scored[~inside].any()


@pytest.mark.parametrize(
    "step", [intensity.min_max, intensity.z_scored, intensity.equalised, regions.above_otsu, regions.gradient]
)
def test_no_contrast_gives_zeros_and_no_nan(step: object) -> None:
    assert callable(step)
    assert not step(np.full((32, 32), 7, dtype=np.float32)).any()


def test_clahe_evens_out_local_contrast() -> None:
    shade = np.linspace(0.1, 1, 80, dtype=np.float32)
    picture = textured(2) * shade
    made = intensity.equalised(picture)
    assert made.shape == picture.shape
    assert made.min() >= 0
    assert made.max() <= 1

    def evenness(array: Float) -> float:
        return float(array[:, :20].std() / array[:, -20:].std())

    assert evenness(made) > evenness(picture)
    assert evenness(intensity.equalised(picture, clip=0.1)) > 2 * evenness(picture)
    with pytest.raises(ValueError, match="equalised"):
        intensity.equalised(np.zeros((4, 4), dtype=np.float32))


def test_median_removes_single_pixels_and_gaussian_smooths() -> None:
    picture = np.zeros((9, 9), dtype=np.float32)
    picture[4, 4] = 255
    assert not intensity.median_filtered(picture, 3).any()
    assert 0 < intensity.gaussian_filtered(picture, 1.0)[4, 4] < 60
    colour = np.zeros((9, 9, 3), dtype=np.float32)
    colour[:, :, 1] = 100
    np.testing.assert_array_equal(intensity.median_filtered(colour, 3), colour)
    np.testing.assert_allclose(intensity.gaussian_filtered(colour, 2.0), colour, rtol=1e-6)


def test_otsu_separates_two_kinds() -> None:
    truth = _ellipse(64, 48)
    noise = np.random.default_rng(0).normal(0, 8, truth.shape)
    found = regions.above_otsu((60 + 100 * truth + noise).astype(np.float32))
    assert float(np.mean(found == truth)) > 0.999
    np.testing.assert_array_equal(regions.above(truth, 0.5), truth)


@pytest.mark.parametrize("axes", [2, 3])
def test_a_region_grows_to_its_edge_and_not_across_a_gap(axes: int) -> None:
    array = np.zeros((5, 9, 9)[3 - axes :], dtype=np.float32)
    array[..., 1:4, 1:4] = 100
    array[..., 1:4, 2] = 104
    array[..., 6:8, 6:8] = 100
    grown = regions.grown(array, (2, 2, 2)[3 - axes :], 5)
    np.testing.assert_array_equal(grown, (array > 0) & (np.indices(array.shape)[-1] < 5))
    with pytest.raises(ValueError, match="seed"):
        regions.grown(array, (2, 9, 9)[3 - axes :], 5)


def test_edges_lie_on_the_outline() -> None:
    shape = 100 * _ellipse(60, 60)
    found = regions.edges(shape, 1.0)
    assert set(np.unique(found)) == {0.0, 1.0}
    rim = regions.gradient(shape) > 10
    assert found.sum() > 80
    assert (rim | (found == 0)).all()
    with pytest.raises(ValueError, match="rows, columns"):
        regions.edges(np.zeros((3, 3, 3), dtype=np.float32))


def _fundus() -> Float:
    rows = columns = 120
    row, column = np.ogrid[:rows, :columns]
    lit = (row - 60) ** 2 + (column - 66) ** 2 < 50**2
    photograph = np.stack([120 + 0.4 * textured(seed, rows, columns) for seed in (0, 1, 2)], axis=2)
    photograph[~lit] = 4
    photograph[2:8, 2:20] = 250
    return np.asarray(photograph, dtype=np.float32)


def test_the_field_of_view_of_a_fundus_photograph_is_its_disc() -> None:
    mask = fundus.field_of_view(_fundus())
    assert float(mask.sum()) == pytest.approx(np.pi * 50**2, rel=0.02)
    assert not mask[2:8, 2:20].any()
    cropped = fundus.border_cropped(_fundus())
    assert abs(cropped.shape[0] - 99) <= 2
    assert abs(cropped.shape[1] - 99) <= 2
    cleaned = fundus.outside_black(_fundus())
    assert not cleaned[2:8, 2:20].any()
    np.testing.assert_array_equal(cleaned[60, 66], _fundus()[60, 66])
    with pytest.raises(UnsupportedImage):
        fundus.field_of_view(np.zeros((40, 40, 3), dtype=np.float32))


def _chest() -> tuple[Float, dict[str, Float]]:
    """A chest of 2 x 1.5 x 1.5 mm: body, two lungs with a vessel, a table below."""
    k, row, column = np.indices((30, 160, 200), dtype=np.float32)
    body = ((row - 75) / 60) ** 2 + ((column - 100) / 90) ** 2 < 1
    left = ((row - 75) / 38) ** 2 + ((column - 60) / 28) ** 2 < 1
    right = ((row - 75) / 38) ** 2 + ((column - 140) / 28) ** 2 < 1
    vessel = (row - 75) ** 2 + (column - 60) ** 2 < 4
    hu = np.where(body, 40.0, -1000.0)
    hu[left | right] = -820
    hu[vessel] = 40
    hu[:, 146:149] = 60
    hu += np.random.default_rng(0).normal(0, 15, hu.shape) + 0 * k
    return hu.astype(np.float32), {"body": body, "lungs": left | right}


def _dice(found: Float, truth: Float) -> float:
    return float(2 * np.logical_and(found, truth).sum() / (np.count_nonzero(found) + np.count_nonzero(truth)))


def test_body_and_lungs_of_a_chest() -> None:
    hu, truth = _chest()
    assert _dice(volumes.body_mask(hu, (2.0, 1.5, 1.5)), truth["body"]) > 0.98
    assert _dice(volumes.lung_mask(hu, (2.0, 1.5, 1.5)), truth["lungs"]) > 0.97


def test_air_alone_has_no_body_and_no_lungs() -> None:
    air = np.full((4, 40, 40), -1000, dtype=np.float32)
    assert not volumes.body_mask(air, (2.0, 1.5, 1.5)).any()
    assert not volumes.lung_mask(air, (2.0, 1.5, 1.5)).any()


def test_the_field_of_view_of_real_photographs() -> None:
    from models.kit.data.pictures import read_rgb  # noqa: PLC0415

    folder = data_dir("fundus-dr-224")
    for path in sorted(folder.glob("*/*.jp*g"))[::80]:
        share = float(fundus.field_of_view(read_rgb(path)).mean())
        assert 0.4 < share <= 1.0, path.name
