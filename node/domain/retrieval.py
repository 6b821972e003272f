"""Studies that the node fetches from an archive: what is asked for, what it has, what became of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


class Purpose(enum.StrEnum):
    """DEMAND: it is routed like any study that came. PRIOR: it is there for another study, and makes no job."""

    DEMAND = "DEMAND"
    PRIOR = "PRIOR"


class RetrievalState(enum.StrEnum):
    REQUESTED = "REQUESTED"
    FETCHED = "FETCHED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class StudySearch:
    """What a study must be like; empty means any. Dates are YYYYMMDD, both included."""

    study_instance_uid: str = ""
    accession_number: str = ""
    patient_id: str = ""
    first_date: str = ""
    last_date: str = ""
    modality: str = ""


@dataclass(frozen=True, slots=True)
class RemoteStudy:
    """A study as an archive describes it; ``instances`` is None where it does not count them."""

    study_instance_uid: str
    patient_id: str = ""
    patient_name: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    accession_number: str = ""
    study_date: str = ""
    modalities: tuple[str, ...] = ()
    instances: int | None = None


@dataclass(frozen=True, slots=True)
class RemoteSeries:
    series_instance_uid: str
    modality: str = ""
    body_part: str = ""
    description: str = ""
    instances: int | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """How many sub-operations of a C-GET or C-MOVE ended well, and how many did not (PS3.4 C.4.2.1)."""

    completed: int
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The row of a study that was asked for. ``source`` is the archive's name, ``ae_title`` its AE title."""

    study_instance_uid: str
    source: str
    ae_title: str
    purpose: Purpose
    state: RetrievalState
    requested_at: datetime
    updated_at: datetime
    instances: int | None = None
    error_code: str | None = None
