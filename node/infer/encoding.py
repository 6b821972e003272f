"""How the pixels of one object are encoded, and whether its Pixel Data can hold what its header claims."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from node.errors import UndecodablePixelData, UnsupportedImage

# Photometric interpretations (PS3.3 C.7.6.3.1.2) by the samples that a pixel has in them; others are not supported.
GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, PALETTE: 1} | dict.fromkeys(
    ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"), 3
)

# Every frame of an encapsulated image has an item at least (PS3.5 section A.4).
ITEM_HEADER_BYTES = 8
# PackBits, the RLE of PS3.5 annex G, makes at most 128 bytes of 2.
RLE_LARGEST_RATIO = 64
# An empty image compresses a thousandfold; above this size nothing but a forged header claims more.
SUSPECT_FRAME_BYTES = 64 * 1024 * 1024
LARGEST_RATIO = 1000


@dataclass(frozen=True, slots=True)
class Encoding:
    """The Image Pixel Module (PS3.3 C.7.6.3) of one object, and its transfer syntax."""

    transfer_syntax_uid: str
    encapsulated: bool
    little_endian: bool
    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    samples: int = 1
    planar: int = 0

    @property
    def frame_bytes(self) -> int:
        """Length of one uncompressed frame in bytes; YBR_FULL_422 has two samples a pixel (PS3.3 C.7.6.3.1.2)."""
        samples = 2 if self.photometric == "YBR_FULL_422" and not self.encapsulated else self.samples
        return self.rows * self.columns * samples * (self.bits_allocated // 8)

    @property
    def is_grey(self) -> bool:
        return self.photometric in GREY


def require_room(encoding: Encoding, present: int) -> None:
    """Pixel Data is long enough for what the header claims: checked before anything of that size is allocated."""
    claimed = encoding.frame_bytes * encoding.frames
    if not encoding.encapsulated:
        least = claimed
    elif encoding.transfer_syntax_uid == RLELossless:
        least = claimed // RLE_LARGEST_RATIO
    else:
        least = claimed // LARGEST_RATIO if encoding.frame_bytes > SUSPECT_FRAME_BYTES else 0
    if encoding.encapsulated:
        least = max(least, ITEM_HEADER_BYTES * encoding.frames)
    if present < least:
        raise UndecodablePixelData(
            f"the pixel data of an image holds {present} bytes, {encoding.frames} frames of {encoding.rows} x "
            f"{encoding.columns} need at least {least}",
            present=present,
        )


def require_grey(encoding: Encoding, header: Dataset) -> None:
    """
    Raises:
        UnsupportedImage: what no slice of a volume can be.
    """
    if not encoding.is_grey:
        raise UnsupportedImage(
            f"a colour image ({encoding.photometric}); only grey values can be judged", samples=encoding.samples
        )
    if header.get("ModalityLUTSequence"):
        raise UnsupportedImage("the image maps its values by a modality lookup table")


def read_encoding(header: Dataset) -> Encoding:
    """
    Raises:
        UnsupportedImage: a colour space or a depth that nobody here decodes.
    """
    syntax = header.file_meta.TransferSyntaxUID
    samples = int(header.get("SamplesPerPixel") or 1)
    photometric = str(header.PhotometricInterpretation)
    if SAMPLES.get(photometric) != samples:
        raise UnsupportedImage(f"an image in {photometric} with {samples} samples a pixel", samples=samples)
    allocated = int(header.BitsAllocated)
    stored = int(header.get("BitsStored") or allocated)
    high = int(header.HighBit) if header.get("HighBit") is not None else stored - 1
    rows, columns, frames = int(header.Rows), int(header.Columns), int(header.get("NumberOfFrames") or 1)
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise UnsupportedImage(f"{stored} bits stored in {allocated}", bits_allocated=allocated, bits_stored=stored)
    if min(rows, columns, frames) < 1:
        raise UnsupportedImage(f"an image of {frames} x {rows} x {columns} pixels")
    return Encoding(
        transfer_syntax_uid=str(syntax),
        encapsulated=bool(syntax.is_encapsulated),
        little_endian=bool(syntax.is_little_endian),
        rows=rows,
        columns=columns,
        frames=frames,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=int(header.get("PixelRepresentation") or 0) == 1,
        photometric=photometric,
        samples=samples,
        planar=int(header.get("PlanarConfiguration") or 0),
    )
