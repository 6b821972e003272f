"""The package's part on the node: patches of the slices, candidates in the lungs joined over slices, measurements.

A demonstration. Training crops were taken around nodules that readers had found; how many candidates of a whole scan
are false nobody has counted (MODEL_CARD.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from models.kit.measures import longest_in_plane_mm
from models.kit.preprocess.thorax import AIR, DEFAULT_THRESHOLDS_HU, SOFT, chest
from models.lung_nodule_ct import crops, malignancy, scan
from models.lung_nodule_ct.network import CLASSES, network
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

# Outlines at ``PROBABILITY``; a candidate must reach ``LEAST_SURE`` somewhere (MODEL_CARD.md, "Operating point").
PROBABILITY = 0.5
LEAST_SURE = 0.7
LEAST_SLICES = 2
DIAMETER_MM = (3.0, 40.0)
LARGEST_COUNT = 20
LEAST_LUNGS_ML = 200.0
# The closed lung mask ends where a nodule on the pleura begins.
PLEURA_MM = 3.0

MORPHOLOGY = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
NODULE = CodedConcept("27925004", "SCT", "Nodule")
LUNG = CodedConcept("39607008", "SCT", "Lung")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
LONG_AXIS = CodedConcept("103339001", "SCT", "Long Axis")
RATING = CodedConcept("LIDC-MALIGNANCY", "99AINODE", "Malignancy rating 1 to 5 as by LIDC readers")
CENTRE = tuple(
    CodedConcept(f"CENTRE-{axis}", "99AINODE", f"Centre {axis.lower()} in the patient, towards {direction}")
    for axis, direction in (("X", "left"), ("Y", "back"), ("Z", "head"))
)
MILLILITRE = CodedConcept("mL", "UCUM", "mL")
MILLIMETRE = CodedConcept("mm", "UCUM", "mm")
SCORE = CodedConcept("{score}", "UCUM", "score")
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167))

SEGMENTS = tuple(
    Segment(number, f"Nodule candidate {number}", MORPHOLOGY, NODULE, LUNG, COLOURS[(number - 1) % len(COLOURS)])
    for number in range(1, LARGEST_COUNT + 1)
)

Mask = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One connected piece: its voxels, how sure the network is at best, its longest diameter in a slice."""

    voxels: Mask
    box: tuple[slice, slice, slice]
    sure: float
    diameter_mm: float


def preprocess(volume: Volume) -> Tensor:
    """Normalised patches, float32 [1, 1, n, 80, 80].

    Raises:
        UnsupportedImage: no part of any slice shows lung.
    """
    scaled, patches = _patches(volume, found_lungs(volume))
    if not len(patches.corners):
        raise UnsupportedImage("no slice shows lung: there is nothing to look for nodules in")
    return torch.from_numpy(scan.cut(scaled, patches))[None, None]


def postprocess(outputs: Tensor, volume: Volume) -> InferenceResult:
    """A segment and a finding for each candidate, the surest first, at most ``LARGEST_COUNT``.

    Args:
        outputs: logits [1, 2, n, 80, 80] of the patches.
        volume: the series.

    Raises:
        InvalidModelOutput: the outputs have another shape, or values that are not finite.
    """
    lungs = found_lungs(volume)
    scaled, patches = _patches(volume, lungs)
    if tuple(outputs.shape) != (1, CLASSES, len(patches.corners), crops.SIZE, crops.SIZE):
        raise InvalidModelOutput(f"outputs of shape {tuple(outputs.shape)}", field="outputs.shape")
    probability = torch.softmax(outputs[0].float(), dim=0)[1].numpy()
    if not np.isfinite(probability).all():
        raise InvalidModelOutput("outputs that are not finite", field="outputs")
    if lungs.sum() * volume.grid.voxel_volume_ml < LEAST_LUNGS_ML:
        return InferenceResult(
            Outcome.NOT_EVALUABLE,
            reason=Reason("LungsNotFound", f"less than {LEAST_LUNGS_ML:g} mL of lung was found in the images"),
        )
    belief = scan.on_series(scan.joined(probability, patches), volume.shape)
    found = candidates(np.where(lungs, belief, 0), volume.spacing)[:LARGEST_COUNT]
    if not found:
        return InferenceResult(Outcome.NEGATIVE)
    label_map = np.zeros(volume.shape, dtype=np.uint8)
    for number, one in enumerate(found, start=1):
        label_map[one.box][one.voxels] = number
    model = malignancy.read_linear()
    findings = tuple(
        _finding(number, one, volume, _rating(model, one, scaled, patches)) for number, one in enumerate(found, start=1)
    )
    return InferenceResult(Outcome.POSITIVE, findings, Segmentation(SEGMENTS[: len(found)], label_map))


