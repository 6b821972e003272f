"""What a declared network's output means: segments with their volumes, or classes with their probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from node.domain.declared import Activation, Decision, Postprocessing
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
from node.errors import InvalidModelOutput
from node.infer.foreign.layout import Layout

Labels = npt.NDArray[np.uint8]

VOLUME = CodedConcept("118565006", "SCT", "Volume")
MILLILITRE = CodedConcept("mL", "UCUM", "mL")


def segments_of(
    outputs: Tensor, volume: Volume, place: Layout, steps: Postprocessing, segments: tuple[Segment, ...]
) -> InferenceResult:
    """POSITIVE with each segment that was found and its volume in mL, else NEGATIVE.

    ``outputs`` is (1, channels, ...) on the network's array, padding included.

    Raises:
        InvalidModelOutput: another shape, or as many channels as the segments cannot have.
    """
    expected = place.padded
    if outputs.ndim != 5 or outputs.shape[0] != 1 or tuple(outputs.shape[2:]) != expected:
        wanted = ", ".join(map(str, expected))
        raise _invalid(f"the network returned the shape {tuple(outputs.shape)}, wanted is (1, channels, {wanted})")
    label_map = _label_map(outputs[0], place, steps, len(segments))
    found = []
    for segment in segments:
        mask = label_map == segment.number
        if steps.largest_component:
            mask = _largest(mask)
        size_ml = int(mask.sum()) * volume.grid.voxel_volume_ml
        keep = size_ml > 0 and size_ml >= steps.minimum_volume_ml
        label_map[(label_map == segment.number) & ~(mask & keep)] = 0
        if keep:
            found.append((segment, size_ml))
    if not found:
        return InferenceResult(Outcome.NEGATIVE)
    findings = tuple(
        Finding(
            segment.type,
            (Measurement(VOLUME, round(size_ml, 3), MILLILITRE),),
            segment=segment.number,
            site=segment.anatomic_region,
        )
        for segment, size_ml in found
    )
    return InferenceResult(Outcome.POSITIVE, findings, Segmentation(segments, label_map))


def classes_of(outputs: Tensor, steps: Postprocessing) -> InferenceResult:
    """Every positive class with its probability, the more probable before the less.

    POSITIVE where the positive classes reach the threshold: together where the classes exclude each other (softmax),
    one of them otherwise. Present is then the most probable one, and every other that reaches it alone.

    Raises:
        InvalidModelOutput: as many outputs as there are classes were wanted, or no probabilities came.
    """
    if outputs.shape[0] != 1 or outputs.numel() != len(steps.classes):
        raise _invalid(
            f"the network returned the shape {tuple(outputs.shape)}, wanted is (1, {len(steps.classes)}): "
            "one number for each class of model.toml"
        )
    probabilities = [float(value) for value in _activated(outputs.flatten(), steps.activation)]
    if not all(0 <= probability <= 1 for probability in probabilities):
        raise _invalid(f"{max(probabilities, key=abs):g} is no probability; is an activation to be declared?")
    judged = [(one.concept, p) for one, p in zip(steps.classes, probabilities, strict=True) if one.positive]
    judged.sort(key=lambda pair: -pair[1])
    highest = judged[0][1]
    reached = sum(p for _, p in judged) if steps.activation is Activation.SOFTMAX else highest
    outcome = Outcome.POSITIVE if reached >= steps.threshold else Outcome.NEGATIVE
    findings = tuple(
        Finding(
            concept,
            probability=probability,
            present=outcome is Outcome.POSITIVE and (probability >= steps.threshold or probability == highest),
        )
        for concept, probability in judged
    )
    return InferenceResult(outcome, findings)


def _activated(values: Tensor, activation: Activation) -> Tensor:
    """Probabilities; the channels or classes lie along axis 0."""
    if activation is Activation.SOFTMAX:
        return torch.softmax(values, 0)
    return torch.sigmoid(values) if activation is Activation.SIGMOID else values


def _label_map(channels: Tensor, place: Layout, steps: Postprocessing, count: int) -> Labels:
    """Segment numbers on the volume's grid, from (channels, ...) on the network's array."""
    if steps.activation is Activation.LABELS:
        return _of_labels(channels, place, steps, count)
    by_threshold = steps.decision is Decision.THRESHOLD
    wanted = steps.labels or tuple(range(0 if by_threshold else 1, count if by_threshold else count + 1))
    fits = channels.shape[0] > max(wanted) if steps.labels else channels.shape[0] == max(wanted) + 1
    if not fits:
        background = "" if by_threshold else " (channel 0 is the background)"
        raise _invalid(f"the network returned {channels.shape[0]} channels, wanted are {max(wanted) + 1}{background}")
    channels = _activated(channels, steps.activation)
    considered = wanted if by_threshold else range(channels.shape[0])
    segment_of = {channel: number for number, channel in enumerate(wanted, start=1)}
    # Channel by channel: all of them at once on the volume's grid would need many times the memory.
    best = np.full(place.volume, steps.threshold if by_threshold else -np.inf, dtype=np.float32)
    label_map: Labels = np.zeros(best.shape, dtype=np.uint8)
    for channel in considered:
        values = place.from_network(channels[channel].numpy())
        better = values >= best if by_threshold and channel == considered[0] else values > best
        label_map[better] = segment_of.get(channel, 0)
        np.maximum(best, values, out=best)
    return label_map


def _of_labels(channels: Tensor, place: Layout, steps: Postprocessing, count: int) -> Labels:
    if channels.shape[0] != 1:
        raise _invalid(f"the network returned {channels.shape[0]} channels, wanted is one with label numbers")
    found = place.from_network(channels[0].numpy(), nearest=True)
    if bool((found != np.round(found)).any()) or float(found.min()) < 0:
        raise _invalid("the network returned values that are no label numbers")
    wanted = steps.labels or tuple(range(1, count + 1))
    unknown = [] if steps.labels else sorted(set(np.unique(found).tolist()) - {0.0, *map(float, wanted)})
    if unknown:
        raise _invalid(f"the network returned the label {unknown[0]:g}, which is no segment")
    label_map: Labels = np.zeros(found.shape, dtype=np.uint8)
    for number, label in enumerate(wanted, start=1):
        label_map[found == label] = number
    return label_map


def _largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count < 2:
        return mask
    return np.asarray(pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:])))


def _invalid(words: str) -> InvalidModelOutput:
    return InvalidModelOutput(words, field="outputs")
