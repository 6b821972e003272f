"""One stored object to ``Picture``s: each frame by itself, grey values or RGB, without a place in a volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from node.domain.study import ByteRange, Picture
from node.errors import NoPixelData, UnsupportedImage
from node.infer.colour import Float, palette_rgb, rgb_frames
from node.infer.encoding import PALETTE, Encoding, read_encoding, require_room
from node.infer.geometry import Plane
from node.infer.headers import TAGS, Image, image_texts, parse, readable
from node.infer.lut import Table, modality_table
from node.infer.pixels import Stored, stored_frames
from node.infer.planes import Rescale, read_planes
from node.infer.volume import modality_values

PICTURE_TAGS: list[Any] = [
    *TAGS, "InstanceNumber", "PlanarConfiguration", "ImagerPixelSpacing", "NominalScannedPixelSpacing",
    "SequenceOfUltrasoundRegions",
    "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
]  # fmt: skip

# Where a spacing may stand, the most telling first (PS3.3 10.7.1.3): at the patient, at the detector, of the film.
SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
# Region Spatial Format 2D and Physical Units cm (PS3.3 C.8.5.5.1).
REGION_2D, CENTIMETRES = 1, 3


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One object whose header is read; ``number`` is its Instance Number, empty where it states none."""

    image: Image
    header: Dataset
    number: str

    @property
    def encoding(self) -> Encoding:
        return self.image.encoding

    @property
    def sop_class_uid(self) -> str:
        return self.image.planes[0].ref.sop_class_uid


def read_file(location: ByteRange, source: int, more_tags: Sequence[Any] = ()) -> ImageFile:
    """Read the header of one Part 10 file; ``source`` numbers it in errors, ``more_tags`` are read for the caller.

    Raises:
        NoPixelData: the object is no image.
        UnsupportedImage: a colour space or depth that is not supported, or a header that cannot be read.
        UndecodablePixelData: Pixel Data is shorter than the image.
        ObjectMissing: the file cannot be read.
    """
    with readable(source):
        header, pixels = parse(location, [*PICTURE_TAGS, *more_tags])
        if header.get("PhotometricInterpretation") is None:
            raise NoPixelData("an object of the series holds no image")
        encoding = read_encoding(header)
        require_room(encoding, pixels.length)
        planes, rescale = read_planes(header, encoding, source)
        image = Image(planes, rescale, encoding, pixels, *image_texts(header))
        return ImageFile(image, header, str(header.get("InstanceNumber") or ""))


def read_pictures(file: ImageFile, frames_at_most: int = 1) -> Iterator[Picture]:
    """A picture for each frame, decoded when it is asked for.

    Raises:
        UnsupportedImage: more frames than ``frames_at_most``, a lookup table that makes no sense, or no decoder.
        UndecodablePixelData: truncated or corrupt.
        ObjectMissing: the file cannot be read.
    """
    if file.encoding.frames > frames_at_most:
        raise UnsupportedImage(
            f"a multi-frame image of {file.encoding.frames} frames; this model takes at most {frames_at_most}",
            frames=file.encoding.frames,
        )
    with readable(file.image.planes[0].source):
        spacing = [_spacing(file.header, plane) for plane in file.image.planes]
    for array, plane, side in zip(_arrays(file), file.image.planes, spacing, strict=True):
        yield Picture(array, plane.ref, file.image.modality, side)


def _arrays(file: ImageFile) -> Iterator[Float]:
    encoding = file.encoding
    if encoding.samples > 1:
        yield from rgb_frames(file.image.pixels.read(), encoding)
        return
    with readable(file.image.planes[0].source):
        table = modality_table(file.header, encoding.signed)
    for stored, rescale in zip(stored_frames(file.image), file.image.rescale, strict=True):
        if encoding.photometric == PALETTE:
            with readable(file.image.planes[0].source):
                rgb = palette_rgb(stored, file.header)
            yield rgb
        else:
            yield _grey(stored, encoding, rescale, table)


def _grey(stored: Stored, encoding: Encoding, rescale: Rescale, table: Table | None) -> Float:
    """Modality LUT or rescale (PS3.3 C.11.1: one or the other), MONOCHROME1 inverted."""
    if table is None:
        return modality_values(stored, encoding, rescale)
    return (table.inverted() if encoding.photometric == "MONOCHROME1" else table).mapped(stored)


def _spacing(header: Dataset, plane: Plane) -> tuple[float, float] | None:
    """(between rows, between columns) in mm."""
    stated = [plane.spacing, *(header.get(keyword) for keyword in SPACINGS), _of_regions(header)]
    for value in stated:
        if value is not None and len(value) == 2 and all(float(side) > 0 for side in value):
            return float(value[0]), float(value[1])
    return None


def _of_regions(header: Dataset) -> Sequence[float] | None:
    """The spacing of an ultrasound image whose 2D regions agree on one."""
    sizes = {
        (10 * abs(float(region.PhysicalDeltaY)), 10 * abs(float(region.PhysicalDeltaX)))
        for region in header.get("SequenceOfUltrasoundRegions") or []
        if region.get("RegionSpatialFormat") == REGION_2D
        and region.get("PhysicalUnitsXDirection") == region.get("PhysicalUnitsYDirection") == CENTIMETRES
    }
    return sizes.pop() if len(sizes) == 1 else None
