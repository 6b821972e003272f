"""Grey values through a window, the shape of pixels, and letters that fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_voi, apply_windowing

from node.domain.result import CodedConcept, Finding, Measurement, Quality
from node.domain.study import Picture, SopRef
from node.results.display import Window, grey_levels, pixel_aspect, window_of
from node.results.legend import details_of, percent, plain
from node.results.lettering import SMALLEST, fitted, font_of
from node.results.orientation import patient_orientation

REF = SopRef("1.2", "1.2.3")
RAMP = np.arange(-1000, 1000, dtype=np.float32).reshape(40, 50)


def header_of(**attributes: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def shown(modality: str = "MR", **attributes: object) -> np.ndarray:
    return grey_levels(Picture(RAMP, REF, modality), header_of(**attributes)).astype(int).ravel()


def at(levels: np.ndarray, value: float) -> int:
    return int(levels[round(value) + 1000])


def test_the_window_of_the_header_decides() -> None:
    levels = shown(WindowCenter=["40", "400"], WindowWidth=["400", "2000"])
    assert [at(levels, value) for value in (-500, -160, 40, 239, 900)] == [0, 0, 128, 255, 255]


def test_a_ct_without_a_window_shows_soft_tissue() -> None:
    assert [at(shown("CT"), value) for value in (-160, 240)] == [0, 255]


def test_without_a_window_the_range_of_the_values_decides() -> None:
    levels = shown()
    assert (levels[0], levels[-1]) == (0, 255)
    assert at(levels, 0) == pytest.approx(128, abs=2)


def test_a_window_that_shows_nothing_is_passed_over() -> None:
    assert np.ptp(shown(WindowCenter=20000, WindowWidth=40000)) == 255
    assert np.ptp(shown(WindowCenter=90000, WindowWidth=100)) == 255


@pytest.mark.parametrize("stated", [{}, {"WindowCenter": 40}, {"WindowCenter": 40, "WindowWidth": 0}])
def test_no_window(stated: dict[str, object]) -> None:
    assert window_of(header_of(**stated)) is None


def test_the_window_of_a_frame_goes_before_that_of_all() -> None:
    def group(center: float) -> Dataset:
        return header_of(FrameVOILUTSequence=[header_of(WindowCenter=center, WindowWidth=10)])

    header = header_of(
        SharedFunctionalGroupsSequence=[group(1)], PerFrameFunctionalGroupsSequence=[group(2), Dataset()]
    )
    assert window_of(header, 1) == Window(2, 10)
    assert window_of(header, 2) == Window(1, 10)


def test_monochrome1_is_mirrored_with_its_window() -> None:
    """Stored values of 12 bits, inverted as the node reads them: what the window calls bright is dark."""
    stored = np.arange(4096, dtype=np.float32)
    attributes = {"BitsStored": 12, "PixelRepresentation": 0, "WindowCenter": 1000, "WindowWidth": 401}
    straight = grey_levels(Picture(stored[None], REF), header_of(PhotometricInterpretation="MONOCHROME2", **attributes))
    inverted = Picture((4095 - stored)[None], REF)
    mirrored = grey_levels(inverted, header_of(PhotometricInterpretation="MONOCHROME1", **attributes))
    difference = mirrored.astype(int) - (255 - straight.astype(int))
    assert np.abs(difference).max() <= 1


def test_a_colour_picture_stays_as_it_is() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (4, 5, 3))
    np.testing.assert_array_equal(grey_levels(Picture(colour.astype(np.float32), REF), Dataset()), colour)


def test_nan_and_flat_pictures_are_shown_all_the_same() -> None:
    for value in (np.nan, 7.0):
        assert grey_levels(Picture(np.full((3, 3), value, np.float32), REF), Dataset()).shape == (3, 3)


@pytest.mark.parametrize(
    ("stated", "aspect"),
    [
        ({"PixelSpacing": [2, 1]}, 2.0),
        ({"ImagerPixelSpacing": [0.1, 0.1]}, 1.0),
        ({"PixelAspectRatio": [1, 2]}, 0.5),
        ({"PixelSpacing": [0, 1]}, 1.0),
        ({}, 1.0),
    ],
)
def test_pixels_that_are_not_square(stated: dict[str, object], aspect: float) -> None:
    assert pixel_aspect(header_of(**stated)) == aspect


@pytest.mark.parametrize(
    ("cosines", "letters"),
    [
        ([1, 0, 0, 0, 1, 0], ["L", "P"]),
        ([0, 1, 0, 0, 0, -1], ["P", "F"]),
        ([-1, 0, 0, 0, 0.8, 0.6], ["R", "PH"]),
    ],
)
def test_orientation_in_letters(cosines: list[float], letters: list[str]) -> None:
    assert patient_orientation(cosines) == letters


# ---------------------------------------------------------------- words


@pytest.mark.parametrize("width", [60, 200, 496])
@pytest.mark.parametrize("text", ["a few short words", "Anterior hippocampus: Volume 3.2 mL", "W" * 64, "", "x " * 300])
def test_no_letter_is_cut_off_and_none_is_lost(text: str, width: int) -> None:
    font, lines = fitted(text, 16, width)
    assert all(font.getlength(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert font.size >= SMALLEST


def test_a_word_that_is_too_long_makes_the_letters_smaller_before_it_is_broken() -> None:
    word = "Hippocampus"
    font, lines = fitted(word, 16, int(font_of(13).getlength(word)) + 1)
    assert (font.size, lines) == (13, [word])


def test_every_letter_of_a_picture_is_one_that_its_font_has() -> None:
    missing = bytes(font_of(16).getmask("\uffff"))
    assert all(bytes(font_of(16).getmask(chr(code))) != missing for code in range(ord("!"), ord("~") + 1))
    assert plain("Größe ≥ 3 µm²  é 山田") == "Grosse >= 3 um2 e ??"


def test_details_of_a_finding() -> None:
    volume = Measurement(CodedConcept("1", "SCT", "Volume"), 3.14159, CodedConcept("mL", "UCUM", "milliliter"))
    ratio = Measurement(CodedConcept("2", "SCT", "Ratio"), 0.5, CodedConcept("1", "UCUM", "no units"))
    count = Measurement(CodedConcept("3", "SCT", "Count"), 2, CodedConcept("{nodule}", "UCUM", "nodules"))
    margin = Quality(CodedConcept("4", "SCT", "Margin"), CodedConcept("5", "SCT", "Spiculated"))
    finding = Finding(CodedConcept("0", "SCT", "Nodule"), (volume, ratio, count), 0.5, qualities=(margin,))
    words = "Volume 3.142 mL, Ratio 0.5, Count 2 nodules, Margin: Spiculated, probability 50 %"
    assert details_of(finding) == words
    assert details_of(replace(finding, present=False)) == f"not found, {words}"


@pytest.mark.parametrize(
    ("probability", "words"), [(0, "0 %"), (0.0001, "< 1 %"), (0.42, "42 %"), (0.9999, "> 99 %"), (1, "100 %")]
)
def test_what_is_not_certain_is_never_told_as_certain(probability: float, words: str) -> None:
    assert percent(probability) == words


def stretched(bits: int, first: int, entries: int, data: object) -> Dataset:
    return header_of(LUTDescriptor=[entries, first, bits], LUTData=data)


def test_a_table_of_the_header_decides() -> None:
    """The same as pydicom shows, beside a window that is for those who have no tables."""
    stored = np.arange(0, 1024, dtype=np.uint16).reshape(32, 32)
    curve = (4095 * np.linspace(0, 1, 1000) ** 2).astype("<u2")
    header = header_of(
        VOILUTSequence=[stretched(12, 20, 1000, list(map(int, curve)))], WindowCenter=10, WindowWidth=2,
        PhotometricInterpretation="MONOCHROME2", BitsStored=12, PixelRepresentation=0,
    )  # fmt: skip
    found = grey_levels(Picture(stored.astype(np.float32), REF), header)
    expected = np.rint(apply_voi(stored, header).astype(np.float64) * 255 / 4095)
    assert np.abs(found - expected).max() <= 1
    header.VOILUTSequence[0].LUTData = curve.tobytes()
    np.testing.assert_array_equal(grey_levels(Picture(stored.astype(np.float32), REF), header), found)
    header.VOILUTSequence[0].LUTDescriptor = [2000, 20, 12]
    header.WindowCenter, header.WindowWidth = 512, 1024
    assert not np.array_equal(grey_levels(Picture(stored.astype(np.float32), REF), header), found), "the window instead"


@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID", "LINEAR"])
def test_the_function_of_the_window_is_the_one_that_is_stated(function: str) -> None:
    stored = np.arange(0, 4096, dtype=np.uint16).reshape(64, 64)
    header = header_of(
        WindowCenter=1500, WindowWidth=900, VOILUTFunction=function, PhotometricInterpretation="MONOCHROME2",
        BitsStored=12, PixelRepresentation=0,
    )  # fmt: skip
    found = grey_levels(Picture(stored.astype(np.float32), REF), header)
    assert np.abs(found - apply_windowing(stored, header) * 255 / 4095).max() <= 1


@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID", "table"])
def test_monochrome1_is_mirrored_with_its_function(function: str) -> None:
    stored = np.arange(4096, dtype=np.float32).reshape(64, 64)
    stated: dict[str, object] = {"BitsStored": 12, "PixelRepresentation": 0}
    if function == "table":
        stated["VOILUTSequence"] = [stretched(8, 1000, 256, list(range(256)))]
    else:
        stated |= {"WindowCenter": 1200, "WindowWidth": 700, "VOILUTFunction": function}
    straight = grey_levels(Picture(stored, REF), header_of(PhotometricInterpretation="MONOCHROME2", **stated))
    mirrored = grey_levels(Picture(4095 - stored, REF), header_of(PhotometricInterpretation="MONOCHROME1", **stated))
    assert np.abs(mirrored.astype(int) - (255 - straight)).max() <= 1
    assert np.ptp(straight) > 200


def test_a_table_of_negative_values() -> None:
    levels = shown(VOILUTSequence=[stretched(8, 2**16 - 500, 256, list(range(256)))])
    assert [at(levels, value) for value in (-900, -500, -400, -245, 900)] == [0, 0, 100, 255, 255]
