"""A series of stored objects to one ``Volume`` on a regular grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from node.domain.study import ByteRange, Grid, Volume
from node.infer.encoding import Encoding
from node.infer.geometry import Stack, stack
from node.infer.headers import Image, read_image
from node.infer.pixels import Stored, stored_frames
from node.infer.planes import Rescale
from node.infer.quality.checks import Checks

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A volume, and what its images' headers say of text in their pixels: YES where one of them does."""

    volume: Volume
    burned_in: str


def load_volume(images: Sequence[ByteRange]) -> Volume:
    """The volume of ``load_series``."""
    return load_series(images).volume


def load_series(images: Sequence[ByteRange], checks: Checks | None = None) -> Loaded:
    """Read a series: headers first, geometry checked, then the pixels of every slice.

    Values are after the modality rescale (PS3.3 C.11.1), slice by slice. MONOCHROME1 is inverted within the range of
    its stored values: the smallest becomes the largest, as on a display (PS3.3 C.7.6.3.1.2). ``checks`` is told what
    the geometry was found to be.

    Raises:
        InputError: the subclass names why this is no volume, its message is for the physician.
        ObjectMissing: an image is gone from the store.
    """
    loaded = [read_image(location, source) for source, location in enumerate(images)]
    arranged = stack([plane for image in loaded for plane in image.planes], checks)
    first = arranged.planes[0]
    grid = Grid(
        shape=(len(arranged.planes), *first.shape),
        affine=arranged.affine,
        frame_of_reference_uid=first.frame_of_reference_uid,
        sources=tuple(plane.ref for plane in arranged.planes),
    )
    volume = Volume(_values(loaded, arranged, grid.shape), grid, loaded[0].modality)
    burned_in = any(image.burned_in == "YES" for image in loaded)
    return Loaded(volume, "YES" if burned_in else loaded[0].burned_in)


def modality_values(stored: Stored, encoding: Encoding, rescale: Rescale, out: Float | None = None) -> Float:
    """Stored values (rows, columns) as float32 after rescale and inversion of MONOCHROME1."""
    slope, intercept = rescale
    if encoding.photometric == "MONOCHROME1":
        # slope * (lowest + highest - value) + intercept, without a copy in a wider type.
        lowest = -(2 ** (encoding.bits_stored - 1)) if encoding.signed else 0
        highest = lowest + 2**encoding.bits_stored - 1
        slope, intercept = -slope, intercept + slope * (lowest + highest)
    values = np.empty(stored.shape, dtype=np.float32) if out is None else out
    np.copyto(values, stored)
    if slope != 1:
        values *= np.float32(slope)
    if intercept != 0:
        values += np.float32(intercept)
    return values


def _values(images: Sequence[Image], arranged: Stack, shape: tuple[int, int, int]) -> Float:
    slice_of = {(plane.source, plane.frame): k for k, plane in enumerate(arranged.planes)}
    array = np.empty(shape, dtype=np.float32)
    for source, image in enumerate(images):
        for frame, stored in enumerate(stored_frames(image)):
            modality_values(stored, image.encoding, image.rescale[frame], out=array[slice_of[source, frame]])
    return array
