"""Who knows how many instances a series has, and what earlier closings taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from node.domain.completeness import Habit, InstanceCount, Sender


class InstanceCounts(Protocol):
    """A source that counts instances: an archive, or the modality itself. Asked by one thread at a time."""

    @property
    def name(self) -> str: ...

    def count(self, study_instance_uid: str, series_instance_uid: str) -> InstanceCount:
        """What the source has of this series; a series it does not know has no count.

        Raises:
            DeliveryError: the source did not answer, or refused.
        """
        ...


@dataclass(frozen=True, slots=True)
class EarlierClosing:
    """``reason`` is a ``CloseReason``'s value."""

    reason: str
    closed_at: datetime


class Closings(Protocol):
    """What became of series that were closed before. One contract suite runs over every implementation."""

    def habits(self) -> Mapping[Sender, Habit]: ...

    def learn(self, sender: Sender, change: Callable[[Habit], Habit]) -> Habit:
        """Replace the sender's habit (at first an empty one) by what ``change`` makes of it, and return that.

        ``change`` may be called more than once.
        """
        ...

    def earlier(self, series_id: int, revision: int) -> EarlierClosing | None:
        """How this revision of the series was closed; None where it was not."""
        ...

    def instances_of_study(self, study_instance_uid: str) -> int:
        """How many instances of all its series have arrived."""
        ...
