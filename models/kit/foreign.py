"""Images that a model is not meant for, as its network would get them: through the package's own ``preprocess``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.kit.data.formats import is_dicom, is_image, is_nifti, is_picture
from models.kit.data.pictures import read_picture
from models.kit.data.studies import read_dicom_picture, read_volume
from models.kit.task import Array
from node.domain.model import InputKind
from node.domain.study import Grid, Picture, SopRef, Volume
from node.errors import AinodeError, InputError
from node.infer.package import read_description

Sample = Tensor | None

# A picture in the place of a volume: so many equal slices of 1 mm.
SLICES = 4
NOWHERE = SopRef("", "")


def samples_of(package: str, folder: Path, count: int) -> Iterator[Sample]:
    """Of each of ``count`` images, evenly chosen, the network's input; None where the package refuses the image itself.

    A folder of DICOM slices is one image where the package takes volumes. Masks (``mask`` in the name) are none, nor is
    what cannot be read.

    Raises:
        ValueError: no image is in the folder.
    """
    code = importlib.import_module(f"models.{package}.model")
    kind = read_description(Path(__file__).resolve().parent.parent / package).kind
    found = _images(folder, kind)
    if not found:
        raise ValueError(f"no image is in {folder.name}")
    for index in np.unique(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)):
        try:
            given = list(_given(found[index], kind))
        except AinodeError:
            continue
        yield _first_accepted(code, given)


def _first_accepted(code: Any, given: list[Picture | Volume]) -> Sample:
    for one in given:
        try:
            made = code.preprocess(one)
        except InputError:
            continue
        return made if isinstance(made, Tensor) else torch.from_numpy(np.asarray(made, dtype=np.float32))
    return None


def _images(folder: Path, kind: InputKind) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "mask" not in path.name and is_image(path))
    if kind is InputKind.IMAGE:
        return [path for path in files if not is_nifti(path)]
    return sorted({path.parent if is_dicom(path) else path for path in files})


def _given(path: Path, kind: InputKind) -> Iterator[Picture | Volume]:
    """The image in every form that a package may take: a grey picture also as a coloured one, and the other way."""
    if kind is InputKind.VOLUME:
        yield _stack(read_picture(path)) if is_picture(path) else read_volume(path)
        return
    array = read_picture(path) if is_picture(path) else read_dicom_picture(path).array
    grey = array if array.ndim == 2 else array.mean(axis=2)
    yield Picture(array, NOWHERE)
    yield Picture(grey if array.ndim == 3 else np.repeat(array[:, :, None], 3, axis=2), NOWHERE)


def _stack(array: Array) -> Volume:
    grey = array if array.ndim == 2 else array.mean(axis=2)
    values = np.repeat(grey[None].astype(np.float32), SLICES, axis=0)
    # Axial: slices towards the head, rows towards the back, columns towards the left.
    affine = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
    shape = (int(values.shape[0]), int(values.shape[1]), int(values.shape[2]))
    return Volume(values, Grid(shape, affine, "", ()))
