"""What headers tell of images that have not come; no header content raises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.study import Value
from node.route.images import look_at
from tests.peers import data_dir
from tests.unit.route.headers import axial_stack, real_series, series_of

ENHANCED_MR, ULTRASOUND_LOOP = "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.3.1"


def numbered(slices: int = 10, **more: Value) -> list[dict[str, Value]]:
    stack = axial_stack(slices=slices, gap=1.5)
    return [header | {"InstanceNumber": number} | more for number, header in enumerate(stack, start=1)]


def test_a_whole_stack() -> None:
    found = look_at(series_of(numbered()))
    assert (found.instances, found.numbered, found.highest_number, found.missing) == (10, True, 10, ())
    assert (found.positions, found.each, found.spacing_mm) == (10, 1, 1.5)
    assert (found.stated, found.frames) == (None, 0)


def test_a_stack_without_one_of_its_middle() -> None:
    headers = numbered()
    del headers[4]
    found = look_at(series_of(headers))
    assert (found.missing, found.highest_number, found.spacing_mm) == ((5,), 10, None)


def test_no_missing_number_is_named_before_the_first_or_without_end() -> None:
    found = look_at(series_of([header | {"InstanceNumber": 267 + n} for n, header in enumerate(numbered())]))
    assert (found.numbered, found.highest_number, found.missing) == (True, 276, ())
    headers = numbered(3)
    headers[2]["InstanceNumber"] = 10**9 - 1
    assert look_at(series_of(headers)).missing == tuple(range(3, 13))


@pytest.mark.parametrize("number", [None, 0, -1, 1.5, "x", 2, [3]])
def test_numbers_that_are_none_or_used_twice(number: Value) -> None:
    headers = numbered()
    headers[0]["InstanceNumber"] = number
    found = look_at(series_of(headers))
    assert (found.numbered, found.highest_number, found.missing) == (False, 0, ())


def test_several_images_at_every_position() -> None:
    phases = [header | {"InstanceNumber": None} for header in numbered()] * 3
    found = look_at(series_of(phases))
    assert (found.positions, found.each, found.spacing_mm) == (10, 3, 1.5)
    assert look_at(series_of(phases[:-1])).each == 0


@pytest.mark.parametrize(
    "odd",
    [
        {"ImageOrientationPatient": [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]},
        {"ImageOrientationPatient": None},
        {"ImagePositionPatient": None},
        {"ImagePositionPatient": [0.0, 0.0]},
    ],
)
def test_no_grid_where_one_image_lies_otherwise(odd: dict[str, Value]) -> None:
    headers = numbered()
    headers[3] |= odd
    found = look_at(series_of(headers))
    assert (found.positions, found.spacing_mm) == (0, None)


def test_positions_may_be_rounded_but_not_uneven() -> None:
    headers = numbered()
    headers[3]["ImagePositionPatient"] = [0.0, 0.0, 4.54]
    assert look_at(series_of(headers)).spacing_mm == pytest.approx(1.5)
    headers[3]["ImagePositionPatient"] = [0.0, 0.0, 4.8]
    assert look_at(series_of(headers)).spacing_mm is None


@pytest.mark.parametrize(
    ("more", "stated"),
    [
        ({"ImagesInAcquisition": 10}, 10),
        ({"ImagesInAcquisition": 80}, 80),
        ({"ImagesInAcquisition": "10"}, 10),
        ({"ImagesInAcquisition": 1}, None),
        ({"ImagesInAcquisition": 0}, None),
        ({"ImagesInAcquisition": [10, 10]}, None),
        ({"ImagesInAcquisition": 10, "NumberOfFrames": 2}, None),
        ({"NumberOfSeriesRelatedInstances": 10}, 10),
        ({"NumberOfSeriesRelatedInstances": 12, "ImagesInAcquisition": 10}, 12),
        ({}, None),
    ],
)
def test_the_count_that_all_headers_state(more: dict[str, Value], stated: int | None) -> None:
    assert look_at(series_of(numbered(**more))).stated == stated


@pytest.mark.parametrize("odd", [{"ImagesInAcquisition": 11}, {"ImagesInAcquisition": None}, {"AcquisitionNumber": 2}])
def test_headers_that_do_not_agree_state_nothing(odd: dict[str, Value]) -> None:
    headers = numbered(ImagesInAcquisition=10, AcquisitionNumber=1)
    assert look_at(series_of(headers)).stated == 10
    headers[5] |= odd
    assert look_at(series_of(headers)).stated is None


def test_one_enhanced_object_is_a_whole_series_and_a_loop_is_not() -> None:
    frames = [{"NumberOfFrames": 30}]
    assert look_at(series_of(frames, ENHANCED_MR)).frames == 30
    assert look_at(series_of(frames, ULTRASOUND_LOOP)).frames == 0
    assert look_at(series_of(frames * 2, ENHANCED_MR)).frames == 0
    assert look_at(series_of([{"NumberOfFrames": 1}], ENHANCED_MR)).frames == 0


def test_a_series_without_images() -> None:
    assert look_at(series_of([])).instances == 0


values: st.SearchStrategy[Value] = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from([[1, 0, 0, 0, 1, 0], [0.0, 0, 1]]),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=8,
)
KEYWORDS = (
    "InstanceNumber",
    "ImagesInAcquisition",
    "NumberOfSeriesRelatedInstances",
    "AcquisitionNumber",
    "NumberOfFrames",
    "ImageOrientationPatient",
    "ImagePositionPatient",
)


@settings(max_examples=200)
@given(st.lists(st.dictionaries(st.sampled_from(KEYWORDS), values), max_size=5))
def test_no_header_content_raises(headers: list[dict[str, Value]]) -> None:
    found = look_at(series_of(headers, ENHANCED_MR))
    assert found.instances == len(headers)
    assert found.highest_number >= found.instances or not found.numbered


@pytest.mark.parametrize(
    ("folder", "gapless"),
    [("hippocampus-dicom-study3", True), ("chest-ct-ricord", False), ("ct-20slice-totalseg", False)],
)
def test_real_series(folder: str, gapless: bool) -> None:
    for series in real_series(data_dir(folder)):
        found = look_at(series)
        assert (found.numbered and found.highest_number == found.instances) == gapless
        assert found.spacing_mm is not None
