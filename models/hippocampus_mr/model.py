"""The package's part on the node: preprocessing, the network, and what its output means.

Geometry belongs to the node: the affine of the input is used only to turn the volume into the network's orientation
and voxel size, and the label map comes back on the input grid.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from models.hippocampus_mr import grid
from models.hippocampus_mr.network import CLASSES, DIVISOR, doubt, network
from node.domain.result import (
    CodedConcept,
    Finding,
    InferenceResult,
    Measurement,
    Outcome,
    Reason,
    Segment,
    Segmentation,
)
from node.domain.study import Volume
from node.errors import InvalidModelOutput, UnsupportedImage

__all__ = ["network", "postprocess", "preprocess"]

# The network knows crops around one hippocampus only; training crops measure 24 to 59 mm along each axis.
EXTENT_MM = (20.0, 80.0)
SPACING_MM = (0.5, 2.0)
# Beyond these the crop shows no whole hippocampus, or none at all (MODEL_CARD.md, "Limits").
PLAUSIBLE_VOLUME_ML = (2.0, 6.0)
MAXIMUM_DOUBT = 0.5

ANATOMICAL_STRUCTURE = CodedConcept("91723000", "SCT", "Anatomical Structure")
HIPPOCAMPUS = CodedConcept("5366008", "SCT", "Hippocampus")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
MILLILITRE = CodedConcept("mL", "UCUM", "mL")
# For the subdivision of the data set's experts (head; body and tail) no verified SNOMED CT concepts were found.
ANTERIOR = CodedConcept("HIPP-ANT", "99AINODE", "Anterior hippocampus")
POSTERIOR = CodedConcept("HIPP-POST", "99AINODE", "Posterior hippocampus")

SEGMENTS = (
    Segment(1, "Anterior hippocampus", ANATOMICAL_STRUCTURE, ANTERIOR, HIPPOCAMPUS, (230, 97, 1)),
    Segment(2, "Posterior hippocampus", ANATOMICAL_STRUCTURE, POSTERIOR, HIPPOCAMPUS, (94, 60, 153)),
)


def preprocess(volume: Volume) -> Tensor:
    """The network's input, float32 [1, 1, z, y, x] on the padded training grid (`grid.py`).

    Raises:
        UnsupportedImage: the volume is no crop around a hippocampus, or an image without contrast.
    """
    for size, spacing in zip(volume.shape, volume.spacing, strict=True):
        if not SPACING_MM[0] <= spacing <= SPACING_MM[1]:
            raise UnsupportedImage(
                f"voxels of {spacing:.2f} mm; the model reads {SPACING_MM[0]:g} to {SPACING_MM[1]:g} mm",
                spacing_mm=spacing,
            )
        if not EXTENT_MM[0] <= size * spacing <= EXTENT_MM[1]:
            raise UnsupportedImage(
                f"field of view of {size * spacing:.0f} mm; the model reads crops of {EXTENT_MM[0]:g} to "
                f"{EXTENT_MM[1]:g} mm around one hippocampus",
                extent_mm=size * spacing,
            )
    try:
        array = grid.to_training(volume.array, grid.training_grid(volume.shape, volume.affine, DIVISOR))
    except ValueError as error:
        raise UnsupportedImage(str(error)) from error
    return torch.from_numpy(np.ascontiguousarray(array))[None, None]


def postprocess(outputs: Tensor, volume: Volume) -> InferenceResult:
    """Two segments and their volumes from logits [1, 3, z, y, x] of the whole preprocessed input.

    NOT EVALUABLE when what was found cannot be a hippocampus. Laterality is not reported: crops do not carry it
    reliably.

    Raises:
        InvalidModelOutput: the outputs have another shape, or values that are not finite.
    """
    plan = grid.training_grid(volume.shape, volume.affine, DIVISOR)
    padded = tuple(size + sum(added) for size, added in zip(plan.shape, plan.padding, strict=True))
    if tuple(outputs.shape) != (1, CLASSES, *padded):
        raise InvalidModelOutput(f"outputs of shape {tuple(outputs.shape)}", field="outputs.shape")
    probabilities = torch.softmax(outputs.float(), dim=1)
    if not bool(torch.isfinite(probabilities).all()):
        raise InvalidModelOutput("outputs that are not finite", field="outputs")
    on_input = grid.from_training(probabilities[0].numpy(), plan)
    label_map = largest_component(on_input.argmax(axis=0).astype(np.uint8))
    volumes = [float((label_map == segment.number).sum()) * volume.grid.voxel_volume_ml for segment in SEGMENTS]
    reason = refusal(volumes, doubt(probabilities))
    if reason:
        return InferenceResult(Outcome.NOT_EVALUABLE, reason=reason)
    findings = tuple(
        Finding(
            segment.type, (Measurement(VOLUME, round(size, 3), MILLILITRE),), segment=segment.number, site=HIPPOCAMPUS
        )
        for segment, size in zip(SEGMENTS, volumes, strict=True)
    )
    return InferenceResult(Outcome.POSITIVE, findings, Segmentation(SEGMENTS, label_map))


def largest_component(label_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`label_map` without what does not touch the largest connected piece: a crop holds one hippocampus."""
    pieces, count = ndimage.label(label_map > 0, np.ones((3, 3, 3)))
    if count < 2:
        return label_map
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.where(pieces == largest, label_map, 0).astype(np.uint8)


def refusal(volumes_ml: list[float], doubt_nats: float) -> Reason | None:
    """Why the result cannot be a hippocampus, or None. `doubt_nats` as `network.doubt` gives it. Pure."""
    total = sum(volumes_ml)
    low, high = PLAUSIBLE_VOLUME_ML
    if min(volumes_ml) <= 0:
        return Reason(
            "StructureNotFound",
            "the anterior or the posterior part was not found: the images do not seem to show one whole hippocampus",
        )
    if not low <= total <= high:
        return Reason(
            "ImplausibleVolume",
            f"what was found measures {total:.1f} mL, a whole hippocampus {low:g} to {high:g} mL: "
            "the images do not seem to show one whole hippocampus",
        )
    if doubt_nats > MAXIMUM_DOUBT:
        return Reason(
            "UncertainSegmentation",
            f"the network's doubt of {doubt_nats:.2f} is above {MAXIMUM_DOUBT:g}: "
            "the images differ too much from those the model knows",
        )
    return None
