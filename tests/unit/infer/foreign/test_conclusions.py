"""What outputs mean: segments with volumes, classes with probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from node.domain.declared import Activation, ClassOutput, Decision, Postprocessing, Preprocessing
from node.domain.result import CodedConcept, InferenceResult, Outcome, Segment
from node.errors import InvalidModelOutput
from node.infer.foreign.conclusions import classes_of, segments_of
from node.infer.foreign.layout import layout
from tests.unit.infer.foreign.volumes import volume

TISSUE = CodedConcept("85756007", "SCT", "Tissue")
SEGMENTS = tuple(Segment(n, f"S{n}", TISSUE, CodedConcept(f"S{n}", "99TEST", f"S{n}")) for n in (1, 2))
GIVEN = volume("axial", (2, 3, 4))
PLACE = layout(GIVEN, Preprocessing(), 3)
VOXEL_ML = 2.5 * 0.8 * 1.1 / 1000
BENIGN, MALIGNANT, NORMAL = (CodedConcept(word, "99TEST", word) for word in ("BENIGN", "MALIGNANT", "NORMAL"))


def segmented(outputs: torch.Tensor, steps: Postprocessing) -> InferenceResult:
    return segments_of(outputs, GIVEN, PLACE, steps, SEGMENTS)


def labels_of(result: InferenceResult) -> np.ndarray:
    assert result.segmentation is not None
    return result.segmentation.label_map


def of_labels(*labels: int) -> torch.Tensor:
    """One channel of label numbers, filled up with 0."""
    flat = torch.zeros(24)
    flat[: len(labels)] = torch.tensor(labels, dtype=torch.float)
    return flat.reshape(1, 1, 2, 3, 4)


def test_the_most_probable_channel() -> None:
    outputs = torch.zeros(1, 3, 2, 3, 4)
    outputs[0, 0] = 1.0
    outputs[0, 1, 0, 0, :2] = 5.0
    outputs[0, 2, 1, 2] = 5.0
    result = segmented(outputs, Postprocessing(Activation.SOFTMAX))
    assert result.outcome is Outcome.POSITIVE
    assert np.bincount(labels_of(result).ravel()).tolist() == [18, 2, 4]
    assert labels_of(result)[0, 0, :2].tolist() == [1, 1]
    assert [one.measurements[0].value for one in result.findings] == [round(2 * VOXEL_ML, 3), round(4 * VOXEL_ML, 3)]
    assert [one.segment for one in result.findings] == [1, 2]


def test_channels_above_a_threshold() -> None:
    outputs = torch.full((1, 2, 2, 3, 4), -5.0)
    outputs[0, 0, 0] = 0.5  # 0.62
    outputs[0, 1, 0, 0] = 3.0  # more probable there
    steps = Postprocessing(Activation.SIGMOID, Decision.THRESHOLD, threshold=0.6)
    assert np.bincount(labels_of(segmented(outputs, steps)).ravel()).tolist() == [12, 8, 4]
    stricter = Postprocessing(Activation.SIGMOID, Decision.THRESHOLD, threshold=0.9)
    assert np.bincount(labels_of(segmented(outputs, stricter)).ravel()).tolist() == [20, 0, 4]


def test_a_probability_that_is_the_threshold_reaches_it() -> None:
    outputs = torch.full((1, 2, 2, 3, 4), 0.5)
    steps = Postprocessing(Activation.NONE, Decision.THRESHOLD, threshold=0.5)
    assert np.unique(labels_of(segmented(outputs, steps))).tolist() == [1]


def test_some_of_many_channels_are_segments() -> None:
    outputs = torch.zeros(1, 6, 2, 3, 4)
    outputs[0, 5, 0] = 1.0
    outputs[0, 3, 1, 0] = 1.0
    outputs[0, 4, 1, 1] = 1.0  # no segment
    outputs[0, 0, 1, 2] = 1.0
    found = labels_of(segmented(outputs, Postprocessing(Activation.SOFTMAX, labels=(5, 3))))
    assert np.bincount(found.ravel()).tolist() == [8, 12, 4]


def test_label_numbers() -> None:
    found = labels_of(segmented(of_labels(1, 2, 2), Postprocessing(Activation.LABELS)))
    assert np.bincount(found.ravel()).tolist() == [21, 1, 2]
    other = labels_of(segmented(of_labels(9, 4, 4, 7), Postprocessing(Activation.LABELS, labels=(9, 4))))
    assert np.bincount(other.ravel()).tolist() == [21, 1, 2]


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (of_labels(1, 3), "the label 3, which is no segment"),
        (of_labels(1) + 0.5, "no label numbers"),
        (of_labels(1) - 1, "no label numbers"),
        (torch.zeros(1, 2, 2, 3, 4), "wanted is one with label numbers"),
    ],
)
def test_what_are_no_label_numbers(outputs: torch.Tensor, words: str) -> None:
    with pytest.raises(InvalidModelOutput, match=words):
        segmented(outputs, Postprocessing(Activation.LABELS))


def test_nothing_found_is_negative() -> None:
    result = segmented(of_labels(), Postprocessing(Activation.LABELS))
    assert result == InferenceResult(Outcome.NEGATIVE)


def test_too_small_is_no_finding() -> None:
    steps = Postprocessing(Activation.LABELS, minimum_volume_ml=2.5 * VOXEL_ML)
    result = segmented(of_labels(1, 1, 2, 2, 2), steps)
    assert [one.segment for one in result.findings] == [2]
    assert np.bincount(labels_of(result).ravel()).tolist() == [21, 0, 3]


def test_the_largest_piece() -> None:
    outputs = torch.zeros(1, 1, 2, 3, 4)
    outputs[0, 0, 0, 0, 0] = outputs[0, 0, 1, 2, 2] = outputs[0, 0, 1, 2, 3] = 1.0
    result = segmented(outputs, Postprocessing(Activation.LABELS, largest_component=True))
    assert np.argwhere(labels_of(result)).tolist() == [[1, 2, 2], [1, 2, 3]]


@pytest.mark.parametrize("shape", [(1, 3, 2, 3, 5), (2, 3, 2, 3, 4), (1, 3), (1, 2, 2, 3, 4), (1, 4, 2, 3, 4)])
def test_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidModelOutput, match=r"wanted (is \(1, channels, 2, 3, 4\)|are 3)"):
        segmented(torch.zeros(shape), Postprocessing(Activation.SOFTMAX))


THREE = (ClassOutput(NORMAL), ClassOutput(BENIGN, positive=True), ClassOutput(MALIGNANT, positive=True))


def test_classes_that_exclude_each_other_are_positive_together() -> None:
    outputs = torch.log(torch.tensor([[0.4, 0.25, 0.35]]))
    result = classes_of(outputs, Postprocessing(Activation.SOFTMAX, classes=THREE))
    assert result.outcome is Outcome.POSITIVE
    assert [(one.concept, one.present) for one in result.findings] == [(MALIGNANT, True), (BENIGN, False)]
    assert [one.probability for one in result.findings] == pytest.approx([0.35, 0.25])


def test_classes_by_themselves_are_positive_alone() -> None:
    outputs = torch.logit(torch.tensor([[0.9, 0.4, 0.35]]))
    result = classes_of(outputs, Postprocessing(Activation.SIGMOID, classes=THREE))
    assert result.outcome is Outcome.NEGATIVE
    assert [(one.concept, one.present) for one in result.findings] == [(BENIGN, False), (MALIGNANT, False)]
    lower = classes_of(outputs, Postprocessing(Activation.SIGMOID, classes=THREE, threshold=0.4))
    assert [(one.concept, one.present) for one in lower.findings] == [(BENIGN, True), (MALIGNANT, False)]


def test_logits_are_no_probabilities() -> None:
    with pytest.raises(InvalidModelOutput, match="is an activation to be declared"):
        classes_of(torch.tensor([[0.1, 0.2, -3.0]]), Postprocessing(Activation.NONE, classes=THREE))
