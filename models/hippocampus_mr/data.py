"""Training data: NIfTI cases as arrays on the training grid, the fold assignment, and a cache of decoded cases.

Data set: the folder holds `images/<case>.nii.gz` and `labels/<case>.nii.gz` (labels 0 background, 1 anterior,
2 posterior hippocampus), as in Task04 of the Medical Segmentation Decathlon.
"""

import hashlib
import json
import logging
import random
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Image
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from models.hippocampus_mr import grid
from models.hippocampus_mr.network import DIVISOR
from models.kit.cases import Problem
from node.errors import AinodeError

logger = logging.getLogger(__name__)

# Its folder, where a command is given the folder with all data sets.
DATASET = "hippocampus-msd"
SUFFIX = ".nii.gz"
FOLDS_FILE = Path(__file__).with_name("folds.json")
FOLD_COUNT = 5
FOLD_SEED = 0
# NIfTI world axes are RAS, ours are LPS.
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# What reading a case may end in.
UNREADABLE = (
    *(AinodeError, OSError, EOFError, ValueError, zlib.error),
    *(ImageFileError, HeaderDataError, WrapStructError),
)


@dataclass(frozen=True)
class Case:
    """One case on the training grid: `image` float32 and `labels` uint8, both [z, y, x] without padding."""

    id: str
    image: grid.FloatArray
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class RawCase:
    """One case as a volume: `array` and `labels` [k, r, c]; `affine` maps (k, r, c) to patient LPS in mm."""

    id: str
    array: grid.FloatArray
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]


def set_folder(data: Path) -> Path:
    """The folder of this set: ``data`` itself, or where it holds all data sets, the one in it."""
    return data / DATASET if (data / DATASET).is_dir() else data


def case_id(image: Path) -> str:
    """Of an image's file."""
    return image.name.removesuffix(SUFFIX)


def case_ids(data: Path) -> list[str]:
    """Ids of all cases of the folder in sorted order. Raises FileNotFoundError when there are none."""
    ids = sorted(case_id(path) for path in (data / "images").glob(f"*{SUFFIX}"))
    if not ids:
        raise FileNotFoundError(f"no images/*.nii.gz under {data}")
    return ids


def assign_folds(ids: list[str]) -> list[list[str]]:
    """Shuffle with a fixed seed and deal the cases into folds; pure, the same for ever for the same ids."""
    shuffled = sorted(ids)
    random.Random(FOLD_SEED).shuffle(shuffled)  # noqa: S311 - a reproducible deal, no secret
    return [sorted(shuffled[start::FOLD_COUNT]) for start in range(FOLD_COUNT)]


def read_folds(file: Path = FOLDS_FILE) -> list[list[str]]:
    """The fold assignment kept in the repository: a list of case ids per fold."""
    folds: list[list[str]] = json.loads(file.read_text())["folds"]
    return folds


def split(fold: int, validation: int) -> tuple[list[str], list[str], list[str]]:
    """Case ids (training, validation, test) when `fold` is the test fold.

    `validation` cases are taken from the training part for choices between recipes; the test fold is never used
    for a choice.
    """
    folds = read_folds()
    rest = [case for number, ids in enumerate(folds) if number != fold for case in ids]
    random.Random(FOLD_SEED + 1).shuffle(rest)  # noqa: S311
    return sorted(rest[validation:]), sorted(rest[:validation]), folds[fold]


def read_raw(data: Path, case: str) -> RawCase:
    """Read one case as the faithful DICOM volume of the same anatomy: [k, r, c] = [z, y, x] with an LPS affine.

    Raises:
        UNREADABLE: one of these, where a file is absent, cut off, corrupt, empty, or of another grid.
    """
    image = Nifti1Image.from_filename(data / "images" / f"{case}.nii.gz")
    labels = Nifti1Image.from_filename(data / "labels" / f"{case}.nii.gz")
    array = np.asanyarray(image.dataobj, dtype=np.float32)
    mask = np.asanyarray(labels.dataobj).astype(np.uint8)
    if array.ndim != 3 or array.shape != mask.shape:
        raise ValueError(f"image {array.shape} and labels {mask.shape} are not one 3D grid")
    if not np.isfinite(array).all() or float(array.min()) == float(array.max()):
        raise ValueError("an image without contrast, or with values that are not finite")
    affine = RAS_TO_LPS @ np.asarray(image.affine, dtype=np.float64)
    reverse = np.eye(4)[[2, 1, 0, 3]]
    return RawCase(case, array.transpose(2, 1, 0), mask.transpose(2, 1, 0), affine @ reverse)


def read_case(data: Path, case: str) -> Case:
    """Read one case and bring it to the training grid with the node's own preprocessing."""
    raw = read_raw(data, case)
    depth, rows, columns = raw.array.shape
    plan = grid.training_grid((depth, rows, columns), raw.affine, DIVISOR)
    if plan.shape != plan.turned_shape:
        raise ValueError("training expects 1 mm voxels")
    image = grid.normalise(grid.turn(raw.array, plan))
    labels = grid.turn(raw.labels.astype(np.float32), plan).astype(np.uint8)
    return Case(case, np.ascontiguousarray(image), np.ascontiguousarray(labels))


def read_cases(data: Path, ids: list[str], cache: Path) -> tuple[list[Case], list[Problem]]:
    """Read cases through a cache folder of decoded arrays (one .npz per case, keyed by the source files' bytes).

    What cannot be read is passed over, and listed with its reason.
    """
    cache.mkdir(parents=True, exist_ok=True)
    cases: list[Case] = []
    problems: list[Problem] = []
    for case in ids:
        try:
            cases.append(_through_cache(data, case, cache))
        except UNREADABLE as error:
            problems.append(problem_of(case, error))
    logger.info("%d cases ready, %d passed over", len(cases), len(problems))
    return cases, problems


def problem_of(case: str, error: Exception) -> Problem:
    """Why a case is passed over."""
    logger.warning("%s: passed over, %s: %s", case, type(error).__name__, error)
    return Problem(case, f"{type(error).__name__}: {error}")


def _through_cache(data: Path, case: str, cache: Path) -> Case:
    key = hashlib.sha256()
    key.update(Path(grid.__file__).read_bytes())
    for kind in ("images", "labels"):
        key.update((data / kind / f"{case}.nii.gz").read_bytes())
    file = cache / f"{case}-{key.hexdigest()[:16]}.npz"
    if not file.exists():
        decoded = read_case(data, case)
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, image=decoded.image, labels=decoded.labels)
        partial.replace(file)
    with np.load(file) as arrays:
        return Case(case, arrays["image"], arrays["labels"])
