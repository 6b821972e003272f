"""What a model package declares about itself (``model.toml``)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from node.domain.declared import DeclaredNetwork
from node.domain.interval import ANY, Interval
from node.domain.prior import PriorsWanted
from node.domain.quality import DEFAULTS, OutOfDistributionLimit, QualityLimits
from node.domain.result import AlgorithmIdentification, Segment, SegmentationType


class InputKind(enum.StrEnum):
    """What a package is given: the whole series as one ``Volume``, or each image of it as a ``Picture``."""

    VOLUME = "volume"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class InputSelection:
    """Which series a model wants. A series that fails one of these is NOT WANTED. Empty means any.

    ``sop_classes`` are UIDs; ``body_parts`` are Body Part Examined values in capitals (a series without one passes
    when ``body_part_may_be_absent``); the description patterns are regular expressions, searched without regard to
    case in "SeriesDescription ProtocolName"; ``field_of_view_mm`` holds for each of the three extents of the series.
    ``contrast_agent`` wants images after one: stated as an attribute, or named in the description; ``echo_time_ms``
    holds for every echo time that is stated.
    """

    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    body_part_may_be_absent: bool = True
    description_include: tuple[str, ...] = ()
    description_exclude: tuple[str, ...] = ()
    field_of_view_mm: Interval = ANY
    contrast_agent: bool = False
    echo_time_ms: Interval = ANY


@dataclass(frozen=True, slots=True)
class InputLimits:
    """What a wanted series must satisfy. One that does not is NOT EVALUABLE, with the limit as its reason.

    ``orientations`` are words of ``axial``, ``sagittal``, ``coronal``, ``oblique``; ``patient_age_years`` counts
    completed years. ``frames_at_most`` holds for each image of a package that is given pictures: one with more frames
    is not evaluable, the others of its series are. ``quality`` is what the pixels must satisfy.
    """

    orientations: tuple[str, ...] = ()
    slices: Interval = ANY
    slice_spacing_mm: Interval = ANY
    pixel_spacing_mm: Interval = ANY
    patient_age_years: Interval = ANY
    frames_at_most: int = 1
    quality: QualityLimits = DEFAULTS


@dataclass(frozen=True, slots=True)
class Runtime:
    """How the engine drives the model.

    ``window`` is the (k, r, c) size of a sliding window over the preprocessed input, None for the whole input at once;
    ``blend`` says how much its edges count where windows overlap: ``gaussian`` or ``constant``.
    """

    timeout_s: float | None = None
    precision: str = "fp32"
    window: tuple[int, int, int] | None = None
    overlap: float = 0.5
    batch: int = 1
    blend: str = "gaussian"


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model package as declared: identity, wanted input, coded outputs, runtime, weights.

    ``segmentation_type`` is the type in which its segmentations are written; ``declared`` is the network of a package
    without code; ``out_of_distribution`` is None where the package says nothing of how far from its training data an
    input may lie; ``priors`` is None where it wants no earlier studies.
    """

    id: str
    version: str
    title: str
    intended_use: str
    folder: str
    algorithm: AlgorithmIdentification
    selection: InputSelection
    limits: InputLimits
    runtime: Runtime
    weights_file: str
    segments: tuple[Segment, ...] = ()
    demonstration: bool = False
    kind: InputKind = InputKind.VOLUME
    declared: DeclaredNetwork | None = None
    segmentation_type: SegmentationType = SegmentationType.BINARY
    out_of_distribution: OutOfDistributionLimit | None = None
    priors: PriorsWanted | None = None
