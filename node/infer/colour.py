"""Colour images as RGB, whichever colour space (PS3.3 C.7.6.3.1.2), planar configuration and encoding they came in.

Decoded by the same decoders as grey images; pydicom converts the colour space.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder

from node.errors import UndecodablePixelData, UnsupportedImage
from node.infer.encoding import Encoding
from node.infer.lut import entries_of
from node.infer.pixels import DECODERS, Stored, next_frame, require_whole

Float = npt.NDArray[np.float32]

FULL_SCALE = 255.0
PALETTES = ("Red", "Green", "Blue")
LOSSY_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
# Markers of a JPEG stream (ITU-T T.81 table B.1): start of scan, application 14, and start of frame 0 to 3.
SCAN, APPLICATION_14, FRAMES = 0xDA, 0xEE, (0xC0, 0xC1, 0xC2, 0xC3)
LONE_MARKERS = (0x01, *range(0xD0, 0xD9))


def rgb_frames(data: bytes, encoding: Encoding) -> Iterator[Float]:
    """Each frame of three samples as float32 (rows, columns, 3), RGB in 0..255; more than 8 bits are scaled down.

    Raises:
        UndecodablePixelData: truncated or corrupt.
        UnsupportedImage: signed samples, unusual bits, or a transfer syntax without a decoder.
    """
    if encoding.signed or encoding.bits_allocated not in (8, 16) or encoding.high_bit != encoding.bits_stored - 1:
        raise UnsupportedImage(
            f"a colour image of {encoding.bits_stored} bits in {encoding.bits_allocated}",
            bits_allocated=encoding.bits_allocated,
            bits_stored=encoding.bits_stored,
        )
    if not encoding.little_endian:
        raise UnsupportedImage("a colour image in the retired Explicit VR Big Endian")
    if len(data) < encoding.frame_bytes * encoding.frames and not encoding.encapsulated:
        raise UndecodablePixelData("the pixel data of an image ends early", present=len(data))
    scale = np.float32(FULL_SCALE / (2**encoding.bits_stored - 1))
    frames = _frames(data, encoding)
    for number in range(encoding.frames):
        values = next_frame(frames, encoding, number)
        yield values.astype(np.float32) * scale


def palette_rgb(stored: Stored, header: Dataset) -> Float:
    """Indices (rows, columns) as RGB float32 (rows, columns, 3) in 0..255, by the palettes of ``header``.

    Raises:
        UnsupportedImage: a palette is absent, segmented, or not as long as it claims.
    """
    if header.get("SegmentedRedPaletteColorLookupTableData") is not None:
        raise UnsupportedImage("an image with a segmented palette")
    rgb = np.empty((*stored.shape, 3), dtype=np.float32)
    for channel, name in enumerate(PALETTES):
        table = entries_of(
            header.get(f"{name}PaletteColorLookupTableDescriptor"),
            header.get(f"{name}PaletteColorLookupTableData"),
            "palette",
        )
        rgb[..., channel] = table.mapped(stored) * np.float32(FULL_SCALE / (2**table.bits - 1))
    return rgb


def _frames(data: bytes, encoding: Encoding) -> Iterator[Stored]:
    syntax = uid.UID(encoding.transfer_syntax_uid)
    photometric, plugin = encoding.photometric, ""
    if encoding.encapsulated:
        require_whole(data)
        plugin = DECODERS.get(encoding.transfer_syntax_uid, "")
        if not plugin:
            raise UnsupportedImage(f"no decoder for transfer syntax {encoding.transfer_syntax_uid}")
        if syntax in LOSSY_JPEG and photometric == "RGB" and _holds_ybr(next(_codestreams(data, encoding), b"")):
            photometric = "YBR_FULL_422"
    options: dict[str, Any] = {
        "rows": encoding.rows,
        "columns": encoding.columns,
        "number_of_frames": encoding.frames,
        "samples_per_pixel": encoding.samples,
        "planar_configuration": encoding.planar,
        "photometric_interpretation": photometric,
        "bits_allocated": encoding.bits_allocated,
        "bits_stored": encoding.bits_stored,
        "pixel_representation": 0,
        "pixel_keyword": "PixelData",
    }
    for values, _ in get_decoder(syntax).iter_array(data, raw=False, decoding_plugin=plugin, **options):
        yield values


def _codestreams(data: bytes, encoding: Encoding) -> Iterator[bytes]:
    try:
        yield from generate_frames(data, number_of_frames=encoding.frames)
    except (ValueError, IndexError) as error:
        raise UndecodablePixelData("the compressed pixel data of an image has no frames") from error


def _holds_ybr(jpeg: bytes) -> bool:
    """Whether a JPEG stream holds YCbCr although its header calls the image RGB, as many exporters do.

    An Adobe marker with transform 1 says so, and so do components that are sampled less often than the first: nobody
    thins out blue and red alone. A JFIF marker is pydicom's to notice.
    """
    for marker, segment in _segments(jpeg):
        if marker == APPLICATION_14 and segment[:5] == b"Adobe" and len(segment) >= 12:
            return segment[11] == 1
        if marker in FRAMES and len(segment) >= 15:
            return segment[7] > segment[10]
    return False


def _segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, content) of each segment before the first scan."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == SCAN:
            return
        if marker == 0xFF or marker in LONE_MARKERS:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        yield marker, jpeg[at + 4 : at + 2 + length]
        at += 2 + max(length, 2)
