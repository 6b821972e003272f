"""The package's part on the node: slices onto the network's plane, and what its probabilities mean.

Slices are read one by one in their own plane, whatever it is, stood upright: the network was trained with axial,
coronal and sagittal slices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from models.brain_tumour_mr import grid
from models.brain_tumour_mr.network import CLASSES, network
from models.brain_tumour_mr.upright import upright_of
from models.kit.measures import longest_in_plane_mm
from node.domain.result import (
    CodedConcept,
    Finding,
    InferenceResult,
    Measurement,
    Outcome,
    Segment,
    Segmentation,
)
from node.domain.study import Volume
from node.errors import InvalidModelOutput, UnsupportedImage

__all__ = ["network", "postprocess", "preprocess"]

# What is drawn; the network has weighed outline and head on the same scale (MODEL_CARD.md, "Operating point").
PROBABILITY = 0.5
# A piece below this volume is no finding.
LEAST_VOLUME_ML = 0.5
LEAST_FIELD_MM = 100.0
# Voxels of one piece share a face, an edge or a corner.
TOUCHING = np.ones((3, 3, 3))

ABNORMAL_STRUCTURE = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
NEOPLASM = CodedConcept("108369006", "SCT", "Neoplasm")
BRAIN = CodedConcept("12738006", "SCT", "Brain")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
LONG_AXIS = CodedConcept("103339001", "SCT", "Long Axis")
MILLILITRE = CodedConcept("mL", "UCUM", "mL")
MILLIMETRE = CodedConcept("mm", "UCUM", "mm")

SEGMENTS = (Segment(1, "Enhancing tumour", ABNORMAL_STRUCTURE, NEOPLASM, BRAIN, (230, 60, 40)),)


def preprocess(volume: Volume) -> Tensor:
    """The network's input, float32 [1, 1, k, 192, 192].

    Raises:
        UnsupportedImage: the images are too small to show a head, or have no contrast.
    """
    rows, columns = volume.shape[1] * volume.spacing[1], volume.shape[2] * volume.spacing[2]
    if min(rows, columns) < LEAST_FIELD_MM:
        raise UnsupportedImage(
            f"images of {rows:.0f} mm x {columns:.0f} mm; the model reads whole heads, at least {LEAST_FIELD_MM:g} mm"
        )
    planes = grid.from_series(volume.array - min(0.0, float(volume.array.min())), _plan(volume))
    if not planes.any():
        raise UnsupportedImage("images without contrast: no head can be told from air")
    return torch.from_numpy(planes)[None, None]


def postprocess(outputs: Tensor, volume: Volume) -> InferenceResult:
    """One segment, its volume, and the longest diameter of any piece of it in the plane of the images.

    Args:
        outputs: logits [1, 2, k, 192, 192].
        volume: the series.

    Raises:
        InvalidModelOutput: the outputs have another shape, or values that are not finite.
    """
    if tuple(outputs.shape) != (1, CLASSES, volume.shape[0], grid.SIZE, grid.SIZE):
        raise InvalidModelOutput(f"outputs of shape {tuple(outputs.shape)}", field="outputs.shape")
    probability = torch.softmax(outputs[0].float(), dim=0)[1].numpy()
    if not np.isfinite(probability).all():
        raise InvalidModelOutput("outputs that are not finite", field="outputs")
    mask = found(grid.to_series(probability, _plan(volume)), volume.grid.voxel_volume_ml)
    if not mask.any():
        return InferenceResult(Outcome.NEGATIVE)
    size = float(mask.sum()) * volume.grid.voxel_volume_ml
    pieces, count = ndimage.label(mask, TOUCHING)
    spacing = (volume.spacing[1], volume.spacing[2])
    longest = max(longest_in_plane_mm(pieces == number, spacing) for number in range(1, count + 1))
    measurements = (
        Measurement(VOLUME, round(size, 3), MILLILITRE),
        Measurement(LONG_AXIS, round(longest, 1), MILLIMETRE),
    )
    finding = Finding(NEOPLASM, measurements, segment=1, site=BRAIN)
    return InferenceResult(Outcome.POSITIVE, (finding,), Segmentation(SEGMENTS, mask.astype(np.uint8)))


def found(probability: npt.NDArray[np.float32], voxel_ml: float) -> npt.NDArray[np.bool_]:
    """Voxels of at least ``PROBABILITY`` in pieces that are large enough."""
    pieces, count = ndimage.label(probability >= PROBABILITY, TOUCHING)
    if not count:
        return np.zeros(probability.shape, dtype=bool)
    numbers = np.arange(1, count + 1)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:] * voxel_ml
    kept: npt.NDArray[np.bool_] = np.isin(pieces, numbers[sizes >= LEAST_VOLUME_ML])
    return kept


def _plan(volume: Volume) -> grid.Plan:
    size, spacing = (volume.shape[1], volume.shape[2]), (volume.spacing[1], volume.spacing[2])
    return grid.plan(size, spacing, upright_of(volume.affine))
