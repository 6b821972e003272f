"""What one report says, for those who are sent messages instead of DICOM objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from node.domain.document import ResultKind
from node.domain.result import CodedConcept, Measurement, Outcome, Quality, Reason
from node.domain.study import SopRef


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """As ``Finding``; of the site its words alone are kept."""

    concept: CodedConcept
    present: bool = True
    probability: float | None = None
    measurements: tuple[Measurement, ...] = ()
    qualities: tuple[Quality, ...] = ()
    site: str | None = None


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What the database knows of a document. ``subject`` is the report that it is or, of a rejection, rejects.

    ``objects`` are the others of the same run; ``written_at`` is when the document's row was made.
    """

    kind: ResultKind
    job_id: int
    model: str
    model_version: str
    outcome: Outcome
    reason: Reason | None
    findings: tuple[ReportedFinding, ...]
    subject: SopRef
    objects: tuple[SopRef, ...]
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for (PS3.3 Table C.7-3 and 10-9): placer and filler order numbers, and the procedure's code."""

    accession_number: str
    placer_order_number: str
    procedure: CodedConcept | None
    description: str


@dataclass(frozen=True, slots=True)
class PatientWords:
    """Exactly as the source has them: ``name`` with ``^`` and ``=`` (PS3.5 section 6.2), dates as YYYYMMDD."""

    id: str
    issuer: str
    name: str
    birth_date: str
    sex: str


@dataclass(frozen=True, slots=True)
class Device:
    """The algorithm; its ``uid`` changes whenever the weights change."""

    name: str
    version: str
    manufacturer: str
    uid: str


@dataclass(frozen=True, slots=True)
class Report:
    """A document of ours with what it is about.

    Attributes:
        study_at, content_at: as DICOM writes date and time, YYYYMMDD[HHMMSS[.F]], with the offset from UTC where the
            object has one (+HHMM); empty where it is not known.
        outcome: as the document says it: a person may have corrected what the model said.
        summary: the outcome in one line, with its reason.
        verified: a person has signed it; nothing else ever is more than preliminary.
        predecessors: SOP Instance UIDs of the reports that this one replaces.
    """

    facts: ReportFacts
    document: SopRef
    study_instance_uid: str
    series_instance_uid: str
    patient: PatientWords
    order: Order
    modality: str
    study_at: str
    content_at: str
    device: Device
    outcome: Outcome
    summary: str
    verified: bool = False
    predecessors: tuple[str, ...] = ()

    @property
    def withdrawn(self) -> bool:
        return self.facts.kind is ResultKind.REJECTION

    @property
    def evaluated(self) -> bool:
        """Whether anything was looked at: what was not must never look like a negative."""
        return self.outcome in (Outcome.POSITIVE, Outcome.NEGATIVE)


UNVERIFIED = "AI result, not verified; not for diagnostic use"