def candidates(probability: Float, spacing_mm: tuple[float, float, float]) -> list[Candidate]:
    """Pieces connected in three dimensions, of ``LEAST_SLICES`` slices and of a nodule's size, surest first."""
    pieces, _ = ndimage.label(probability >= PROBABILITY, np.ones((3, 3, 3)))
    found = []
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        voxels = pieces[box] == number
        sure = float(probability[box][voxels].max())
        if voxels.shape[0] < LEAST_SLICES or sure < LEAST_SURE:
            continue
        diameter = longest_in_plane_mm(voxels, (spacing_mm[1], spacing_mm[2]))
        if DIAMETER_MM[0] <= diameter <= DIAMETER_MM[1]:
            found.append(Candidate(voxels, box, sure, diameter))
    return sorted(found, key=lambda one: one.sure, reverse=True)


def _patches(volume: Volume, lungs: Mask) -> tuple[Float, scan.Patches]:
    scaled = scan.scaled_slices(volume.array, (volume.spacing[1], volume.spacing[2]))
    return scaled, scan.planned(scaled, lungs)


def found_lungs(volume: Volume) -> Mask:
    """The lungs with their vessels and the pleura: where candidates count."""
    array = np.maximum(volume.array, scan.RANGE_HU[0])
    tissue = np.where(array < DEFAULT_THRESHOLDS_HU[0], np.uint8(AIR), np.uint8(SOFT))
    _, lungs, _ = chest(tissue, array, volume.spacing, head_first=bool(volume.affine[2, 0] < 0))
    grown = lungs.astype(np.uint8)
    width = 2 * max(1, round(PLEURA_MM / min(volume.spacing[1:]))) + 1
    for axis in (1, 2):
        grown = ndimage.maximum_filter1d(grown, width, axis)
    return grown > 0


def _rating(model: malignancy.Linear, one: Candidate, scaled: Float, patches: scan.Patches) -> float | None:
    """The malignancy rating from crops of the scaled slices around the candidate."""
    ratio = [new / old for new, old in zip(patches.scaled, patches.shape[1:], strict=True)]
    areas = [int(plane.sum()) for plane in one.voxels]
    slices = []
    for index in malignancy.three_about_the_largest(areas):
        plane = np.zeros(patches.shape[1:], dtype=np.float32)
        plane[one.box[1], one.box[2]] = one.voxels[index]
        mask = scan.on_series(plane[None], (1, *patches.scaled))[0] >= 0.5
        middle = [
            round(((edge.start + edge.stop) / 2) * factor) for edge, factor in zip(one.box[1:], ratio, strict=True)
        ]
        slices.append(_crop(scaled[one.box[0].start + index], mask, middle))
    features = malignancy.nodule_features(slices)
    return None if features is None else model.rating(features)


def _crop(plane: Float, mask: Mask, middle: list[int]) -> tuple[Float, Mask]:
    """The window of a training crop's size around ``middle``, moved into the slice."""
    corner = [
        min(max(0, at - malignancy.CROP // 2), max(0, size - malignancy.CROP))
        for at, size in zip(middle, plane.shape, strict=True)
    ]
    window = (slice(corner[0], corner[0] + malignancy.CROP), slice(corner[1], corner[1] + malignancy.CROP))
    return plane[window], mask[window]


def _finding(number: int, one: Candidate, volume: Volume, rating: float | None) -> Finding:
    measurements = [
        Measurement(VOLUME, round(float(one.voxels.sum()) * volume.grid.voxel_volume_ml, 3), MILLILITRE),
        Measurement(LONG_AXIS, round(one.diameter_mm, 1), MILLIMETRE),
    ]
    if rating is not None:
        measurements.append(Measurement(RATING, round(rating, 1), SCORE))
    index = np.argwhere(one.voxels).mean(axis=0) + [edge.start for edge in one.box]
    centre = volume.affine @ np.append(index, 1.0)
    measurements += [
        Measurement(concept, round(float(at), 1), MILLIMETRE) for concept, at in zip(CENTRE, centre[:3], strict=True)
    ]
    return Finding(NODULE, tuple(measurements), probability=round(one.sure, 3), segment=number, site=LUNG)
