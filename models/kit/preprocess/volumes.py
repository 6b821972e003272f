"""Masks of a CT volume as steps; ``thorax`` finds them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.kit.preprocess.thorax import body, thorax, tissue_classes

Float = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def body_mask(hu: Float, spacing: tuple[float, float, float]) -> Mask:
    """The patient without the table, with the air inside: bool of the shape of ``hu`` (k, rows, columns).

    ``spacing`` in mm along (k, rows, columns); slices are axial.
    """
    return body(tissue_classes(hu), spacing)


def lung_mask(hu: Float, spacing: tuple[float, float, float], head_first: bool = False) -> Mask:
    """Both lungs with their vessels, without trachea and main bronchi: bool of the shape of ``hu``.

    ``head_first``: slice 0 is the one nearest to the head.
    """
    return thorax(tissue_classes(hu), hu, spacing, head_first).lungs
