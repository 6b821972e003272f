"""Which files are pictures or volumes, and what they are called without their suffix."""

from __future__ import annotations

from pathlib import Path

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
NIFTI = (".nii.gz", ".nii")
# Preamble and prefix of a Part 10 file (PS3.10 section 7.1).
PREAMBLE_BYTES, PREFIX = 128, b"DICM"


def is_picture(path: Path) -> bool:
    """Whether the name says JPEG, PNG, TIFF, BMP or WebP."""
    return path.suffix.lower() in PICTURES


def is_nifti(path: Path) -> bool:
    """Whether the name says NIfTI."""
    return path.name.lower().endswith(NIFTI)


def is_dicom(path: Path) -> bool:
    """Whether the file is a DICOM Part 10 file, whatever its name; what cannot be opened is none."""
    try:
        with path.open("rb") as file:
            return file.read(PREAMBLE_BYTES + len(PREFIX))[PREAMBLE_BYTES:] == PREFIX
    except OSError:
        return False


def is_image(path: Path) -> bool:
    """Whether there is a reader for the file."""
    return is_picture(path) or is_nifti(path) or is_dicom(path)


def without_suffix(path: Path) -> Path:
    """``a/b.nii.gz`` and ``a/b.png`` to ``a/b``; other dots in a name stay."""
    ending = next((ending for ending in NIFTI if path.name.lower().endswith(ending)), path.suffix)
    return path.with_name(path.name[: len(path.name) - len(ending)] or path.name)
