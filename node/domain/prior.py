"""Earlier studies of the same patient that a model wants to see, and what became of the wish."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class PriorState(enum.StrEnum):
    """WANTED: they are being looked for, and the job waits. READY: the model is given them. MISSING: there are none."""

    WANTED = "WANTED"
    READY = "READY"
    MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class PriorsWanted:
    """How many earlier studies a model wants at most, how old (in days before the study; None: any age), and of what.

    ``modalities`` and ``body_parts`` are those of a series; empty means any. A series that does not state its body part
    passes.
    """

    at_most: int = 1
    max_age_days: int | None = None
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()

    def wants(self, modality: str, body_part: str) -> bool:
        of_part = not self.body_parts or not body_part or body_part.upper() in self.body_parts
        return of_part and (not self.modalities or modality in self.modalities)


@dataclass(frozen=True, slots=True)
class PriorSeries:
    """One series of an earlier study; ``study_date`` is YYYYMMDD."""

    study_instance_uid: str
    series_instance_uid: str
    study_date: str


@dataclass(frozen=True, slots=True)
class Priors:
    """What a job is given, the newest first. ``reason`` says in words what was missing; it holds no patient data.

    Once it is not WANTED any more it never changes: whatever runs the job again runs it on the same input.
    """

    state: PriorState
    series: tuple[PriorSeries, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WantedPriors:
    """A job that waits for its priors; the facts are those of its study, empty where it does not state them."""

    job_id: int
    model: str
    study_instance_uid: str
    patient_id: str
    patient_birth_date: str
    study_date: str
    series_description: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A series that may be a prior. ``source`` is empty where it is here already."""

    series: PriorSeries
    description: str
    instances: int
    source: str = ""
