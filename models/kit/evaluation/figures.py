"""Curves of the report, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from models.kit.evaluation.binary import Scores, Truth, rates
from models.kit.evaluation.calibration import reliability
from models.kit.evaluation.detection import Found, curve

SIDE_INCHES = 4.2
DPI = 100


def roc(truth: Truth, order: Scores, called: Truth) -> bytes:
    """The ROC curve of scores or log-odds, and what was called positive as a point; both classes must be there."""
    alarms, hits, _ = roc_curve(truth, order)
    found = rates(truth, called)
    figure, axes = _axes("1 - specificity", "sensitivity", "ROC")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    axes.plot(alarms, hits)
    axes.plot(1 - found["specificity"], found["sensitivity"], "o", color="C3", label="operating point")
    axes.legend(loc="lower right")
    return png(figure)


def precision_recall(truth: Truth, order: Scores, called: Truth) -> bytes:
    """The precision-recall curve likewise; the grey line is what chance reaches."""
    precision, recall, _ = precision_recall_curve(truth, order)
    found = rates(truth, called)
    figure, axes = _axes("sensitivity (recall)", "precision", "precision-recall")
    axes.axhline(float(truth.mean()), color="0.7", linewidth=1)
    axes.plot(recall, precision)
    axes.plot(found["sensitivity"], found["precision"], "o", color="C3", label="operating point")
    axes.legend(loc="lower left")
    return png(figure)


def calibration(truth: Truth, scores: Scores, uncalibrated: Scores) -> bytes:
    """The reliability curve before and after temperature scaling; the area of a point is its number of cases."""
    figure, axes = _axes("mean probability", "fraction that is positive", "reliability")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, values, colour in (("as trained", uncalibrated, "0.5"), ("temperature-scaled", scores, "C0")):
        bins = reliability(truth, values)
        at = [one.mean_probability for one in bins], [one.positive_fraction for one in bins]
        axes.plot(*at, color=colour, label=name)
        axes.scatter(*at, s=[10 + 200 * one.cases / len(truth) for one in bins], color=colour)
    axes.legend(loc="upper left")
    return png(figure)


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> bytes:
    """Cases by true class (row) and most probable class (column)."""
    values = np.array(matrix, dtype=float)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="most probable class", ylabel="true class", title="confusion")
    axes.set_xticks(range(len(classes)), classes, rotation=20)
    axes.set_yticks(range(len(classes)), classes)
    for (row, column), count in np.ndenumerate(values):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=colour)
    return png(figure)


def froc(images: Sequence[Found]) -> bytes:
    """Sensitivity for lesions over false positives an image."""
    alarms, found = curve(images)
    figure, axes = _axes("false positives an image", "sensitivity (lesions)", "FROC")
    axes.step(alarms, found, where="post")
    axes.set(xscale="symlog", xlim=(0, None))
    return png(figure)


def histogram(values: npt.NDArray[np.float64], name: str) -> bytes:
    """How often each value occurs in 0..1."""
    figure, axes = _axes(name, "images", name)
    axes.hist(values, bins=np.linspace(0, 1, 21))
    axes.set(ylim=(0, None))
    return png(figure)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DPI, format="png")
    return buffer.getvalue()


def _axes(x: str, y: str, title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, title=title, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    return figure, axes
