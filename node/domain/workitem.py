"""A job as others see it: a Unified Procedure Step, its states and what may be done in each (PS3.4 Annex CC)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol

from node.domain.job import Job, JobState, NewJob, Priority
from node.domain.study import SopRef
from node.errors import (
    ClaimLost,
    NotSchedulable,
    WorkitemFinal,
    WorkitemNotInProgress,
    WrongTransaction,
)

PUSH = "1.2.840.10008.5.1.4.34.6.1"
WATCH = "1.2.840.10008.5.1.4.34.6.2"
PULL = "1.2.840.10008.5.1.4.34.6.3"
EVENT = "1.2.840.10008.5.1.4.34.6.4"
QUERY = "1.2.840.10008.5.1.4.34.6.5"
# Stand for every workitem in a subscription (PS3.4 section CC.2.3), the second for those that match.
GLOBAL = "1.2.840.10008.5.1.4.34.5"
FILTERED = "1.2.840.10008.5.1.4.34.5.1"

# The owner of a job that was claimed from outside begins so; workers of the node are named after their host.
OUTSIDE = "ups/"


class StepState(enum.StrEnum):
    """Procedure Step State (0074,1000)."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


FINAL = frozenset({StepState.COMPLETED, StepState.CANCELED})


class EventType(enum.IntEnum):
    """Event Type ID of an N-EVENT-REPORT (PS3.4 Table CC.2.4-1)."""

    STATE = 1
    CANCEL_REQUESTED = 2
    PROGRESS = 3
    SCP_STATUS = 4


class Warned(enum.IntEnum):
    """Done, or as good as done, with a remark: a DIMSE status of PS3.4 sections CC.2.1 to CC.2.6."""

    SUCCESS = 0x0000
    NOT_SUPPORTED = 0x0001  # of optional attributes
    MODIFIED = 0xB300
    NO_DELETION_LOCK = 0xB301
    ALREADY_CANCELED = 0xB304
    ALREADY_COMPLETED = 0xB306


def step_state(state: JobState, tries: int) -> StepState:
    """``tries`` are the attempts of this workitem. What is tried again later stays IN PROGRESS: it never goes back.

    A failed job is CANCELED: the standard knows no other end without a result.
    """
    match state:
        case JobState.SCHEDULED:
            return StepState.IN_PROGRESS if tries else StepState.SCHEDULED
        case JobState.IN_PROGRESS:
            return StepState.IN_PROGRESS
        case JobState.COMPLETED:
            return StepState.COMPLETED
        case _:
            return StepState.CANCELED


