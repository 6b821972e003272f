"""Facts from headers: geometry in mm, words for planes, and no header content that can raise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.study import Value
from node.route.facts import describe, number_of, plane_of, scalars
from tests.peers import data_dir
from tests.unit.route.headers import axial_stack, real_series, series_of

KEYWORDS = (
    "Modality",
    "BodyPartExamined",
    "SeriesDescription",
    "ProtocolName",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "StationName",
)

header_values: st.SearchStrategy[Value] = st.recursive(
    st.none()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from([0, -1, 1.0, 1e308, "1e400", "nan", "inf", "1\\2", [1, 0, 0, 0, 1, 0], [0, 0, 0], [1.0, -1.0]]),
    lambda children: st.lists(children, max_size=7),
    max_leaves=14,
)
headers = st.dictionaries(st.sampled_from(KEYWORDS), header_values)


def test_an_axial_stack() -> None:
    facts = describe(series_of(axial_stack(slices=40, gap=1.5, size=50)))
    assert facts.modalities == ("MR",)
    assert facts.orientations == ("axial",)
    assert facts.slices == 40
    assert facts.slice_spacing_mm == pytest.approx(1.5)
    assert facts.pixel_spacings_mm == ((1.0, 1.0),)
    assert facts.extents_mm == pytest.approx((60.0, 50.0, 50.0))


def test_the_gap_is_measured_between_positions_not_taken_from_the_thickness() -> None:
    facts = describe(series_of(axial_stack(gap=10.0, SliceThickness=2.0, SpacingBetweenSlices=2.0)))
    assert facts.slice_spacing_mm == pytest.approx(10.0)


def test_a_missing_slice_does_not_change_the_gap() -> None:
    stack = axial_stack(gap=2.0)
    del stack[11]
    assert describe(series_of(stack)).slice_spacing_mm == pytest.approx(2.0)


def test_duplicated_positions_are_one_slice_for_the_gap() -> None:
    facts = describe(series_of(axial_stack(slices=5, gap=3.0) * 2))
    assert facts.slice_spacing_mm == pytest.approx(3.0)
    assert facts.slices == 10


def test_a_single_image_has_no_gap_but_a_thickness() -> None:
    facts = describe(series_of(axial_stack(slices=1, SliceThickness=4.0)))
    assert facts.slice_spacing_mm is None
    assert facts.extents_mm == pytest.approx((4.0, 50.0, 50.0))


def test_a_multi_frame_instance_counts_its_frames() -> None:
    header = axial_stack(slices=1, NumberOfFrames="8", SpacingBetweenSlices=1.2)[0]
    header["ImagePositionPatient"] = [[0.0, 0.0, 1.2 * frame] for frame in range(8)]
    facts = describe(series_of([header]))
    assert facts.slices == 8
    assert facts.slice_spacing_mm == pytest.approx(1.2)
    assert facts.extents_mm[0] == pytest.approx(9.6)


def test_different_planes_in_one_series_are_all_kept() -> None:
    stack = axial_stack(slices=2)
    stack[1]["ImageOrientationPatient"] = [0, 1, 0, 0, 0, -1]
    assert describe(series_of(stack)).orientations == ("axial", "sagittal")


@pytest.mark.parametrize(
    ("normal", "word"),
    [
        ((0.0, 0.0, 1.0), "axial"),
        ((0.0, -1.0, 0.0), "coronal"),
        ((-1.0, 0.0, 0.0), "sagittal"),
        ((0.0, 0.19, 0.98), "axial"),
        ((0.0, 0.7071, 0.7071), "oblique"),
    ],
)
def test_planes(normal: tuple[float, float, float], word: str) -> None:
    assert plane_of(normal) == word


@pytest.mark.parametrize("orientation", [None, [], [1, 0, 0], [0] * 6, ["a"] * 6, [1, 0, 0, 1, 0, 0], "1"])
def test_a_malformed_orientation_is_unknown(orientation: Value) -> None:
    facts = describe(series_of(axial_stack(ImageOrientationPatient=orientation)))
    assert facts.orientations == ()
    assert facts.slice_spacing_mm is None


@pytest.mark.parametrize(
    ("value", "number"),
    [("1.5", 1.5), (2, 2.0), ("", None), ("x", None), ("nan", None), ("1e400", None), (10**400, None), (True, None)],
)
def test_numbers(value: object, number: float | None) -> None:
    assert number_of(value) == number


def test_scalars_of_a_deeply_nested_value() -> None:
    value: Value = "deep"
    for _ in range(100_000):
        value = [value]
    assert list(scalars(value)) == ["deep"]
    while isinstance(value, list):  # a list this deep cannot be freed recursively
        value = value.pop()


def test_attributes_are_kept_for_routes_only_where_asked() -> None:
    series = series_of([{"StationName": "CT1", "ImageType": ["ORIGINAL", "PRIMARY"]}, {"StationName": "CT2"}])
    facts = describe(series, ["StationName", "ImageType", "Manufacturer", "SourceApplicationEntityTitle"])
    assert facts.attributes == {
        "StationName": ("CT1", "CT2"),
        "ImageType": ("ORIGINAL", "PRIMARY"),
        "Manufacturer": (),
        "SourceApplicationEntityTitle": ("CT1",),
    }


@settings(max_examples=200)
@given(st.lists(headers, max_size=4))
def test_no_header_content_raises(content: list[dict[str, Value]]) -> None:
    facts = describe(series_of(content), KEYWORDS)
    assert facts.slices >= len(content)
    assert facts.slice_spacing_mm is None or facts.slice_spacing_mm > 0


@pytest.mark.parametrize(
    ("folder", "plane", "slices", "gap", "extents"),
    [
        ("hippocampus-dicom-study3", "axial", 40, 1.0, (40.0, 50.0, 34.0)),
        ("chest-ct-ricord", "axial", 124, 2.5, (310.0, 360.0, 360.0)),
        ("brain-mr-glioma-study3", "axial", 22, 6.5, (143.0, 220.0, 192.5)),
        ("mini-series-dicom2nifti/generic_compressed_001", "sagittal", 4, 1.0, (4.0, 256.0, 256.0)),
        ("mini-series-dicom2nifti/failing_gantrytilting_001", "axial", 4, None, None),
    ],
)
def test_facts_of_real_series(
    folder: str, plane: str, slices: int, gap: float | None, extents: tuple[float, float, float] | None
) -> None:
    found = [describe(series) for series in real_series(data_dir(folder))]
    assert found
    for facts in found:
        assert facts.orientations == (plane,)
        assert facts.slices == slices
        if gap is not None:
            assert facts.slice_spacing_mm == pytest.approx(gap, abs=0.01)
        if extents is not None:
            assert facts.extents_mm == pytest.approx(extents, rel=0.01)
