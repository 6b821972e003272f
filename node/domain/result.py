"""What a model says, in the field's words; results/ turns it into DICOM."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from node.domain.study import SopRef


class Outcome(enum.StrEnum):
    """POSITIVE: the model reports findings. NEGATIVE: it looked and found none. The others are no findings at all."""

    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"
    NOT_EVALUABLE = "NOT EVALUABLE"
    FAILED = "FAILED"
    PENDING = "PENDING"
    NOT_WANTED = "NOT WANTED"


@dataclass(frozen=True, slots=True)
class CodedConcept:
    """Code Value, Coding Scheme Designator, Code Meaning (PS3.3 section 8)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number with its UCUM unit, for example volume 3.2 mL."""

    concept: CodedConcept
    value: float
    unit: CodedConcept


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; ``segment`` is the number of the segment that delineates it, ``probability`` in 0..1.

    ``image`` is the image (or frame) that it was found on, where the package is given pictures; the engine fills it in.
    ``present`` is False for what the model looked for and did not find on that image: it says so with its
    ``probability``, and belongs into a NEGATIVE result as well.
    """

    concept: CodedConcept
    measurements: tuple[Measurement, ...] = ()
    probability: float | None = None
    segment: int | None = None
    site: CodedConcept | None = None
    image: SopRef | None = None
    present: bool = True


@dataclass(frozen=True, slots=True)
class Segment:
    """Description of one segment (PS3.3 C.8.20.4). ``number`` counts from 1 without gaps."""

    number: int
    label: str
    category: CodedConcept
    type: CodedConcept
    anatomic_region: CodedConcept | None = None
    colour_rgb: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Segments as one label map on the input grid: uint8 (k, r, c), 0 is background, n is segment number n."""

    segments: tuple[Segment, ...]
    label_map: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class AlgorithmIdentification:
    """TID 4019, and what Contributing Equipment says of the algorithm."""

    name: str
    version: str
    family: CodedConcept
    manufacturer: str
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why there is no evaluation: a stable code and a sentence that a physician understands."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Where on ``image`` a network found what it says: float32 (rows, columns) in 0..1 on the image's own grid."""

    image: SopRef
    array: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """What one run of a model says about one input.

    ``reason`` says why there is no evaluation; of a series of pictures with findings, which images had none.
    """

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    segmentation: Segmentation | None = None
    reason: Reason | None = None
    heat_maps: tuple[HeatMap, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """A report as another one refers to it (PS3.3 Table C.17-3)."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """What a model said of the same series before: a job's reports, the main one first, and what that replaced."""

    reports: tuple[DocumentRef, ...]
    predecessors: tuple[DocumentRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultObject:
    """A written and durable DICOM object; ``predecessors`` are the reports that it names as those it replaces."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    modality: str
    storage_key: str
    sha256: str
    size: int
    predecessors: tuple[DocumentRef, ...] = ()


HEAT_MAPS = ".heat-maps.npz"


def heat_maps_key(report_key: str) -> str:
    """Where the heat maps of a run are kept: beside its main report, whose bytes they are kept and freed with."""
    return f"{report_key}{HEAT_MAPS}"


def report_key_of(key: str) -> str | None:
    """The report beside which these heat maps are kept; None where ``key`` is that of no heat maps."""
    return key.removesuffix(HEAT_MAPS) if key.endswith(HEAT_MAPS) else None
