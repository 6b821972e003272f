"""Grayscale Softcopy Presentation States: the outlines of a result over the source images themselves (PS3.3 A.33.1).

A viewer that knows no SEG draws these on the images that it already shows. Grey images alone: a presentation state of
colour images is another object, and wants an ICC profile that the sources do not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from highdicom.color import CIELabColor
from highdicom.pr import (
    AnnotationUnitsValues,
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GraphicTypeValues,
    GrayscaleSoftcopyPresentationState,
    TextObject,
)
from pydicom.dataset import Dataset

from node.domain.result import GraphicType
from node.domain.viewing import Window
from node.ports import EncodedObject
from node.results.context import ResultContext
from node.results.display import display_header, value, window_of
from node.results.header import anonymous_reference, finish
from node.results.laterality import leave_room_for_laterality
from node.results.legend import UNVERIFIED_SHORT, algorithm_words, outcome_words, plain
from node.results.plates import Entry, Plate, Points, Shape, plates_of
from node.results.sc import NOTHING_TO_SHOW, location_of
from node.results.source import copy_element

PIXEL, DISPLAY = AnnotationUnitsValues.PIXEL, AnnotationUnitsValues.DISPLAY
WARNING_LAYER, WARNING_COLOUR = "AI_UNVERIFIED", (255, 221, 0)
# Left, top, right, bottom of the display: where viewers have no words of their own.
WARNING_PLACE = (0.25, 0.94, 0.75, 0.99)
MODALITY_LUT = ("RescaleIntercept", "RescaleSlope", "RescaleType")
SHORT_TEXT = 1024


@dataclass(frozen=True, slots=True)
class _Shown:
    """A plate with its image: as highdicom wants it, and what its header says of the display."""

    plate: Plate
    reference: Dataset
    header: Dataset

    @property
    def key(self) -> tuple[object, ...]:
        """What all images of one presentation state have in common: their size and how their values become grey."""
        lut = [str(_of(self, keyword, "PixelValueTransformationSequence")) for keyword in MODALITY_LUT]
        alone = self.header.get("ModalityLUTSequence") or self.plate.image.frame is not None
        own = self.plate.image.sop_instance_uid if alone else ""
        polarity = str(self.header.PhotometricInterpretation)
        return (int(self.header.Rows), int(self.header.Columns), polarity, *lut, own)


class PresentationStateEncoder:
    """One presentation state for all images that have size and modality LUT in common; none where nothing is drawn."""

    def encode(self, run: ResultContext) -> tuple[EncodedObject, ...]:
        """
        Raises:
            ObjectMissing: a source image is gone.
        """
        if run.run.result.outcome in NOTHING_TO_SHOW:
            return ()
        groups: dict[tuple[object, ...], list[_Shown]] = {}
        for plate in plates_of(run):
            shown = _Shown(plate, _reference(run, plate), display_header(location_of(run, plate.image)))
            drawn = any(entry.shapes for entry in plate.entries)
            if drawn and str(shown.header.get("PhotometricInterpretation")).startswith("MONOCHROME"):
                groups.setdefault(shown.key, []).append(_sized(shown))
        return tuple(_state(run, number, group) for number, group in enumerate(groups.values(), 1))


def _state(run: ResultContext, number: int, group: Sequence[_Shown]) -> EncodedObject:
    layers = {entry.number: _layer(entry) for one in group for entry in one.plate.entries if entry.shapes}
    warning = GraphicLayer(WARNING_LAYER, len(layers) + 1, UNVERIFIED_SHORT, CIELabColor.from_rgb(*WARNING_COLOUR))
    for order, layer in enumerate(layers.values(), 1):
        layer.GraphicLayerOrder = order
    images = {str(one.reference.SOPInstanceUID): one.reference for one in group}
    annotations = [
        _annotation(one, layers[entry.number], entry) for one in group for entry in one.plate.entries if entry.shapes
    ]
    annotations += [_warning(run, one, warning) for one in group]
    dataset = GrayscaleSoftcopyPresentationState(
        referenced_images=list(images.values()),
        series_instance_uid=run.series_uid("PR"),
        series_number=run.series_number("PR"),
        sop_instance_uid=run.picture_uid("PR", number),
        instance_number=number,
        manufacturer=run.maker.manufacturer,
        manufacturer_model_name=run.maker.model_name,
        software_versions=run.maker.software_version,
        device_serial_number=run.run.model.algorithm.weights_sha256,
        content_label="AI_RESULT",
        content_description=UNVERIFIED_SHORT,
        graphic_annotations=annotations,
        graphic_layers=[*layers.values(), warning],
    )
    _grey_levels(dataset, group, run.modality)
    _frames(dataset, group)
    leave_room_for_laterality(dataset, run.first)
    # highdicom looks at the clock.
    dataset.PresentationCreationDate = run.content_at.strftime("%Y%m%d")
    dataset.PresentationCreationTime = run.content_at.strftime("%H%M%S")
    return finish(dataset, run)


def _reference(run: ResultContext, plate: Plate) -> Dataset:
    header = next(one for one in run.headers if str(one.SOPInstanceUID) == plate.image.sop_instance_uid)
    reference = anonymous_reference(header)
    reference.SamplesPerPixel = 1
    return reference


def _sized(shown: _Shown) -> _Shown:
    """highdicom checks what is drawn against the size of the image."""
    shown.reference.Rows, shown.reference.Columns = int(shown.header.Rows), int(shown.header.Columns)
    if shown.plate.image.frame is not None:
        shown.reference.NumberOfFrames = max(2, shown.plate.image.frame)
        # It looks for tables in here; ``_grey_levels`` copies them.
        shown.reference.SharedFunctionalGroupsSequence = [Dataset()]
        shown.reference.PerFrameFunctionalGroupsSequence = [Dataset()]
    return shown


# ---------------------------------------------------------------- what is drawn


def _layer(entry: Entry) -> GraphicLayer:
    return GraphicLayer(f"AI_{entry.number}", 1, plain(entry.label)[:64], CIELabColor.from_rgb(*entry.colour))


def _annotation(shown: _Shown, layer: GraphicLayer, entry: Entry) -> GraphicAnnotation:
    rows, columns = int(shown.reference.Rows), int(shown.reference.Columns)
    graphics = [graphic for shape in entry.shapes for graphic in _graphics(shape, rows, columns, entry)]
    details = f"\r\n{entry.details}" if entry.details else ""
    text = TextObject(
        plain(f"{entry.number} {entry.label}") + details,
        PIXEL,
        anchor_point=_anchor(entry.shapes[0], rows, columns),
        anchor_point_visible=True,
    )
    text.UnformattedTextValue = text.UnformattedTextValue[:SHORT_TEXT]
    return GraphicAnnotation(
        [shown.reference],
        layer,
        referenced_frame_number=shown.plate.image.frame,
        graphic_objects=graphics,
        text_objects=[text],
    )


def _graphics(shape: Shape, rows: int, columns: int, entry: Entry) -> Iterator[GraphicObject]:
    placed = _placed(shape.points, rows, columns)
    if shape.graphic_type is GraphicType.POLYGON:
        placed = np.vstack([placed, placed[:1]])
    single = shape.graphic_type in (GraphicType.POINT, GraphicType.MULTIPOINT)
    kind = GraphicTypeValues.POINT if single else GraphicTypeValues.POLYLINE
    for points in placed[:, None] if single else [placed]:
        yield GraphicObject(
            kind, points, PIXEL, tracking_id=entry.tracking_id or None, tracking_uid=entry.tracking_uid or None
        )


def _placed(points: Points, rows: int, columns: int) -> Points:
    """(column, row) from the upper left corner of the image (PS3.3 C.10.5.1: PIXEL), and inside of it."""
    placed: Points = np.clip(points[:, ::-1] + 0.5, 0.0, [columns, rows])
    return placed


def _anchor(shape: Shape, rows: int, columns: int) -> tuple[float, float]:
    placed = _placed(shape.points, rows, columns)
    column, row = placed[placed[:, 1].argmin()]
    return float(column), float(row)


def _warning(run: ResultContext, shown: _Shown, layer: GraphicLayer) -> GraphicAnnotation:
    words = f"{UNVERIFIED_SHORT}\r\n{algorithm_words(run)}: {outcome_words(run)}"
    text = TextObject(words[:SHORT_TEXT], DISPLAY, bounding_box=WARNING_PLACE)
    return GraphicAnnotation(
        [shown.reference], layer, referenced_frame_number=shown.plate.image.frame, text_objects=[text]
    )


# ---------------------------------------------------------------- how the images are shown


def _grey_levels(dataset: Dataset, group: Sequence[_Shown], modality: str) -> None:
    """The modality LUT of the images (PS3.3 C.11.1) and their windows (C.11.8): without those, a viewer guesses."""
    first = group[0]
    if first.header.get("ModalityLUTSequence"):
        copy_element(first.header, "ModalityLUTSequence", into=dataset)
    elif _of(first, "RescaleSlope", "PixelValueTransformationSequence") is not None:
        for keyword in MODALITY_LUT:
            setattr(dataset, keyword, _of(first, keyword, "PixelValueTransformationSequence"))
        dataset.RescaleType = dataset.RescaleType or ("HU" if modality == "CT" else "US")
    windows = [(one, window) for one in group if (window := window_of(one.header, one.plate.image.frame))]
    if windows:
        dataset.SoftcopyVOILUTSequence = [_voi(one, window) for one, window in windows]
    shape = "INVERSE" if str(first.header.PhotometricInterpretation) == "MONOCHROME1" else "IDENTITY"
    dataset.PresentationLUTShape = shape


def _voi(shown: _Shown, window: Window) -> Dataset:
    item, image = Dataset(), Dataset()
    image.ReferencedSOPClassUID = shown.plate.image.sop_class_uid
    image.ReferencedSOPInstanceUID = shown.plate.image.sop_instance_uid
    if shown.plate.image.frame is not None:
        image.ReferencedFrameNumber = shown.plate.image.frame
    item.ReferencedImageSequence = [image]
    item.WindowCenter, item.WindowWidth = f"{window.center:.10g}", f"{window.width:.10g}"
    return item


def _frames(dataset: Dataset, group: Sequence[_Shown]) -> None:
    """Of a multi-frame image the presentation state is on the frames that are drawn on alone."""
    frames: dict[str, list[int]] = {}
    for one in group:
        if one.plate.image.frame is not None:
            frames.setdefault(one.plate.image.sop_instance_uid, []).append(one.plate.image.frame)
    for series in dataset.ReferencedSeriesSequence:
        for image in series.ReferencedImageSequence:
            if str(image.ReferencedSOPInstanceUID) in frames:
                image.ReferencedFrameNumber = frames[str(image.ReferencedSOPInstanceUID)]


def _of(shown: _Shown, keyword: str, macro: str) -> object:
    return value(shown.header, shown.plate.image.frame, keyword, macro)
