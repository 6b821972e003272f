"""What a model says, in the field's words; results/ turns it into DICOM."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from node.domain.rendition import Rendition
from node.domain.study import SopRef


class Outcome(enum.StrEnum):
    """POSITIVE: the model reports findings. NEGATIVE: it looked and found none. The others are no findings at all."""

    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"
    NOT_EVALUABLE = "NOT EVALUABLE"
    FAILED = "FAILED"
    PENDING = "PENDING"
    NOT_WANTED = "NOT WANTED"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True, slots=True)
class CodedConcept:
    """Code Value, Coding Scheme Designator, Code Meaning (PS3.3 section 8)."""

    value: str
    scheme: str
    meaning: str


class GraphicType(enum.StrEnum):
    """What the points of a location are (PS3.3 C.18.6.1.2 and C.18.9.1.2)."""

    POINT = "POINT"
    MULTIPOINT = "MULTIPOINT"
    POLYLINE = "POLYLINE"
    POLYGON = "POLYGON"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a finding lies, on the input grid; a POLYGON is the outline of a region, the others are no region.

    Attributes:
        points: (k, r, c) in a volume, (r, c) in a picture; a whole number is the centre of a voxel or pixel. POINT has
            one; MULTIPOINT and POLYLINE two at least; POLYGON three at least, in one plane, closed without repeating
            the first.
    """

    graphic_type: GraphicType
    points: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """What a finding is like, in codes: a name and a value, for example margin: spiculated."""

    concept: CodedConcept
    value: CodedConcept


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
    A model that is given a volume may say which ``slice`` k shows the finding; the engine makes an ``image`` of it.
    ``present`` is False for what the model looked for and did not find on that image: it says so with its
    ``probability``, and belongs into a NEGATIVE result as well. ``tracking_id`` is a name for a person to follow the
    finding by; without one it is called after its segment or concept.
    """

    concept: CodedConcept
    measurements: tuple[Measurement, ...] = ()
    probability: float | None = None
    segment: int | None = None
    site: CodedConcept | None = None
    image: SopRef | None = None
    present: bool = True
    location: Location | None = None
    qualities: tuple[Quality, ...] = ()
    tracking_id: str | None = None
    slice: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Description of one segment (PS3.3 C.8.20.4). ``number`` counts from 1 without gaps."""

    number: int
    label: str
    category: CodedConcept
    type: CodedConcept
    anatomic_region: CodedConcept | None = None
    colour_rgb: tuple[int, int, int] | None = None


class SegmentationType(enum.StrEnum):
    """How a SEG holds its segments (PS3.3 C.8.20.2)."""

    BINARY = "BINARY"
    FRACTIONAL = "FRACTIONAL"
    LABELMAP = "LABELMAP"


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Segments as one label map on the input grid: uint8 (k, r, c), 0 is background, n is segment number n.

    ``fractions``: float32 (segments, k, r, c), how probable each segment is in each voxel, 0..1; what a FRACTIONAL SEG
    holds, and none but it.
    """

    segments: tuple[Segment, ...]
    label_map: npt.NDArray[np.uint8]
    fractions: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class ParametricMap:
    """A quantity for each voxel of the input grid: float32 (k, r, c) in ``unit`` (UCUM); ``label`` as for a segment."""

    label: str
    quantity: CodedConcept
    unit: CodedConcept
    array: npt.NDArray[np.float32]


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
    ``key_slices`` are the slices k of a volume that a reader should see first (0 is the picture, where there is one);
    the engine makes ``key_images`` of them.
    """

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    segmentation: Segmentation | None = None
    reason: Reason | None = None
    heat_maps: tuple[HeatMap, ...] = ()
    parametric_maps: tuple[ParametricMap, ...] = ()
    key_slices: tuple[int, ...] = ()
    key_images: tuple[SopRef, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """A report as another one refers to it (PS3.3 Table C.17-3)."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class EarlierResult:
    """What a model said of the same series before: a run's reports, the main one first, and what that replaced.

    ``withdrawn``: an operator had rejected it before the job was made that asks. ``sets`` are the reports that came
    with a SEG in another type than the model declares, each for the destinations that want it instead of these.
    """

    reports: tuple[DocumentRef, ...]
    predecessors: tuple[DocumentRef, ...] = ()
    withdrawn: bool = False
    sets: Mapping[Rendition, EarlierResult] = field(default_factory=dict)

    def in_rendition(self, rendition: Rendition | None) -> EarlierResult:
        """What a destination got that wants this type: the set that was written in it, else the declared one."""
        return self if rendition is None else self.sets.get(rendition, self)


@dataclass(frozen=True, slots=True)
class ResultObject:
    """A written and durable DICOM object; ``predecessors`` are the reports that it names as those it replaces.

    ``rendition`` says which destinations it is for.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    modality: str
    storage_key: str
    sha256: str
    size: int
    predecessors: tuple[DocumentRef, ...] = ()
    rendition: Rendition | None = None


HEAT_MAPS = ".heat-maps.npz"


def heat_maps_key(report_key: str) -> str:
    """Where the heat maps of a run are kept: beside its main report, whose bytes they are kept and freed with."""
    return f"{report_key}{HEAT_MAPS}"


def report_key_of(key: str) -> str | None:
    """The report beside which these heat maps are kept; None where ``key`` is that of no heat maps."""
    return key.removesuffix(HEAT_MAPS) if key.endswith(HEAT_MAPS) else None
