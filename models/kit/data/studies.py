"""DICOM and NIfTI files as what the node would make of them, so that a model is trained on what it will be given.

DICOM goes through the node's own reader. NIfTI becomes the volume of a DICOM series written faithfully: [k, r, c] is
[z, y, x] of the file, and its affine, RAS in the file, is LPS.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.kit.data.formats import is_dicom, is_nifti, is_picture
from models.kit.data.pictures import read_picture
from node.domain.study import ByteRange, Grid, Picture, Volume
from node.errors import ObjectMissing, UndecodablePixelData, UnsupportedImage
from node.infer.pictures import read_file, read_pictures
from node.infer.volume import load_volume

Float = npt.NDArray[np.float32]

# NIfTI world axes are RAS, ours are LPS; its index is (x, y, z), ours (z, y, x).
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
REVERSED = np.eye(4)[[2, 1, 0, 3]]


def read_volume(path: Path) -> Volume:
    """A NIfTI file, or a folder with the Part 10 files of one DICOM series (other files in it are passed over).

    Raises:
        InputError: the subclass names why this is no volume.
        ObjectMissing: it cannot be read, or a folder holds no DICOM.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if is_dicom(file))
        if not files:
            raise ObjectMissing("a folder holds no DICOM files", path=path.name)
        return load_volume([_whole(file) for file in files])
    if is_nifti(path):
        return _read_nifti(path)
    return load_volume([_whole(path)])


def read_dicom_picture(path: Path) -> Picture:
    """One DICOM image without a place in a volume, of one frame.

    Raises:
        InputError: the subclass names why this is no such image.
        ObjectMissing: it cannot be read.
    """
    return next(iter(read_pictures(read_file(_whole(path), 0))))


def read_pixels(path: Path) -> Float:
    """Whatever is at ``path``: (rows, columns), (rows, columns, 3) or a volume (k, rows, columns).

    Raises:
        InputError: the subclass names why it is no picture and no volume.
        ObjectMissing: it cannot be read.
    """
    if is_picture(path):
        return read_picture(path)
    if path.is_dir() or is_nifti(path):
        return read_volume(path).array
    if is_dicom(path):
        return read_dicom_picture(path).array
    raise UnsupportedImage(f"no reader for files that end in {path.suffix or 'nothing'}")


def _whole(path: Path) -> ByteRange:
    try:
        return ByteRange(str(path), 0, path.stat().st_size)
    except OSError as error:
        raise ObjectMissing("a file cannot be read", reason=type(error).__name__) from error


def _read_nifti(path: Path) -> Volume:
    # Only training reads NIfTI: a node has no nibabel.
    from nibabel.filebasedimages import ImageFileError  # noqa: PLC0415
    from nibabel.nifti1 import Nifti1Image  # noqa: PLC0415
    from nibabel.spatialimages import HeaderDataError  # noqa: PLC0415
    from nibabel.wrapstruct import WrapStructError  # noqa: PLC0415

    try:
        image = Nifti1Image.from_filename(path)
        array = np.asanyarray(image.dataobj, dtype=np.float32)
    except FileNotFoundError as error:
        raise ObjectMissing("a volume cannot be read", reason=type(error).__name__) from error
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError, zlib.error) as error:
        raise UndecodablePixelData(
            "the volume cannot be decoded: it is cut off, corrupt or no NIfTI", error=type(error).__name__
        ) from error
    if array.ndim != 3 or min(array.shape) < 1:
        raise UnsupportedImage(f"an array of shape {array.shape} is no volume")
    columns, rows, slices = array.shape
    affine = RAS_TO_LPS @ np.asarray(image.affine, dtype=np.float64) @ REVERSED
    values = np.ascontiguousarray(array.transpose(2, 1, 0))
    return Volume(values, Grid((slices, rows, columns), affine, "", ()))
