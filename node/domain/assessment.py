"""What a person says of a result: accepted, rejected or corrected; and how often models were confirmed. Pure."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from node.domain.document import RejectionTitle
from node.domain.job import Job
from node.domain.result import Outcome, ResultObject
from node.errors import InvalidAssessment

# So long an assessment can be undone; nothing of it is sent before.
UNDO = timedelta(seconds=10)
# Of a text that goes into a document: what fits into a reader's view.
REASON_LENGTH = 256
# Of a name in a document (PN: one component group).
NAME_LENGTH = 64
# What a model can be held to. A person may say that it should have been evaluated as one of these.
JUDGED = (Outcome.POSITIVE, Outcome.NEGATIVE)
# Rejected for what is not the model's: it was given the images of another patient or order.
NOT_THE_MODELS = frozenset({RejectionTitle.PATIENT, RejectionTitle.WORKLIST})
# Of the standard normal distribution, for intervals of 95 %.
Z = 1.959964


class Decision(enum.StrEnum):
    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    CORRECT = "CORRECT"


class AssessmentState(enum.StrEnum):
    """PENDING: it can be undone, or waits to be written. WRITTEN: its document is on the way. UNDONE: it never was."""

    PENDING = "PENDING"
    WRITTEN = "WRITTEN"
    UNDONE = "UNDONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class CorrectedValue:
    """Another number for a measurement of a finding, both counted from 0, in the unit of the measurement."""

    finding: int
    measurement: int
    value: float


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says of the result of a job; ``by`` is the name of his account.

    ``outcome``: of a correction, what it should have been; ``title``: of a rejection, why, as a code.
    """

    decision: Decision
    by: str
    at: datetime
    reason: str = ""
    title: RejectionTitle | None = None
    outcome: Outcome | None = None
    values: tuple[CorrectedValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """A word that is kept. ``outcome_found`` is the model's; ``scanner`` is what made the images.

    ``job`` and ``study_instance_uid`` are None once retention has taken the study away.
    """

    id: int
    job: int | None
    study_instance_uid: str | None
    model: str
    model_version: str
    scanner: str
    outcome_found: Outcome
    word: Word
    state: AssessmentState
    error: str | None = None

    def undoable(self, now: datetime) -> bool:
        return self.state is AssessmentState.PENDING and now < self.word.at + UNDO


@dataclass(frozen=True, slots=True)
class DueAssessment:
    """An assessment whose document its writer holds until ``lease_until``.

    ``objects`` and ``findings``: what the job said, objects in the order in which they were written; ``before``: the
    assessment whose reports these follow, where there is one.
    """

    assessment: Assessment
    job: Job
    objects: tuple[ResultObject, ...]
    findings: tuple[Mapping[str, Any], ...]
    attempt: int
    lease_until: datetime
    before: Assessment | None = None


def checked(word: Word, found: Outcome, findings: Sequence[Mapping[str, Any]]) -> Word:
    """``word`` on a result with this outcome and these findings, its texts in single spaces.

    Raises:
        InvalidAssessment: ``details['field']`` names what is wrong.
    """
    by = _text(word.by, "user", NAME_LENGTH)
    reason = _text(word.reason, "reason", REASON_LENGTH) if word.reason.strip() else ""
    if not by:
        raise _invalid("user", "nobody is named")
    if word.decision is Decision.REJECT and not reason:
        raise _invalid("reason", "a rejection needs one")
    corrected = word.outcome is not None or bool(word.values)
    if corrected != (word.decision is Decision.CORRECT):
        raise _invalid("outcome", "a correction names another outcome or another value, and nothing else does")
    if word.outcome is not None and (word.outcome not in JUDGED or word.outcome is found):
        raise _invalid("outcome", "POSITIVE or NEGATIVE, and not what the model said")
    if word.values and Outcome.NEGATIVE in (word.outcome, found):
        raise _invalid("values", "a negative result has none")
    for value in word.values:
        _require_measurement(value, findings)
    title = (word.title or RejectionTitle.QUALITY) if word.decision is Decision.REJECT else None
    return Word(word.decision, by, word.at, reason, title, word.outcome, tuple(word.values))


def _require_measurement(value: CorrectedValue, findings: Sequence[Mapping[str, Any]]) -> None:
    if not 0 <= value.finding < len(findings):
        raise _invalid("values", f"no finding {value.finding + 1}")
    if not 0 <= value.measurement < len(findings[value.finding]["measurements"]):
        raise _invalid("values", f"finding {value.finding + 1} has no measurement {value.measurement + 1}")
    if not math.isfinite(value.value) or abs(value.value) >= 1e12:
        raise _invalid("values", "not a number")


def _text(text: str, field: str, longest: int) -> str:
    plain = " ".join(text.split())
    if len(plain) > longest or not plain.isprintable() or "\\" in plain:
        raise _invalid(field, f"1 to {longest} printable characters, no backslash")
    return plain


def _invalid(field: str, problem: str) -> InvalidAssessment:
    return InvalidAssessment(f"{field}: {problem}", field=field)


# ---------------------------------------------------------------- how often models were confirmed


@dataclass(frozen=True, slots=True)
class Counted:
    """So many assessments of one kind, each job once, by its latest."""

    model: str
    model_version: str
    scanner: str
    found: Outcome
    decision: Decision
    outcome: Outcome | None
    title: RejectionTitle | None
    count: int


@dataclass(frozen=True, slots=True)
class Share:
    """``part`` of ``whole``; the interval is Wilson's of 95 % (JASA 22, 209, 1927). All None where there is nothing."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        return self.part / self.whole if self.whole else None

    @property
    def interval(self) -> tuple[float, float] | None:
        if not self.whole:
            return None
        share, n = self.part / self.whole, self.whole
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How persons judged a version of a model on images of a scanner.

    A result is confirmed when it was accepted, or corrected in its values alone. ``positive_predictive``: confirmed of
    the POSITIVE ones that were assessed; ``agreement``: confirmed of all POSITIVE and NEGATIVE ones that were.
    ``excluded``: rejected for the wrong patient or order, which says nothing of the model, or not evaluable.
    """

    model: str
    model_version: str
    scanner: str
    accepted: int
    corrected: int
    rejected: int
    excluded: int
    positive_predictive: Share
    agreement: Share


def agreements(counted: Iterable[Counted]) -> list[Agreement]:
    """One for each model, version and scanner, in this order."""
    groups: dict[tuple[str, str, str], list[Counted]] = {}
    for one in counted:
        groups.setdefault((one.model, one.model_version, one.scanner), []).append(one)
    return [_agreement(*key, groups[key]) for key in sorted(groups)]


def _agreement(model: str, version: str, scanner: str, of: Sequence[Counted]) -> Agreement:
    judged = [one for one in of if one.found in JUDGED and one.title not in NOT_THE_MODELS]
    positive = [one for one in judged if one.found is Outcome.POSITIVE]
    by = {decision: _sum(one for one in of if one.decision is decision) for decision in Decision}
    return Agreement(
        model,
        version,
        scanner,
        by[Decision.ACCEPT],
        by[Decision.CORRECT],
        by[Decision.REJECT],
        _sum(of) - _sum(judged),
        Share(_sum(one for one in positive if _confirmed(one)), _sum(positive)),
        Share(_sum(one for one in judged if _confirmed(one)), _sum(judged)),
    )


def _confirmed(one: Counted) -> bool:
    return one.decision is Decision.ACCEPT or (one.decision is Decision.CORRECT and one.outcome is None)


def _sum(of: Iterable[Counted]) -> int:
    return sum(one.count for one in of)
