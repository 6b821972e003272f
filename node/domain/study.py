"""What was received: instances, series, and the volume or the pictures a series becomes."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

# A header value as the catalogue keeps it (JSON): DS and IS as numbers, multi-valued attributes as tuples/lists.
Value = str | int | float | None | list["Value"]


@dataclass(frozen=True, slots=True)
class SopRef:
    """A reference to a SOP Instance, or to one frame of it (``frame`` counts from 1, as in DICOM)."""

    sop_class_uid: str
    sop_instance_uid: str
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """The header facts of one received SOP Instance. ``attributes`` maps DICOM keywords to values."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    attributes: Mapping[str, Value] = field(default_factory=dict)

    def text(self, keyword: str) -> str:
        """The attribute as text, empty where it is absent."""
        value = self.attributes.get(keyword)
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance with where its bytes lie. ``sha256`` is over the encoded data set without file meta information.

    ``variant`` is 0 for the first bytes received under this SOP Instance UID; other bytes under the same UID are kept
    beside it as 1, 2, ... and never used for inference.
    """

    instance: Instance
    storage_key: str
    size: int
    sha256: str
    calling_ae: str
    received_at: datetime
    association_id: str | None = None
    variant: int = 0


@dataclass(frozen=True, slots=True)
class AssociationFacts:
    """The association an instance came by. ``receiver`` names the receiver process that served it."""

    id: str
    calling_ae: str
    called_ae: str
    peer_host: str
    receiver: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Arrival:
    """Which instance came, when, and by which association; ``data_set_offset`` is where its data set begins in the

    Part 10 file (behind preamble and file meta information).
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    association: AssociationFacts
    received_at: datetime
    data_set_offset: int


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Where an object (a DICOM Part 10 file) can be read: ``length`` bytes at ``offset`` of the file ``path``."""

    path: str
    offset: int
    length: int


class SeriesState(enum.StrEnum):
    RECEIVING = "RECEIVING"
    CLOSED = "CLOSED"


class CloseReason(enum.StrEnum):
    """Which evidence closed a series."""

    SOURCE_COUNT = "as many instances as a source counts"
    STATED_COUNT = "as many images as their headers state"
    GAPLESS = "association released and no number or position is missing"
    WHOLE_OBJECT = "association released and one enhanced object holds the series"
    ASSOCIATION_RELEASED = "association released and quiet period over"
    QUIET = "quiet period over although an association is still open"
    OPERATOR = "an operator's word"


@dataclass(frozen=True, slots=True)
class OpenSeries:
    """A series in state RECEIVING, with the evidence for its completeness.

    ``associations`` counts those that contributed, whether they ended or not; ``last_release_at`` is the last end of
    one by A-RELEASE (PS3.8 section 7.2), earlier than ``last_association_ended_at`` where the last one broke off.
    """

    series_id: int
    study_instance_uid: str
    series_instance_uid: str
    revision: int
    instances: int
    last_instance_at: datetime
    open_associations: int
    last_association_ended_at: datetime | None
    calling_ae: str
    modality: str
    associations: int = 1
    last_release_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Closure:
    reason: CloseReason
    evidence: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Series:
    """A closed series: its instances (variant 0), in the order of their Instance Number."""

    series_id: int
    study_instance_uid: str
    series_instance_uid: str
    revision: int
    accession_number: str
    calling_ae: str
    instances: tuple[StoredInstance, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid of voxels in the patient.

    Attributes:
        shape: (slices k, rows r, columns c).
        affine: 4 x 4 float64; maps (k, r, c, 1) to patient coordinates in mm, DICOM's LPS (PS3.3 C.7.6.2.1.1);
            an index points at the centre of a voxel.
        frame_of_reference_uid: empty where the source has none.
        sources: the image (or frame) that each slice k came from.
    """

    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]
    frame_of_reference_uid: str
    sources: tuple[SopRef, ...]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance in mm between voxel centres along (k, r, c)."""
        k, r, c = (float(np.linalg.norm(self.affine[:3, axis])) for axis in range(3))
        return k, r, c

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0


@dataclass(frozen=True, slots=True)
class Volume:
    """The pixels of a series on a regular grid.

    Attributes:
        array: float32 of shape (k, r, c), after the modality LUT (HU for CT), MONOCHROME1 inverted to MONOCHROME2.
        grid: its geometry.
        modality: DICOM Modality (0008,0060).
        priors: of a model that wants them, the newest first; each lies on its own grid, in its own frame of reference.
    """

    array: npt.NDArray[np.float32]
    grid: Grid
    modality: str = ""
    priors: tuple[Prior, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.grid.shape

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        return self.grid.affine

    @property
    def spacing(self) -> tuple[float, float, float]:
        return self.grid.spacing


@dataclass(frozen=True, slots=True)
class Picture:
    """One image, or one frame of it, without a place in a volume: a projection, an ultrasound image, a photograph.

    Attributes:
        array: float32. Grey: (rows, columns), after the modality LUT, MONOCHROME1 inverted to MONOCHROME2 within the
            range of its values. Colour: (rows, columns, 3), RGB in 0..255, whatever colour space it was stored in.
        ref: the image, and its frame where it has several.
        modality: DICOM Modality (0008,0060).
        pixel_spacing_mm: (between rows, between columns); of a projection, at the detector. None where nothing is
            known.
        priors: of a model that wants them, the newest first.
    """

    array: npt.NDArray[np.float32]
    ref: SopRef
    modality: str = ""
    pixel_spacing_mm: tuple[float, float] | None = None
    priors: tuple[Prior, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return int(self.array.shape[0]), int(self.array.shape[1])

    @property
    def is_colour(self) -> bool:
        return self.array.ndim == 3


@dataclass(frozen=True, slots=True)
class Prior:
    """A series of an earlier study of the patient, as the model is given its own: a volume, or pictures.

    Attributes:
        study_instance_uid, series_instance_uid: where it is from.
        study_date: YYYYMMDD.
        volume: for a package of volumes.
        pictures: for a package of images, in the order of their Instance Number.
    """

    study_instance_uid: str
    series_instance_uid: str
    study_date: str
    volume: Volume | None = None
    pictures: tuple[Picture, ...] = ()
