"""Pictures made up for tests: smooth shapes and fine structure, different for every seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Float = npt.NDArray[np.float32]


def textured(seed: int, rows: int = 96, columns: int = 80) -> Float:
    """float32 (rows, columns) in 20..230."""
    generator = np.random.default_rng(seed)
    noise = [ndimage.gaussian_filter(generator.standard_normal((rows, columns)), sigma) for sigma in (8.0, 3.0, 1.2)]
    mixed = sum(part / part.std() for part in noise)
    low, high = float(mixed.min()), float(mixed.max())
    return np.asarray(20 + 210 * (mixed - low) / (high - low), dtype=np.float32)


def save(array: npt.NDArray[Any], path: Path, **options: Any) -> Path:
    """Write 8-bit grey or RGB(A), or 16-bit grey, as the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = array if array.dtype == np.uint16 else np.clip(np.rint(array), 0, 255).astype(np.uint8)
    Image.fromarray(kept).save(path, **options)
    return path
