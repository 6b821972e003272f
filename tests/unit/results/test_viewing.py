"""What a page lays over an image lies where the mask is: for axial, oblique, flipped and multi-frame series."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset

from node.domain.result import GraphicType, SegmentationType
from node.domain.study import Picture, SopRef
from node.domain.viewing import Slice, Spread, Window, counterparts, in_order, presets_of, spacing_of
from node.errors import ResultVerificationFailed
from node.results.viewing.borders import borders
from node.results.viewing.frames import areas, masks_on, stored_frames, values_on
from node.results.viewing.heat import heat_png, scaled
from node.results.viewing.image import png, visible
from node.results.viewing.located import Located, on_slice, slice_nearest
from node.results.viewing.svg import Drawn, svg
from node.results.writer import DicomResultWriter
from tests.unit.results.runs import MAKER, MODEL, header, run_on, save
from tests.unit.results.test_parametric_maps import mapped
from tests.unit.results.test_seg_types import typed

OBLIQUE = [0.8, 0.6, 0.0, -0.36, 0.48, 0.8]
FLIPPED = [-1, 0, 0, 0, 1, 0]


def axial(number: int) -> Dataset:
    return header(number, Rows=20, Columns=24)


def oblique(number: int) -> Dataset:
    normal = np.cross(OBLIQUE[:3], OBLIQUE[3:])
    place = [round(float(v), 6) for v in np.array([5.0, -7.0, 11.0]) + 2.0 * number * normal]
    return header(number, Rows=20, Columns=24, ImageOrientationPatient=OBLIQUE, ImagePositionPatient=place)


def flipped(number: int) -> Dataset:
    """Seen from above, and numbered against its normal."""
    return header(
        number, Rows=20, Columns=24, ImageOrientationPatient=FLIPPED, ImagePositionPatient=[10, -20, 2.0 * number]
    )


def slices_of(paths: Sequence[Path]) -> tuple[Slice, ...]:
    read = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    return in_order(
        [
            Slice(
                SopRef(str(one.SOPClassUID), str(one.SOPInstanceUID)),
                int(one.Rows),
                int(one.Columns),
                tuple(map(float, one.ImagePositionPatient)),
                tuple(map(float, one.ImageOrientationPatient)),
                tuple(map(float, one.PixelSpacing)),
                str(one.FrameOfReferenceUID),
            )
            for one in read
        ]
    )


def filled(path: str, rows: int, columns: int, aspect: float, scale: int = 8) -> npt.NDArray[np.bool_]:
    """The pixels whose centre lies within a path of an SVG, by the rule of even and odd."""
    inside = np.zeros((rows, columns), np.bool_)
    for part in re.findall(r"M([^Z]+)Z", path):
        points = [tuple(float(v) for v in pair.split()) for pair in part.split("L")]
        canvas = Image.new("1", (columns * scale, rows * scale))
        ImageDraw.Draw(canvas).polygon([(x * scale, y / aspect * scale) for x, y in points], fill=1)
        centres = slice(scale // 2, None, scale)
        inside ^= np.asarray(canvas, np.bool_)[centres, centres]
    return inside


@pytest.mark.parametrize("kind", [axial, oblique, flipped])
@pytest.mark.parametrize("segmentation", [SegmentationType.BINARY, SegmentationType.LABELMAP])
def test_contours_lie_where_the_mask_is(
    kind: Callable[[int], Dataset], segmentation: SegmentationType, tmp_path: Path
) -> None:
    paths = save([kind(number) for number in (3, 0, 4, 1, 2)], tmp_path)
    run = run_on(paths, model=replace(MODEL, segmentation_type=segmentation))
    assert run.grid is not None
    assert run.result.segmentation is not None
    written = DicomResultWriter(MAKER, zone=UTC).write(run)[0]
    stored, file = stored_frames(written.part10, written.sop_class_uid), io.BytesIO(written.part10)
    slices = slices_of(paths)
    assert [one.image for one in slices] == list(run.grid.sources), "scrolled through in the order of the geometry"
    for k, one in enumerate(slices):
        plane = run.result.segmentation.label_map[k]
        masks = masks_on(stored, file, stored.on(one, elsewhere=False))
        assert set(masks) == set(np.unique(plane)) - {0}
        for number, mask in masks.items():
            np.testing.assert_array_equal(mask, plane == number)
            drawn = svg(20, 24, 2.0, [Drawn(number, "x < y", borders(mask))]).decode()
            path = re.search(r' d="([^"]*)"', drawn)
            assert path is not None
            np.testing.assert_array_equal(filled(path[1], 20, 24, 2.0), mask)
    found = areas(stored, file)
    wanted = {number: int((run.result.segmentation.label_map == number).sum()) for number in found}
    assert {number: sum(each.values()) for number, each in found.items()} == wanted


def test_a_frame_is_not_drawn_on_an_image_in_another_place(tmp_path: Path) -> None:
    paths = save([axial(number) for number in range(5)], tmp_path)
    written = DicomResultWriter(MAKER, zone=UTC).write(run_on(paths))[0]
    stored = stored_frames(written.part10, written.sop_class_uid)
    moved = replace(slices_of(paths)[2], position=(-10.0, -20.0, 5.0))
    with pytest.raises(ResultVerificationFailed):
        stored.on(moved, elsewhere=False)


def test_a_registered_series_shows_it_in_its_place_and_no_other_one(tmp_path: Path) -> None:
    paths = save([axial(number) for number in range(5)], tmp_path)
    written = DicomResultWriter(MAKER, zone=UTC).write(run_on(paths))[0]
    stored = stored_frames(written.part10, written.sop_class_uid)
    here = slices_of(paths)[2]
    other = replace(here, image=replace(here.image, sop_instance_uid="9.9.9"))
    assert stored.on(other, elsewhere=True) == stored.on(here, elsewhere=False) != []
    assert stored.on(other, elsewhere=False) == [], "another time point in the same place is another image"
    assert stored.on(replace(other, frame_of_reference_uid="9.8"), elsewhere=True) == []
    assert stored.on(replace(other, position=(-10.0, -20.0, 5.0)), elsewhere=True) == []


def test_locations_come_back_from_the_reports(tmp_path: Path) -> None:
    paths = save([axial(number) for number in range(5)], tmp_path)
    run = run_on(paths)
    point = Located(GraphicType.POINT, np.array([[-10 + 0.75 * 6, -20 + 1.5 * 3, 4.0]]))
    slices = slices_of(paths)
    assert slice_nearest(point, slices) == 2
    shape = on_slice(point, slices[2], spacing_of(slices))
    assert shape is not None
    np.testing.assert_allclose(shape.points, [[3, 6]], atol=1e-9)
    assert on_slice(point, slices[1], spacing_of(slices)) is None
    line = Located(GraphicType.POLYLINE, np.array([[-10.0, -20, 0], [-9.25, -18.5, 4]]))
    on_last = on_slice(line, slices[2], spacing_of(slices))
    assert on_last is not None
    assert (on_last.graphic_type, on_last.points.tolist()) == (GraphicType.MULTIPOINT, [[1.0, 1.0]])
    flat = Located(GraphicType.POINT, np.array([[7.5, 4.5]]), slices[1].image)
    assert slice_nearest(flat, slices) == 1
    shape = on_slice(flat, slices[1], 2.0)
    assert shape is not None
    assert shape.points.tolist() == [[4.0, 7.0]]
    assert run.grid is not None


def test_order_of_slices_without_a_common_normal_is_theirs() -> None:
    """Localizers in three directions, and images without a place, stay as they came."""
    one = Slice(SopRef("1", "1"), 4, 4, (0.0, 0, 9), (1.0, 0, 0, 0, 1, 0), (1.0, 1.0))
    two = replace(one, image=SopRef("1", "2"), position=(0.0, 0, 1), orientation=(0.0, 1, 0, 0, 0, 1))
    nowhere = replace(one, image=SopRef("1", "3"), position=None)
    assert in_order([one, two]) == (one, two)
    assert in_order([nowhere, one]) == (nowhere, one)
    low = replace(one, image=SopRef("1", "4"), position=(0.0, 0, 1))
    echo = replace(low, image=SopRef("1", "5"))
    assert in_order([one, low, echo]) == (low, echo, one)
    assert in_order([]) == ()
    assert nowhere.affine is None
    assert (spacing_of([one]), spacing_of([low, echo, one])) == (1.0, 8.0)


def test_windows() -> None:
    values = np.array([[0, 100, 200, 300]], np.float32)
    grey, header_ = Picture(values, SopRef("1", "1"), "CT"), Dataset()
    assert visible(grey, header_, Window(150.5, 101)).tolist() == [[0, 0, 255, 255]]
    assert visible(grey, header_, Spread.FULL).tolist() == [[0, 85, 170, 255]]
    header_.WindowCenter, header_.WindowWidth = 100.5, 201
    assert visible(grey, header_, Spread.DEFAULT).tolist() == [[0, 128, 255, 255]]
    rgb = Picture(np.full((2, 2, 3), 77, np.float32), SopRef("1", "1"), "XC")
    assert (visible(rgb, header_, Window(0, 1)) == 77).all(), "colour has no window"
    assert presets_of("CT")["lung"] == Window(-600, 1500)
    assert presets_of("MR") == {}


@pytest.mark.parametrize(
    ("aspect", "edge", "size"),
    [(1.0, 1000, (40, 20)), (2.0, 1000, (40, 40)), (0.5, 1000, (80, 20)), (1.0, 20, (20, 10))],
)
def test_pictures_have_square_pixels_and_a_bounded_size(aspect: float, edge: int, size: tuple[int, int]) -> None:
    made = Image.open(io.BytesIO(png(np.zeros((20, 40), np.uint8), edge, aspect)))
    assert made.size == size


def test_a_heat_map_is_transparent_where_it_is_cold() -> None:
    heat = np.array([[0.0, 0.5, 1.0, np.nan]], np.float32)
    made = np.asarray(Image.open(io.BytesIO(heat_png(heat, 100, 1.0))))
    assert made.tolist() == [[[255, 0, 0, 0], [255, 0, 0, 128], [255, 255, 0, 255], [255, 0, 0, 0]]]


def test_words_in_a_drawing_are_words() -> None:
    drawn = svg(4, 4, 1.0, [Drawn(8, "<script>&", borders(np.ones((2, 2), np.bool_)))]).decode()
    assert "<script>" not in drawn
    assert "stroke-dasharray" in drawn, "the colour was used before"
    assert borders(np.zeros((3, 3), np.bool_)) == []


@pytest.mark.parametrize("kind", [axial, oblique, flipped])
def test_a_fractional_segmentation_is_drawn_where_it_is_at_least_half(
    kind: Callable[[int], Dataset], tmp_path: Path
) -> None:
    paths = save([kind(number) for number in (3, 0, 4, 1, 2)], tmp_path)
    run = typed(run_on(paths), SegmentationType.FRACTIONAL)
    segmentation = run.result.segmentation
    assert segmentation is not None
    assert segmentation.fractions is not None
    written = DicomResultWriter(MAKER, zone=UTC).write(run)[0]
    stored, file = stored_frames(written.part10, written.sop_class_uid), io.BytesIO(written.part10)
    half = np.rint(segmentation.fractions * 255) >= 127.5
    assert 0 < half.sum() < (segmentation.fractions > 0).sum(), "some voxels are less than half"
    for k, one in enumerate(slices_of(paths)):
        masks = masks_on(stored, file, stored.on(one, elsewhere=False))
        for number, mask in enumerate(half, 1):
            np.testing.assert_array_equal(masks.get(number, np.zeros_like(mask[k])), mask[k])
    found = areas(stored, file)
    assert [sum(found[number].values()) for number in (1, 2)] == [int(mask.sum()) for mask in half]


@pytest.mark.parametrize("kind", [axial, oblique, flipped])
def test_a_parametric_map_is_a_heat_map_of_its_slices(kind: Callable[[int], Dataset], tmp_path: Path) -> None:
    paths = save([kind(number) for number in (3, 0, 4, 1, 2)], tmp_path)
    run = mapped(run_on(paths))
    array = run.result.parametric_maps[0].array
    written = DicomResultWriter(MAKER, zone=UTC).write(run)[0]
    stored, file = stored_frames(written.part10, written.sop_class_uid), io.BytesIO(written.part10)
    for k, one in enumerate(slices_of(paths)):
        (index,) = stored.on(one, elsewhere=False)
        values = values_on(stored, file, index)
        np.testing.assert_array_equal(values, array[k])
        seen = np.asarray(
            Image.open(io.BytesIO(heat_png(scaled(values, float(array.min()), float(array.max())), 24, 1)))
        )
        share = (array[k] - array.min()) / np.ptp(array)
        np.testing.assert_allclose(seen[..., 3] / 255, share, atol=0.003)


def test_an_earlier_series_is_scrolled_by_place_or_by_share() -> None:
    def stack(places: Sequence[float], frame: str) -> list[Slice]:
        straight = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        return [Slice(SopRef("1.2", f"1.{k}"), 2, 2, (0, 0, z), straight, (1, 1), frame) for k, z in enumerate(places)]

    here = stack([0, 2, 4, 6], "1.9")
    assert counterparts(here, stack([-5, 1, 4.4, 30], "1.9")) == (1, 1, 2, 2), "the nearest, in one frame of reference"
    assert counterparts(here, stack([100, 110, 120, 130, 140, 150, 160], "1.8")) == (0, 2, 4, 6)
    assert counterparts(here[:1], stack([100, 110, 120], "1.8")) == (1,)
    assert counterparts([replace(one, position=None) for one in here], here[:1]) == (0, 0, 0, 0)
