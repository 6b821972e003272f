"""The package's part on the node: tissue classes by thresholds, then regions by `models.kit.preprocess.thorax`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.kit.preprocess.thorax import SOFT, Thorax, thorax
from models.organ_ct.network import network
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

# Outside the reconstructed circle scanners write anything down to -32768.
LOWEST_HU = -1100.0
# A CT in HU has air and soft tissue.
LEAST_SOFT = 0.01
LEAST_BODY_ML = 50.0

ANATOMICAL_STRUCTURE = CodedConcept("91723000", "SCT", "Anatomical Structure")
TISSUE = CodedConcept("85756007", "SCT", "Tissue")
LUNG = CodedConcept("39607008", "SCT", "Lung")
BONE = CodedConcept("272673000", "SCT", "Bone")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
BODY_VOLUME = CodedConcept("BODY-VOL", "99AINODE", "Volume of the whole body in the images")
MILLILITRE = CodedConcept("mL", "UCUM", "mL")

SEGMENTS = (
    Segment(1, "Body outside lungs and bones", TISSUE, TISSUE, None, (230, 200, 120)),
    Segment(2, "Lungs", ANATOMICAL_STRUCTURE, LUNG, None, (70, 150, 230)),
    Segment(3, "Bones", ANATOMICAL_STRUCTURE, BONE, None, (240, 235, 220)),
)


def preprocess(volume: Volume) -> Tensor:
    """HU as float32 [1, 1, k, r, c].

    Raises:
        UnsupportedImage: hardly anything has the HU of a body.
    """
    array = np.maximum(volume.array, LOWEST_HU)
    if float(((array > -150) & (array < 150)).mean()) < LEAST_SOFT:
        raise UnsupportedImage("hardly any voxel has the Hounsfield units of soft tissue: not a CT of a patient in HU")
    return torch.from_numpy(np.ascontiguousarray(array))[None, None]


def postprocess(outputs: Tensor, volume: Volume) -> InferenceResult:
    """Three segments with their volumes from tissue classes [1, 1, k, r, c].

    A structure that is not in the images has no finding. NOT EVALUABLE where no body is.

    Raises:
        InvalidModelOutput: the outputs have another shape, or are no tissue classes.
    """
    if tuple(outputs.shape) != (1, 1, *volume.shape):
        raise InvalidModelOutput(f"outputs of shape {tuple(outputs.shape)}", field="outputs.shape")
    tissue = outputs[0, 0].numpy().astype(np.uint8)
    if tissue.max(initial=0) > 3 or not (tissue >= SOFT).any():
        raise InvalidModelOutput("outputs that are no tissue classes of a body", field="outputs")
    array = np.maximum(volume.array, LOWEST_HU)
    masks = thorax(tissue, array, volume.spacing, head_first=_head_first(volume))
    millilitre = volume.grid.voxel_volume_ml
    if masks.body.sum() * millilitre < LEAST_BODY_ML:
        return InferenceResult(Outcome.NOT_EVALUABLE, reason=Reason("BodyNotFound", "no body was found in the images"))
    label_map = _label_map(masks)
    findings = [_finding(segment, label_map, millilitre) for segment in SEGMENTS if (label_map == segment.number).any()]
    whole = Measurement(BODY_VOLUME, round(float(masks.body.sum()) * millilitre, 1), MILLILITRE)
    findings[0] = Finding(findings[0].concept, (*findings[0].measurements, whole), segment=findings[0].segment)
    return InferenceResult(Outcome.POSITIVE, tuple(findings), Segmentation(SEGMENTS, label_map))


def _head_first(volume: Volume) -> bool:
    """Whether slices run from head to feet; z of DICOM's patient system grows towards the head."""
    return bool(volume.affine[2, 0] < 0)


def _label_map(masks: Thorax) -> npt.NDArray[np.uint8]:
    label_map = masks.body.astype(np.uint8)
    label_map[masks.lungs] = 2
    label_map[masks.bones] = 3
    return label_map


def _finding(segment: Segment, label_map: npt.NDArray[np.uint8], millilitre: float) -> Finding:
    size = float((label_map == segment.number).sum()) * millilitre
    return Finding(segment.type, (Measurement(VOLUME, round(size, 1), MILLILITRE),), segment=segment.number)
