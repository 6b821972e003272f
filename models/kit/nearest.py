"""The nearest of many vectors by cosine, exactly: by NumPy, or by FAISS where it is installed, with the same answer.

FAISS (Douze et al., "The Faiss library", 2024) sums in another order than NumPy, so that near ties could come in
another order. Here it only preselects, with a margin; what is answered is always computed by the same lines.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models.kit.task import Array

Indices = npt.NDArray[np.intp]
Engine = Literal["auto", "numpy", "faiss"]

# Far above the rounding of float32 sums of vectors of length 1, far below any difference that means something.
MARGIN = 1e-4


def normalised(vectors: Array) -> Array:
    """Rows of length 1; a row of zeros stays one, and is like nothing."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)


def cosines(vectors: Array, query: Array) -> npt.NDArray[np.float64]:
    """(n,) of rows of length 1 with one vector of length 1; a row's sum does not depend on which others there are."""
    products: npt.NDArray[np.float64] = np.multiply(vectors, query, dtype=np.float64)
    total: npt.NDArray[np.float64] = np.ascontiguousarray(products).sum(axis=1)
    return total


def nearest(
    vectors: Array, query: Array, k: int, allowed: npt.NDArray[np.bool_] | None = None, engine: Engine = "auto"
) -> tuple[Indices, npt.NDArray[np.float64]]:
    """Indices and cosines of the ``k`` nearest rows, the most like first, of equals the earlier row first.

    Args:
        vectors: float32 (n, size), rows of length 1.
        query: float32 (size,), of length 1.
        allowed: (n,), rows that may be answered; None is all.
        engine: ``auto`` takes FAISS where it is installed.

    Raises:
        ValueError: ``k`` is below 1, the sizes differ, or FAISS is asked for and not installed.
    """
    if k < 1:
        raise ValueError(f"{k} nearest")
    if vectors.ndim != 2 or query.shape != vectors.shape[1:]:
        raise ValueError(f"a vector of shape {query.shape} among vectors of shape {vectors.shape}")
    rows = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    if _with_faiss(engine) and len(rows) > k:
        rows = rows[_preselected(np.ascontiguousarray(vectors[rows]), query, k)]
    values = cosines(vectors[rows], query)
    # lexsort: the last key counts first.
    order = np.lexsort((rows, -values))[:k]
    return rows[order], values[order]


def _with_faiss(engine: Engine) -> bool:
    installed = importlib.util.find_spec("faiss") is not None
    if engine == "faiss" and not installed:
        raise ValueError("FAISS is not installed")
    return engine == "faiss" or (engine == "auto" and installed)


def _preselected(vectors: Array, query: Array, k: int) -> Indices:
    """Rows, in ascending order, among which the ``k`` nearest surely are."""
    faiss: Any = importlib.import_module("faiss")
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    scores, _ = index.search(query[None], k)
    _, _, rows = index.range_search(query[None], float(scores[0, -1]) - MARGIN)
    return np.sort(rows).astype(np.intp)
