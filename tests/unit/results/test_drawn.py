"""Secondary Captures and presentation states: what is drawn lies where it belongs, and says what it is."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import numpy as np
import pydicom
import pytest
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset

from node.domain.rendition import Rendition
from node.domain.result import (
    CodedConcept,
    Finding,
    GraphicType,
    HeatMap,
    InferenceResult,
    Location,
    Outcome,
    Segmentation,
)
from node.domain.study import ByteRange, Picture, SopRef
from node.errors import ResultVerificationFailed, UndecodablePixelData
from node.ports import EncodedObject, Run
from node.results.context import MOST_PICTURES, ResultContext
from node.results.plates import PALETTE, Plate, plates_of
from node.results.source import read_headers
from node.results.verify import verify_drawn
from node.results.writer import DicomResultWriter
from tests import pictures
from tests.unit.results.runs import MAKER, MODEL, SEGMENTS, header, not_evaluable, run_on, save

SC, PR = Rendition.SECONDARY_CAPTURE, Rendition.PRESENTATION_STATE
ROWS, COLUMNS = 64, 48
SPOT = Finding(CodedConcept("X", "99AINODE", "Spot"), probability=0.999)
WINDOWED = {"PhotometricInterpretation": "MONOCHROME2", "WindowCenter": 50, "WindowWidth": 100, "SamplesPerPixel": 1}
CLASSIFIER = replace(MODEL, id="classifier", segments=())


def grey(location: ByteRange, image: SopRef) -> Picture:
    """Mid-grey with a ramp, so that it is not flat."""
    return Picture(np.tile(np.linspace(0, 100, COLUMNS, dtype=np.float32), (ROWS, 1)), image, "MR")


def undecodable(location: ByteRange, image: SopRef) -> Picture:
    raise UndecodablePixelData("cut off")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    size = {"Rows": ROWS, "Columns": COLUMNS, "PixelSpacing": [1.0, 1.0]}
    return save([header(number, **size, **WINDOWED) for number in range(5)], tmp_path)


@pytest.fixture
def run(images: list[Path]) -> Run:
    """One segment, a rectangle of rows 10 to 19 and columns 20 to 39, on slices 1 and 2; largest on slice 2."""
    run = run_on(images, InferenceResult(Outcome.NEGATIVE))
    label_map = np.zeros((5, ROWS, COLUMNS), np.uint8)
    label_map[2, 10:20, 20:40] = 1
    label_map[1, 10:12, 20:22] = 1
    found = Finding(SEGMENTS[0].type, segment=1, probability=0.9)
    return replace(run, result=InferenceResult(Outcome.POSITIVE, (found,), Segmentation(SEGMENTS, label_map)))


def drawn(run: Run, *renditions: Rendition, read: object = grey) -> list[EncodedObject]:
    writer = DicomResultWriter(MAKER, zone=UTC, pictures=read)  # type: ignore[arg-type]
    objects = writer.write(replace(run, renditions=frozenset(renditions)))
    return [one for one in objects if one.rendition in renditions]


def dataset(written: EncodedObject) -> Dataset:
    return pydicom.dcmread(io.BytesIO(written.part10))


def pixels(written: EncodedObject) -> np.ndarray:
    return dataset(written).pixel_array


def context_of(run: Run) -> ResultContext:
    return ResultContext(run, read_headers(run.sources, run.locations), MAKER, UTC)


def plates(run: Run) -> Sequence[Plate]:
    return plates_of(context_of(run))


# ---------------------------------------------------------------- which images


def test_each_segment_is_shown_where_it_is_largest(run: Run) -> None:
    assert [plate.place for plate in plates(run)] == ["slice 3 of 5"]


def test_the_key_images_of_the_model_come_first(run: Run) -> None:
    assert run.grid is not None
    named = replace(run, result=replace(run.result, key_images=(run.grid.sources[4], run.grid.sources[0])))
    assert [plate.place for plate in plates(named)] == ["slice 1 of 5", "slice 5 of 5"]


def test_a_located_finding_is_shown_where_it_lies(run: Run) -> None:
    spot = replace(SPOT, location=Location(GraphicType.POINT, ((4.0, 30.0, 20.0),)))
    result = InferenceResult(Outcome.POSITIVE, (spot,))
    (plate,) = plates(replace(run, result=result))
    assert plate.place == "slice 5 of 5"
    (entry,) = plate.entries
    assert (entry.label, entry.details, entry.number) == ("Spot", "probability > 99 %", 1)
    np.testing.assert_array_equal(entry.shapes[0].points, [[30, 20]])


def test_without_a_finding_the_middle_is_shown(run: Run) -> None:
    assert [plate.place for plate in plates(replace(run, result=InferenceResult(Outcome.NEGATIVE)))] == ["slice 3 of 5"]


def test_never_more_images_than_a_reader_looks_at(tmp_path: Path) -> None:
    many = save([header(number, **WINDOWED) for number in range(MOST_PICTURES + 3)], tmp_path)
    run = run_on(many)
    assert run.grid is not None
    shown = plates(replace(run, result=replace(run.result, key_images=run.grid.sources)))
    assert len(shown) == MOST_PICTURES


def test_an_outline_encloses_the_segment(run: Run) -> None:
    (plate,) = plates(run)
    (shape,) = plate.entries[0].shapes
    assert shape.graphic_type is GraphicType.POLYGON
    np.testing.assert_array_equal(shape.points.min(axis=0), [9.5, 19.5])
    np.testing.assert_array_equal(shape.points.max(axis=0), [19.5, 39.5])


# ---------------------------------------------------------------- Secondary Capture


def test_a_capture_shows_the_outline_in_its_place_and_colour(run: Run) -> None:
    (written,) = drawn(run, SC)
    picture = pixels(written).astype(int)
    # 48 columns become 512 pixels, so a pixel is 10 2/3; the image begins below the words.
    assert picture.shape[1] == 512
    near = (np.abs(picture - PALETTE[0]).max(axis=2) < 12)[: picture.shape[0]]
    rows, columns = np.nonzero(near)
    in_image = (columns > 100) & (columns < 500)
    scale = 512 / COLUMNS
    left, right = columns[in_image].min(), columns[in_image].max()
    assert (left / scale, right / scale) == (pytest.approx(20, abs=0.4), pytest.approx(40, abs=0.4))
    tall = rows[in_image & (columns > 25 * scale) & (columns < 27 * scale)]
    assert np.ptp(tall) / scale == pytest.approx(10, abs=0.4)


def test_a_capture_says_what_it_is(run: Run) -> None:
    (written,) = drawn(run, SC)
    capture = dataset(written)
    assert (capture.BurnedInAnnotation, capture.ConversionType) == ("YES", "WSD")
    assert capture.ImageComments == "AI result, unverified, not for diagnostic use"
    assert (capture.PatientName, capture.PatientID, capture.AccessionNumber) == ("Doe^Jane", "4711", "A1")
    assert list(capture.PatientOrientation) == ["L", "P"]
    assert run.grid is not None
    (source,) = capture.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == run.grid.sources[2].sop_instance_uid
    assert MODEL.algorithm.name in capture.DerivationDescription
    assert "DateOfSecondaryCapture" not in capture, "nothing in it depends on the clock"


def test_the_same_run_draws_the_same_bytes(run: Run) -> None:
    assert drawn(run, SC, PR) == drawn(run, SC, PR)


def test_pictures_change_nothing_else(run: Run, writer: DicomResultWriter) -> None:
    everything = DicomResultWriter(MAKER, zone=UTC, pictures=grey).write(replace(run, renditions=frozenset({SC, PR})))
    assert [one for one in everything if one.rendition is None] == list(writer.write(run))


def test_what_was_not_evaluated_gets_a_card_that_says_so(run: Run) -> None:
    unable = replace(run, result=not_evaluable("Alter 34 Jahre, zulässig sind 1 bis 5 " * 40), grid=None)
    (written,) = drawn(unable, SC, PR)
    card = dataset(written)
    assert min(card.Rows, card.Columns) >= 512
    named = [str(one.ReferencedSOPInstanceUID) for one in card.SourceImageSequence]
    assert named == [source.instance.sop_instance_uid for source in run.sources]
    # Words reach neither edge.
    bright = card.pixel_array.max(axis=2) > 150
    assert bright.any()
    assert not bright[:, :4].any()
    assert not bright[:, -4:].any()


def test_an_image_that_cannot_be_shown_leaves_its_words(run: Run) -> None:
    (written,) = drawn(run, SC, read=undecodable)
    assert dataset(written).Columns == 768, "a card"


def test_a_picture_package_shows_its_image_with_the_heat_map(tmp_path: Path) -> None:
    image = pictures.dx(np.tile(np.arange(500, dtype=np.uint16), (600, 1)))
    ref = SopRef(str(image.SOPClassUID), str(image.SOPInstanceUID))
    heat = np.zeros((600, 500), np.float32)
    heat[200:300, 100:200] = 1
    findings = (replace(SPOT, image=ref), replace(SPOT, image=ref, present=False, probability=0.001))
    result = InferenceResult(Outcome.POSITIVE, findings, heat_maps=(HeatMap(ref, heat),))
    run = replace(run_on(pictures.save(tmp_path, [image]), not_evaluable(), CLASSIFIER), result=result)
    black = Picture(np.tile(np.arange(500, dtype=np.float32) % 2, (600, 1)), ref, "DX")
    (written,) = drawn(run, SC, PR, read=lambda location, image: black)
    (plate,) = plates(run)
    assert [entry.details for entry in plate.entries] == ["probability > 99 %", "not found, probability < 1 %"]
    assert dataset(written).BodyPartExamined == "CHEST"
    assert "Laterality" not in dataset(written), "nobody has two chests"


# ---------------------------------------------------------------- presentation states


def test_a_presentation_state_outlines_the_segment_on_its_image(run: Run) -> None:
    (written,) = drawn(run, PR)
    state = dataset(written)
    outline, warning = state.GraphicAnnotationSequence
    assert run.grid is not None
    (image,) = outline.ReferencedImageSequence
    assert image.ReferencedSOPInstanceUID == run.grid.sources[2].sop_instance_uid
    (graphic,) = outline.GraphicObjectSequence
    points = np.array(graphic.GraphicData).reshape(-1, 2)
    assert (graphic.GraphicType, graphic.GraphicAnnotationUnits) == ("POLYLINE", "PIXEL")
    # From the corner of the image: columns 20 to 39 are 20.0 to 40.0.
    assert (points.min(axis=0).tolist(), points.max(axis=0).tolist()) == ([20, 10], [40, 20])
    np.testing.assert_array_equal(points[0], points[-1])
    assert graphic.TrackingUID == context_of(run).segment_tracking_uid(1)
    assert outline.TextObjectSequence[0].UnformattedTextValue.startswith("1 Anterior hippocampus")
    assert warning.TextObjectSequence[0].UnformattedTextValue.startswith("AI, unverified")
    layers = {layer.GraphicLayer: layer for layer in state.GraphicLayerSequence}
    colour = layers[outline.GraphicLayer].GraphicLayerRecommendedDisplayCIELabValue
    assert tuple(colour) == CIELabColor.from_rgb(*PALETTE[0]).value
    (window,) = state.SoftcopyVOILUTSequence
    assert (window.WindowCenter, window.WindowWidth) == (50, 100)
    assert state.PresentationCreationDate == context_of(run).content_at.strftime("%Y%m%d")


def test_what_is_not_drawn_has_no_presentation_state(run: Run) -> None:
    assert drawn(replace(run, result=InferenceResult(Outcome.NEGATIVE)), PR) == []


def test_images_of_different_windows_and_rescales(tmp_path: Path) -> None:
    """One presentation state has one modality LUT, and a window for each image."""
    size = {"Rows": ROWS, "Columns": COLUMNS, **WINDOWED, "RescaleSlope": 1, "RescaleIntercept": 0}
    slices = [header(number, **{**size, "WindowCenter": 10 * number + 10}) for number in range(4)]
    slices[3].RescaleSlope = 2
    slices[2].PhotometricInterpretation = "MONOCHROME1"
    run = run_on(save(slices, tmp_path), InferenceResult(Outcome.NEGATIVE))
    assert run.grid is not None
    label_map = np.zeros((4, ROWS, COLUMNS), np.uint8)
    label_map[:, 5:9, 5:9] = 1
    found = Finding(SEGMENTS[0].type, segment=1)
    result = InferenceResult(Outcome.POSITIVE, (found,), Segmentation(SEGMENTS, label_map), key_images=run.grid.sources)
    states = [dataset(one) for one in drawn(replace(run, result=result), PR)]
    told = [
        (
            float(state.RescaleSlope),
            state.PresentationLUTShape,
            [int(w.WindowCenter) for w in state.SoftcopyVOILUTSequence],
        )
        for state in states
    ]
    assert told == [(1, "IDENTITY", [10, 20]), (1, "INVERSE", [30]), (2, "IDENTITY", [40])]


# ---------------------------------------------------------------- verified


@pytest.mark.parametrize(
    ("rendition", "keyword", "value", "check"),
    [
        (SC, "BurnedInAnnotation", "NO", "Burned In Annotation"),
        (SC, "ImageComments", "verified", "unverified"),
        (SC, "PatientID", "4712", "PatientID"),
        (SC, "Rows", 100, "large enough"),
        (SC, "PixelData", b"\0\0", "Pixel Data"),
        (PR, "StudyInstanceUID", "1.2.4", "StudyInstanceUID"),
    ],
)
def test_a_spoilt_picture_does_not_pass(
    run: Run, rendition: Rendition, keyword: str, value: object, check: str
) -> None:
    (written,) = drawn(run, rendition)
    verify_drawn(context_of(run), [written])
    with pytest.raises(ResultVerificationFailed, match=check):
        verify_drawn(context_of(run), [changed(written, lambda one: setattr(one, keyword, value))])


def test_a_picture_of_a_foreign_image_does_not_pass(run: Run) -> None:
    stranger = str(run.sources[0].instance.series_instance_uid)

    def of_capture(one: Dataset) -> None:
        one.SourceImageSequence[0].ReferencedSOPInstanceUID = stranger

    def of_state(one: Dataset) -> None:
        one.GraphicAnnotationSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID = stranger

    def without_warning(one: Dataset) -> None:
        del one.GraphicAnnotationSequence[-1]

    for rendition, change in ((SC, of_capture), (PR, of_state), (PR, without_warning)):
        (written,) = drawn(run, rendition)
        with pytest.raises(ResultVerificationFailed):
            verify_drawn(context_of(run), [changed(written, change)])


def changed(written: EncodedObject, change: object) -> EncodedObject:
    one = dataset(written)
    change(one)  # type: ignore[operator]
    buffer = io.BytesIO()
    one.save_as(buffer)
    return replace(written, part10=buffer.getvalue())
