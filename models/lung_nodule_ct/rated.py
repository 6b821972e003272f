"""How well the malignancy rating tells nodules apart, by the outlines of the network: what an evaluation adds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from models.kit.data.pictures import read_grey
from models.kit.evaluation.outlining import Segmentation
from models.kit.evaluation.predictions import Outlined
from models.kit.evaluation.report import Section, listed
from models.kit.evaluation.resampling import Estimate, Indices, estimates
from models.kit.evaluation.run import Run
from models.kit.training.samples import Sample
from models.kit.training.scores import roc_auc
from models.lung_nodule_ct import crops
from models.lung_nodule_ct.malignancy import Features, Linear, nodule_features, read_linear

Mask = npt.NDArray[np.bool_]

# Of the readers' rating: 3 is indeterminate and left out.
INDETERMINATE = 3
FIGURES = (
    "rating by outlines of the network",
    "area alone by outlines of the network",
    "rating by outlines of the readers",
    "area alone by outlines of the readers",
)


def malignancy_figures(run: Run, found: Segmentation) -> tuple[dict[str, Any], tuple[Section, ...]]:
    """ROC AUC of nodules rated above 3 against those below, with intervals by patient; nothing without such nodules.

    A nodule is the mean of its slices in the set. Of the network's outlines those count that touch the readers'; a
    nodule without any has no rating, and is counted beside the figures.
    """
    nodules = _rated_nodules(found.images, run.part.samples)
    if len({above for _, above, _ in nodules}) < 2:
        return {}, ()
    model = read_linear()
    table = np.array([_scores(model, slices) for _, _, slices in nodules])
    above = np.array([one for _, one, _ in nodules])

    def measure(picked: Indices) -> Mapping[str, float]:
        return {name: _area(above[picked], table[picked, column]) for column, name in enumerate(FIGURES)}

    measured = estimates(measure, [patient for patient, _, _ in nodules], run.samples)
    outlined = int(np.count_nonzero(~np.isnan(table[:, 0])))
    return _told(measured, len(nodules), outlined)


def whole_crop(window: Mask, name: str, shape: tuple[int, ...]) -> Mask:
    """A mask of the window of the case ``name`` at its place in a crop of ``shape``."""
    row, column = crops.corner(name, min(shape))
    mask = np.zeros(shape, dtype=bool)
    mask[row : row + window.shape[0], column : column + window.shape[1]] = window
    return mask


def touching(drawn: Mask, truth: Mask) -> Mask:
    """The connected pieces of ``drawn`` that share a pixel with ``truth``."""
    pieces, _ = ndimage.label(drawn)
    hit = np.unique(pieces[truth & drawn])
    return np.isin(pieces, hit) & drawn


def _rated_nodules(
    images: Sequence[Outlined], samples: Sequence[Sample]
) -> list[tuple[str, bool, list[tuple[Outlined, Sample]]]]:
    """Patient, whether rated above ``INDETERMINATE``, and slices of every nodule with another rating than that."""
    slices: defaultdict[str, list[tuple[Outlined, Sample]]] = defaultdict(list)
    for image, sample in zip(images, samples, strict=True):
        if image.case.facts.get("malignancy", INDETERMINATE) != INDETERMINATE:
            slices[str(image.case.facts["nodule"])].append((image, sample))
    return [
        (members[0][0].case.group, float(members[0][0].case.facts["malignancy"]) > INDETERMINATE, members)
        for members in slices.values()
    ]


def _scores(model: Linear, slices: Sequence[tuple[Outlined, Sample]]) -> tuple[float, float, float, float]:
    """In the order of ``FIGURES``; NaN where nothing was outlined."""
    by_network, by_readers = [], []
    for image, sample in slices:
        assert sample.mask is not None
        crop, truth = read_grey(image.case.image), sample.mask.numpy() > 0
        drawn = touching(image.drawn > 0, truth)
        by_network.append((crop, whole_crop(drawn, image.case.id, crop.shape)))
        by_readers.append((crop, whole_crop(truth, image.case.id, crop.shape)))
    return (*_rated(model, nodule_features(by_network)), *_rated(model, nodule_features(by_readers)))


def _rated(model: Linear, features: Features | None) -> tuple[float, float]:
    """The rating, and the mean logarithm of the area."""
    return (float("nan"), float("nan")) if features is None else (model.rating(features), float(features[0]))


def _area(above: Mask, scores: Features) -> float:
    known = ~np.isnan(scores)
    return roc_auc(above[known], scores[known])


def _told(measured: Mapping[str, Estimate], nodules: int, outlined: int) -> tuple[dict[str, Any], tuple[Section, ...]]:
    document = {
        "nodules": nodules,
        "outlined": outlined,
        "roc_auc": {name: one.as_json() for name, one in measured.items()},
    }
    note = (
        f"ROC AUC for a rating above {INDETERMINATE} against below, {nodules} nodules; the network outlined {outlined} "
        "of them, and only they are in the first two lines."
    )
    return {"malignancy": document}, (Section("Malignancy", note, [listed(measured)]),)
