"""Whether an input is good enough to be judged: what is looked at, what was found, what was wanted."""

from __future__ import annotations

from dataclasses import dataclass

from node.domain.interval import ANY, Interval


@dataclass(frozen=True, slots=True)
class Check:
    """One named look at an input. Without patient data: it is stored with every result.

    Attributes:
        name: what was looked at, stable: ``gantry tilt``.
        found, wanted: in words, with units.
        passed: None where nothing was asked for, or nothing could be judged.
        code: of the reason that this check gives where it is not passed (``node.errors``).
        value, limit: the same as numbers, where they are numbers.
        image: which image of a series of pictures, in words; empty where it is the whole series.
    """

    name: str
    found: str
    wanted: str
    passed: bool | None
    code: str = ""
    value: float | None = None
    limit: float | None = None
    image: str = ""

    def plain(self) -> dict[str, str | float | bool | None]:
        """The check as JSON has it."""
        told: dict[str, str | float | bool | None] = {
            "name": self.name,
            "found": self.found,
            "wanted": self.wanted,
            "passed": self.passed,
            "code": self.code,
            "value": self.value,
            "limit": self.limit,
        }
        return told | ({"image": self.image} if self.image else {})


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """What the pixels of an input must satisfy. Shares are fractions of the pixels or slices, 0..1.

    Attributes:
        saturated_at_most: share of pixels with the highest value that occurs.
        empty_slices_at_most: share of slices of one single value; between others there may be none.
        percentile_1, percentile_99: of the values after the modality LUT (CT: Hounsfield units).
        air_at_least, soft_tissue_at_least: share of the voxels of a CT below ``AIR_HU``, within ``SOFT_TISSUE_HU``.
        truncated_at_most: of a CT, the share of the field of view's edge that shows the body; None: measured only.
        whole_organ: ``lungs``: the first and the last slice lie outside them; empty: nothing is asked.
        side_px: rows and columns of a picture.
        colour: ``grey`` or ``colour`` pictures; empty: both.
        burned_in_annotation: ``refuse`` or ``accept`` what is declared to have text in its pixels; empty: pictures are
            refused, volumes are not.
    """

    saturated_at_most: float = 0.99
    empty_slices_at_most: float = 0.5
    percentile_1: Interval = ANY
    percentile_99: Interval = ANY
    air_at_least: float = 0.001
    soft_tissue_at_least: float = 0.01
    truncated_at_most: float | None = None
    whole_organ: str = ""
    side_px: Interval = ANY
    colour: str = ""
    burned_in_annotation: str = ""


DEFAULTS = QualityLimits()


@dataclass(frozen=True, slots=True)
class OutOfDistributionLimit:
    """How far from the training data an input may lie.

    Attributes:
        file: beside the weights: what the network makes of the training data, as mean and spread.
        sha256: of that file.
        threshold: the largest score that is judged.
    """

    file: str
    sha256: str
    threshold: float
