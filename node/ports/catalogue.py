"""The record of what was received."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from node.domain.admission import Admission
from node.domain.job import NewJob
from node.domain.study import Closure, OpenSeries, Series, StoredInstance, Value


class Recorded(enum.StrEnum):
    NEW = "NEW"
    DUPLICATE = "DUPLICATE"  # same UID, same bytes: nothing was written
    CONFLICT = "CONFLICT"  # same UID, other bytes: kept beside the first, with an alert


class Catalogue(Protocol):
    """The record of associations, studies, series and instances (ADR 0002: why this is a port)."""

    def open_association(
        self, association_id: str, calling_ae: str, called_ae: str, peer_host: str, receiver: str
    ) -> None: ...

    def end_association(self, association_id: str, how: str) -> None:
        """``how``: ``released``, ``aborted`` or ``lost``."""
        ...

    def end_associations_of(self, receiver: str) -> int:
        """End (as ``lost``) what a receiver process of that name left open when it died."""
        ...

    def record(self, stored: StoredInstance) -> Recorded:
        """Write the instance's row, its series and study where they are new, and, for CONFLICT, an alert.

        A NEW instance of a CLOSED series reopens it: state RECEIVING, revision + 1. ``stored.variant`` is ignored on
        input: the next free number is taken. Safe against two associations that record the same UID at once.
        """
        ...

    def open_series(self) -> Sequence[OpenSeries]:
        """Series in state RECEIVING."""
        ...

    def recorded_until(self) -> datetime | None:
        """Everything received up to then has its row; None: nothing is known to wait for one.

        Behind a journal rows may be late: whoever judges that a sender is quiet does it as of then.
        """
        ...

    def series(self, series_id: int) -> Series:
        """
        Raises:
            NotFound: there is no such series.
        """
        ...

    def close_series(
        self, series_id: int, revision: int, closure: Closure, admissions: Sequence[Admission], jobs: Sequence[NewJob]
    ) -> bool:
        """One transaction: RECEIVING -> CLOSED, the admissions, the jobs. False if the series moved on meanwhile."""
        ...

    def instances(self, study_instance_uid: str, series_instance_uids: Sequence[str]) -> Sequence[StoredInstance]:
        """Variant 0 of every instance of these series.

        Raises:
            ObjectMissing: retention has removed images of them.
        """
        ...

    def raise_alert(self, kind: str, subject: str, detail: Mapping[str, Value]) -> None: ...
