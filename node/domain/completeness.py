"""What is known of senders and asked of sources, for judging whether a series is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends what: habits are learned for each calling AE title and modality."""

    calling_ae: str
    modality: str


@dataclass(frozen=True, slots=True)
class Habit:
    """What closed series have taught about a sender.

    Attributes:
        silences_s: for each of the last series, the longest silence between two of its associations; newest last.
        distrusted: kinds of evidence that closed a series too early, with how many further series they are not
            believed for.
    """

    silences_s: tuple[float, ...] = ()
    distrusted: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstanceCount:
    """How many instances a source has of a series and of its study; None where it does not say."""

    of_series: int | None = None
    of_study: int | None = None


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What a source answered when it was asked; ``error`` is the code of what went wrong, else empty."""

    source: str
    asked_at: datetime
    count: InstanceCount = InstanceCount()
    error: str = ""
