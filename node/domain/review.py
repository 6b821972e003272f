"""That a person is to look at what the node says of a study, as a workitem: when one is due, how urgent it is, what it

says. Pure. What is missing, because a model failed or could not judge, is said like a finding: it is never a negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from node.domain.job import Priority
from node.domain.result import Outcome
from node.domain.workitem import FINAL, PatientAndStudy, StepState

# The most important first, as the worklist has them.
ORDER = (Outcome.POSITIVE, Outcome.FAILED, Outcome.WITHDRAWN, Outcome.NOT_EVALUABLE, Outcome.NEGATIVE)
LONGEST_COMMENT = 10240  # VR LT
UNVERIFIED = "Results of algorithms, unverified. Where there is no result, nothing was excluded."


@dataclass(frozen=True, slots=True)
class Said:
    """What one model says of a study; ``reason`` is why it says nothing."""

    model: str
    version: str
    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A study as it is now. ``basis`` is a digest of what there is to be read: another one, another review.

    ``evaluated``: no image and no job of it is under way; ``ready``: it may be read. ``urgent``: it was analysed with
    high priority.
    """

    study_instance_uid: str
    accession_number: str
    basis: str
    evaluated: bool
    ready: bool
    said: tuple[Said, ...] = ()
    series: tuple[str, ...] = ()
    jobs: tuple[int, ...] = ()
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Review:
    """A workitem for a person. ``superseded``: the study has changed since, and the node has taken it back.

    ``series`` are the images', ``jobs`` those whose results are to be read; ``replaces`` is the review before.
    """

    row: int
    uid: str
    study_instance_uid: str
    accession_number: str
    basis: str
    state: StepState
    priority: Priority
    summary: str
    comment: str
    series: tuple[str, ...]
    jobs: tuple[int, ...]
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    replaces: str | None = None
    superseded: bool = False
    about: PatientAndStudy = field(default_factory=PatientAndStudy)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    performer: str | None = None
    transaction: str | None = None

    @property
    def is_performed_outside(self) -> bool:
        """Nobody else performs reviews."""
        return self.state is StepState.IN_PROGRESS

    @property
    def is_replaced(self) -> bool:
        """Whoever has read an earlier state of the study has read it."""
        return False


@dataclass(frozen=True, slots=True)
class StudyChanged:
    """Something of a study has changed; ``number`` grows with every change of any."""

    study_instance_uid: str
    number: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the last review of a study (``withdraw``: nobody is to begin with it), and whether another is

    made.
    """

    withdraw: bool = False
    make: bool = False


def decide(standing: Standing | None, latest: Review | None) -> Decision:
    """``standing`` is None where the study is gone."""
    wanted = standing is not None and standing.ready and bool(standing.said)
    if latest is None or latest.superseded:
        return Decision(make=wanted)
    if standing is not None and standing.evaluated and standing.basis == latest.basis:
        return Decision()
    return Decision(withdraw=latest.state not in FINAL, make=wanted)


def priority_of(standing: Standing) -> Priority:
    """A finding is urgent; what nobody could judge must not wait behind everything else."""
    found = {one.outcome for one in standing.said}
    if Outcome.POSITIVE in found:
        return Priority.HIGH
    return Priority.LOW if found <= {Outcome.NEGATIVE} and not standing.urgent else Priority.MEDIUM


def summary_of(said: Sequence[Said]) -> str:
    """Every outcome that there is, the most important first: none hides another."""
    found = {one.outcome for one in said}
    return ", ".join(outcome.value for outcome in ORDER if outcome in found)


def comment_of(said: Sequence[Said]) -> str:
    """A line for each model, and what that means."""
    lines = [
        f"{one.model} {one.version}: {one.outcome.value}" + (f" - {one.reason}" if one.reason else "") for one in said
    ]
    told = "\n".join(lines)
    return f"{told[: LONGEST_COMMENT - len(UNVERIFIED) - 1]}\n{UNVERIFIED}"
