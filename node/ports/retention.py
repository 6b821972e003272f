"""What may go: images of finished studies, later their rows, and the bytes that no row names any more."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from node.domain.retention import StudyFacts, Verdict


class Kept(enum.StrEnum):
    """Which store an object lies in."""

    INSTANCES = "instances"
    RESULTS = "results"


class RetentionRecord(Protocol):
    """Every step that removes asks ``judge`` again, inside its transaction, about the facts of that moment."""

    def due(self, received_before: datetime, now: datetime, limit: int) -> Sequence[StudyFacts]:
        """Studies to look at: never looked at and received before that, or whose time to be looked at has come."""
        ...

    def look_again(self, at: Mapping[str, datetime]) -> None:
        """When each study (by its UID) is looked at next."""
        ...

    def remove_images(self, study_instance_uid: str, judge: Callable[[StudyFacts], Verdict], limit: int) -> int:
        """Mark up to ``limit`` instances as removed and their bytes to be freed; 0: nothing left, or not judged so."""
        ...

    def remove_rows(self, study_instance_uid: str, judge: Callable[[StudyFacts], Verdict], limit: int) -> int:
        """Delete up to ``limit`` rows about the study, its result objects to be freed; 0 as above."""
        ...

    def remove_associations(self, ended_before: datetime, limit: int) -> int:
        """Delete associations that ended before that and that no series names."""
        ...


@dataclass(frozen=True, slots=True)
class Freed:
    """What one call freed; ``last`` is where the next one goes on, None when there is no more.

    ``failed`` counts what the store could not delete; it is tried again.
    """

    freed: int
    failed: int
    last: int | None


class Removals(Protocol):
    """The bytes that are to be freed: written down in the transaction that took their last row away."""

    def free(self, kept: Kept, delete: Callable[[str, datetime], None], limit: int, after: int = 0) -> Freed:
        """Delete up to ``limit`` objects. ``delete`` gets key and the time of removal.

        It is called inside a transaction in which no row names the object, so that nobody can name it meanwhile.
        """
        ...


class Relocation(Protocol):
    """Bytes that lie somewhere else now. What a job is working on stays: it looked up once where its images lie."""

    def in_use(self, keys: Sequence[str]) -> bool:
        """Whether a job is working on the study of one of these instances."""
        ...

    def move(self, key: str, new_key: str) -> bool:
        """The instance that ``key`` names is named by ``new_key``, and the old bytes are to be freed; one transaction.

        False, and nothing is changed: no instance needs the bytes under ``key``, or a job is working on its study.
        """
        ...