def digest_of(transaction_uid: str) -> str:
    return sha256(transaction_uid.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PatientAndStudy:
    """As the node has them; values are the texts of the headers."""

    patient_id: str = ""
    patient_name: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_description: str = ""


class Step(Protocol):
    """What every workitem has, whatever it is about: a job (``Workitem``), or a study to be read (``Review``).

    ``row`` orders those of one kind, ``is_replaced``: it cannot be COMPLETED any more.
    """

    @property
    def uid(self) -> str: ...

    @property
    def row(self) -> int: ...

    @property
    def study_instance_uid(self) -> str: ...

    @property
    def accession_number(self) -> str: ...

    @property
    def state(self) -> StepState: ...

    @property
    def priority(self) -> Priority: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def updated_at(self) -> datetime: ...

    @property
    def finished_at(self) -> datetime | None: ...

    @property
    def about(self) -> PatientAndStudy: ...

    @property
    def attributes(self) -> Mapping[str, Any]: ...

    @property
    def performer(self) -> str | None: ...

    @property
    def transaction(self) -> str | None: ...

    @property
    def is_performed_outside(self) -> bool: ...

    @property
    def is_replaced(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Workitem:
    """A job with what was said of it as a workitem. ``attributes`` are in the DICOM JSON model (PS3.18 Annex F).

    ``transaction`` is the digest of the Transaction UID that holds it (or held it to its end), ``performer`` whose;
    both are None where nobody from outside did.
    """

    uid: str
    job: Job
    tries: int
    updated_at: datetime
    about: PatientAndStudy = field(default_factory=PatientAndStudy)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    performer: str | None = None
    transaction: str | None = None

    @property
    def state(self) -> StepState:
        return step_state(self.job.state, self.tries)

    @property
    def is_performed_outside(self) -> bool:
        return self.job.state is JobState.IN_PROGRESS and (self.job.owner or "").startswith(OUTSIDE)

    @property
    def is_replaced(self) -> bool:
        return self.job.superseded_at is not None

    @property
    def row(self) -> int:
        return self.job.id

    @property
    def study_instance_uid(self) -> str:
        return self.job.study_instance_uid

    @property
    def accession_number(self) -> str:
        return self.job.accession_number

    @property
    def priority(self) -> Priority:
        return self.job.priority

    @property
    def created_at(self) -> datetime:
        return self.job.created_at

    @property
    def finished_at(self) -> datetime | None:
        return self.job.finished_at


@dataclass(frozen=True, slots=True)
class Referenced:
    """Instances of one series; ``destinations`` are the names of those that have them from us."""

    study_instance_uid: str
    series_instance_uid: str
    instances: tuple[SopRef, ...]
    destinations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkitemQuery:
    """What workitems are looked for by in the tables; empty is any. Further keys are compared afterwards."""

    uids: tuple[str, ...] = ()
    states: tuple[StepState, ...] = ()
    studies: tuple[str, ...] = ()
    patient_ids: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    priorities: tuple[Priority, ...] = ()


@dataclass(frozen=True, slots=True)
class Commission:
    """What is to be run: this model (in this version, if it is said) on a series, or on the only one that fits."""

    uid: str
    model: str
    model_version: str
    study_instance_uid: str
    series_instance_uid: str
    priority: Priority
    patient_id: str


@dataclass(frozen=True, slots=True)
class NewWorkitem:
    job: NewJob
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    performer: str
    digest: str


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a workitem. ``becomes`` ends a claim; ``cancel`` asks whoever performs it to stop.

    ``report`` is told to subscribers: an event type and its information (DICOM JSON model).
    """

    claim: Claim | None = None
    becomes: StepState | None = None
    cancel: bool = False
    attributes: Mapping[str, Any] | None = None
    priority: Priority | None = None
    report: tuple[EventType, Mapping[str, Any]] | None = None
    warned: Warned = Warned.SUCCESS


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that subscribers are to be told; ``was`` is None where the workitem is new, or changed no state."""

    id: int
    workitem_uid: str
    was: StepState | None
    became: StepState | None
    event_type: EventType | None
    information: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """``workitem_uid`` is ``GLOBAL`` for all; ``wanted`` is False for an exception from that."""

    receiving_ae: str
    workitem_uid: str
    wanted: bool = True
    matching: Mapping[str, Any] | None = None
    suspended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What one subscriber is told; ``id`` is None before it is written down."""

    receiving_ae: str
    workitem_uid: str
    event_type: EventType
    information: Mapping[str, Any]
    created_at: datetime
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Behind:
    """How many reports a subscriber has not taken, and since when; None where there are none."""

    reports: int
    since: datetime | None


def cancel_information(ae_title: str, reason: str) -> dict[str, Any]:
    """What a UPS Cancel Requested report says where the node itself asks (PS3.4 Table CC.2.4-1), as DICOM JSON."""
    return {
        "00741236": {"vr": "AE", "Value": [ae_title[:16]]},
        "00741238": {"vr": "LT", "Value": [reason]},
    }


def require_claimable(workitem: Step) -> None:
    """
    Raises:
        ClaimLost: somebody performs it.
        WorkitemFinal: it is over.
    """
    if workitem.state is StepState.IN_PROGRESS:
        raise ClaimLost("the workitem is IN PROGRESS already")
    if workitem.state in FINAL:
        raise WorkitemFinal(f"the workitem is {workitem.state}")


def require_held(workitem: Step, digest: str | None) -> None:
    """Whoever asks is the performer, by the Transaction UID.

    Raises:
        WrongTransaction, WorkitemNotInProgress
    """
    if digest is None or (workitem.state is not StepState.SCHEDULED and digest != workitem.transaction):
        raise WrongTransaction("the correct Transaction UID was not given")
    if workitem.state is StepState.SCHEDULED:
        raise WorkitemNotInProgress("the workitem is still SCHEDULED")


def end_wanted(workitem: Step, wanted: StepState, digest: str | None) -> Warned | None:
    """None: the performer may end the workitem so; a warning: that is how it ended.

    Raises:
        NotSchedulable, WrongTransaction, WorkitemNotInProgress, WorkitemFinal
    """
    if wanted not in FINAL:
        raise NotSchedulable("only creating a workitem makes it SCHEDULED")
    require_held(workitem, digest)
    if workitem.state in FINAL:
        if workitem.state is not wanted:
            raise WorkitemFinal(f"the workitem is {workitem.state}")
        return Warned.ALREADY_COMPLETED if wanted is StepState.COMPLETED else Warned.ALREADY_CANCELED
    if wanted is StepState.COMPLETED and workitem.is_replaced:
        raise WorkitemFinal("a newer workitem stands for this one: it can only be CANCELED")
    return None


def require_settable(workitem: Step, digest: str | None) -> None:
    """Attributes may be changed: by anybody while it is SCHEDULED, then by the performer.

    Raises:
        WorkitemFinal, WorkitemNotInProgress, WrongTransaction
    """
    if workitem.state in FINAL:
        raise WorkitemFinal(f"the workitem is {workitem.state}")
    if workitem.state is StepState.IN_PROGRESS or digest is not None:
        require_held(workitem, digest)
