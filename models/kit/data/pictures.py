"""Picture files as float32 arrays, with what can be wrong with them as named errors.

JPEG, PNG, TIFF, BMP and WebP by Pillow: 8 and 16 bit, grey, colour, palette, with transparency, turned as their Exif
orientation says. Grey of colour is ITU-R BT.601 luma in floating point. What is transparent is black. Of colour with
16 bits a channel Pillow keeps the upper 8.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from node.errors import ObjectMissing, UndecodablePixelData, UnsupportedImage

Float = npt.NDArray[np.float32]

LARGEST_PIXELS = 100_000_000
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# One 16-bit grey channel; 65535 = 255 * 257.
SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
COLOUR_WITHOUT_ALPHA = ("RGB", "CMYK", "YCbCr", "RGBX")


def read_grey(path: Path) -> Float:
    """The picture as (rows, columns) in 0..255; 16-bit values are divided by 257 and keep their fractions.

    Raises:
        ObjectMissing: the file cannot be read.
        UndecodablePixelData: it is empty, cut off, corrupt, or no picture.
        UnsupportedImage: several frames, 32-bit values, or more than ``LARGEST_PIXELS``.
    """
    values = read_picture(path)
    return values if values.ndim == 2 else values @ LUMA


def read_rgb(path: Path) -> Float:
    """The picture as (rows, columns, 3) red, green, blue in 0..255; of a grey one three equal channels.

    Raises:
        As ``read_grey``.
    """
    values = read_picture(path)
    return values if values.ndim == 3 else np.repeat(values[:, :, np.newaxis], 3, axis=2)


def read_picture(path: Path) -> Float:
    """The picture as it is: (rows, columns) of a grey one, (rows, columns, 3) of a coloured one, 0..255.

    Raises:
        As ``read_grey``.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata and of large pictures; size is checked below, metadata are not ours.
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                _require_sane(picture)
                return _values(ImageOps.exif_transpose(picture))
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise ObjectMissing("a picture cannot be read", reason=type(error).__name__) from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        # Pillow tells a corrupt file by any of these; UnidentifiedImageError is an OSError.
        reason = "it is empty" if path.stat().st_size == 0 else "it is cut off, corrupt or no picture"
        raise UndecodablePixelData(f"the picture cannot be decoded: {reason}", error=type(error).__name__) from error


def _require_sane(picture: Image.Image) -> None:
    if picture.width * picture.height > LARGEST_PIXELS:
        raise UnsupportedImage(f"a picture of {picture.height} x {picture.width} pixels", limit=LARGEST_PIXELS)
    if getattr(picture, "n_frames", 1) != 1:
        raise UnsupportedImage(f"a picture of {getattr(picture, 'n_frames', 0)} frames")


def _values(picture: Image.Image) -> Float:
    mode = picture.mode
    if mode in SIXTEEN_BIT:
        return np.asarray(picture).astype(np.float32) / np.float32(257)
    if mode in ("1", "L"):
        return np.asarray(picture.convert("L"), dtype=np.float32)
    if mode in COLOUR_WITHOUT_ALPHA:
        return np.asarray(picture.convert("RGB"), dtype=np.float32)
    if mode in ("LA", "La"):
        return _on_black(np.asarray(picture.convert("LA"), dtype=np.float32))[:, :, 0]
    if mode in ("P", "PA", "RGBA", "RGBa"):
        return _on_black(np.asarray(picture.convert("RGBA"), dtype=np.float32))
    raise UnsupportedImage(f"a picture with values of Pillow's mode {mode}")


def _on_black(values: Float) -> Float:
    return values[:, :, :-1] * (values[:, :, -1:] / np.float32(255))
