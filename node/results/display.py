"""A source image as a viewer would show it: grey values through the header's window, the shape of its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from node.domain.study import ByteRange, Picture
from node.domain.viewing import Window
from node.results.source import read_tags
from node.results.voi import Function, function_of, table_of, through

Grey = npt.NDArray[np.uint8]

DISPLAY_TAGS: Final = [Tag(keyword) for keyword in (
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsStored", "PixelRepresentation",
    "RescaleIntercept", "RescaleSlope", "RescaleType", "ModalityLUTSequence",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence",
    "PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio", "PatientOrientation", "ImageOrientationPatient",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)]  # fmt: skip
# Without a window in the header: what is darker or brighter than all but these percent of the pixels is black or white.
DARKEST, BRIGHTEST = 0.5, 99.5
# A window that leaves a picture less than this of the 255 grey values shows nothing: scanners write one for a series.
LEAST_SPREAD = 96


# Hounsfield units, for a CT without a window.
SOFT_TISSUE = Window(40.0, 400.0)


def display_header(location: ByteRange) -> Dataset:
    """What the header of an image says of its display; an element that cannot be read counts as absent.

    Raises:
        ObjectMissing: the image is gone.
    """
    return read_tags(location, DISPLAY_TAGS)


def value(header: Dataset, frame: int | None, keyword: str, macro: str) -> Any:
    """``keyword`` of an image, or of one frame of it: in the functional group ``macro`` of the frame, or of all."""
    for group in _groups(header, frame):
        if group.get(macro) and _read(group[macro].value[0], keyword) is not None:
            return _read(group[macro].value[0], keyword)
    return _read(header, keyword)


def window_of(header: Dataset, frame: int | None = None) -> Window | None:
    """The first window of the image; None where it names none that makes sense."""
    center = _first(value(header, frame, "WindowCenter", "FrameVOILUTSequence"))
    width = _first(value(header, frame, "WindowWidth", "FrameVOILUTSequence"))
    if center is None or width is None or not np.isfinite([center, width]).all() or width < 1:
        return None
    return Window(center, width)


def grey_levels(picture: Picture, header: Dataset) -> Grey:
    """(rows, columns) of 0..255, or (rows, columns, 3) of a colour picture."""
    if picture.is_colour:
        return np.clip(np.rint(picture.array), 0, 255).astype(np.uint8)
    shown = _as_stated(picture, header)
    if shown is not None:
        darkest, brightest = np.percentile(shown, [DARKEST, BRIGHTEST])
        if brightest - darkest >= LEAST_SPREAD:
            return shown
    return between_percentiles(picture.array, DARKEST, BRIGHTEST)


def _as_stated(picture: Picture, header: Dataset) -> Grey | None:
    """Through the header's table or window, or what suits the modality; None where there is neither."""
    frame = picture.ref.frame
    inverted = header.get("PhotometricInterpretation") == "MONOCHROME1"
    table = table_of(value(header, frame, "VOILUTSequence", "FrameVOILUTSequence"), bool((picture.array < 0).any()))
    sum_of_ends = _sum_of_ends(header, frame) if inverted else 0.0
    if table is not None and sum_of_ends is not None:
        # A table maps the values as they were before they were inverted, and what it says is inverted then.
        return _levels(
            1 - table.shown(np.float32(sum_of_ends) - picture.array) if inverted else table.shown(picture.array)
        )
    window = window_of(header, frame)
    function = function_of(value(header, frame, "VOILUTFunction", "FrameVOILUTSequence"))
    if window is None:
        return through_window(picture.array, SOFT_TISSUE) if picture.modality == "CT" else None
    if inverted:
        if sum_of_ends is None:
            return None
        # The plain line lies half a value and half a width beside its center (C.11.2.1.2.1); the others do not.
        window = Window(sum_of_ends - window.center + (1.0 if function is Function.LINEAR else 0.0), window.width)
    if function is Function.LINEAR:
        return through_window(picture.array, window)
    return _levels(through(picture.array, window, function))


def through_window(array: npt.NDArray[np.float32], window: Window) -> Grey:
    """The linear function of PS3.3 C.11.2.1.2.1, as 0..255."""
    return _through(array, window.center - 0.5 - (window.width - 1) / 2, max(window.width - 1, 1.0))


def between_percentiles(array: npt.NDArray[np.float32], darkest: float, brightest: float) -> Grey:
    """0..255 for what lies between two percentiles of the finite values."""
    finite = array[np.isfinite(array)]
    low, high = (float(edge) for edge in np.percentile(finite, [darkest, brightest])) if finite.size else (0.0, 0.0)
    return _through(array, low, max(high - low, 1e-6))


def pixel_aspect(header: Dataset, frame: int | None = None) -> float:
    """Height of a pixel by its width (PS3.3 C.7.6.3.1.7); 1 where nothing sensible is said."""
    spacing = value(header, frame, "PixelSpacing", "PixelMeasuresSequence")
    for stated in (spacing, _read(header, "ImagerPixelSpacing"), _read(header, "PixelAspectRatio")):
        try:
            height, width = (float(side) for side in stated or ())
        except (TypeError, ValueError):
            continue
        if height > 0 and width > 0 and 0.1 <= height / width <= 10:
            return height / width
    return 1.0


def _sum_of_ends(header: Dataset, frame: int | None) -> float | None:
    """The smallest and the largest possible value together, within which those of MONOCHROME1 were inverted.

    None where a table or the depth does not let them be known.
    """
    if header.get("ModalityLUTSequence"):
        return None
    slope = _first(value(header, frame, "RescaleSlope", "PixelValueTransformationSequence"))
    intercept = _first(value(header, frame, "RescaleIntercept", "PixelValueTransformationSequence"))
    bits, signed = int(_first(header.get("BitsStored")) or 0), header.get("PixelRepresentation") == 1
    if not 1 <= bits <= 32:
        return None
    lowest = -(2 ** (bits - 1)) if signed else 0
    ends = 2 * lowest + 2**bits - 1
    return float(2 * (intercept or 0.0) + (1.0 if slope is None else slope) * ends)


def _levels(shares: npt.NDArray[np.float32]) -> Grey:
    """0..255 of 0..1."""
    shown: Grey = np.rint(255 * shares).astype(np.uint8)
    return shown


def _through(array: npt.NDArray[np.float32], low: float, width: float) -> Grey:
    # NaN is black.
    spread = np.nan_to_num((array - np.float32(low)) * np.float32(255.0 / width), posinf=255.0)
    shown: Grey = np.clip(np.rint(spread), 0, 255).astype(np.uint8)
    return shown


def _groups(header: Dataset, frame: int | None) -> Iterator[Dataset]:
    frames = header.get("PerFrameFunctionalGroupsSequence") or []
    if len(frames) >= (frame or 1):
        yield frames[(frame or 1) - 1]
    yield from header.get("SharedFunctionalGroupsSequence") or []


def _read(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, NotImplementedError):
        return None


def _first(stated: Any) -> float | None:
    one = stated[0] if isinstance(stated, list | tuple | MultiValue) and len(stated) else stated
    try:
        return float(one)
    except (TypeError, ValueError):
        return None
