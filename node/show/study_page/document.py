"""A study as its page tells it: results, why there is none, what came before, the way of the images. Pure.

Words are keys of ``words.py``; what comes from headers or models stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from node.domain.assessment import Assessment, AssessmentState
from node.domain.job import JobState
from node.domain.result import Outcome
from node.ports.viewing import Mark
from node.show import reasons
from node.show.concepts import named

Row = Mapping[str, Any]
# From which probability on, and the words for it; below the last it is very unlikely.
LIKELIHOODS = (
    (0.95, "very_likely"),
    (0.8, "likely"),
    (0.5, "rather_likely"),
    (0.2, "rather_unlikely"),
    (0.05, "unlikely"),
)
UNITS = {"1": "", "{counts}": "", "[hnsf'U]": "HU", "mm2": "mm²", "mm3": "mm³", "cm2": "cm²", "cm3": "cm³"}
UNDER_WAY = (JobState.SCHEDULED, JobState.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class Number:
    """A measurement; ``place`` names it in a form (finding and measurement, counted from 0).

    ``corrected`` is the number that a person put in its place; empty where nobody did.
    """

    name: str
    value: str
    unit: str
    place: str
    corrected: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding. ``slice`` counts from 1; ``likelihood`` is a word, ``percent`` its number."""

    name: str
    site: str
    present: bool
    numbers: tuple[Number, ...]
    likelihood: str
    percent: str
    qualities: tuple[tuple[str, str], ...]
    mark: Mark | None

    @property
    def slice(self) -> int | None:
        return None if self.mark is None or self.mark.index is None else self.mark.index + 1


@dataclass(frozen=True, slots=True)
class Result:
    """What one job said. ``reason``: why there is no evaluation, in the reader's language; ``original``: in English.

    ``corrected_outcome``: what a person says that it should have been; empty where nobody does.
    """

    job: int
    model: str
    version: str
    outcome: str
    series: tuple[str, ...]
    demonstration: bool
    reason: str = ""
    original: str = ""
    code: str = ""
    findings: tuple[Found, ...] = ()
    assessable: bool = False
    pending: Assessment | None = None
    assessed: Assessment | None = None
    corrected_outcome: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """A moment on the way; ``after_s`` seconds after the one before it, None for the first."""

    key: str
    at: datetime
    detail: str = ""
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class NotWanted:
    """A model that did not look at the study, with what was wanted and what was found."""

    model: str
    conditions: tuple[Row, ...]


def current_jobs(study: Row) -> list[Row]:
    """The jobs that stand for what is known now: of each model and its series the latest that was not canceled."""
    found: dict[tuple[str, tuple[str, ...]], Row] = {}
    for job in study["jobs"]:
        if job["superseded_at"] is None:
            key = (job["model"], tuple(sorted(job["series_instance_uids"])))
            if key not in found or job["state"] != JobState.CANCELED:
                found[key] = job
    return list(found.values())


def earlier_jobs(study: Row) -> list[Row]:
    """What was said before, the newest first: superseded, or followed by another run."""
    current = {job["id"] for job in current_jobs(study)}
    return [job for job in reversed(study["jobs"]) if job["id"] not in current]


def result_of(
    job: Row,
    language: str,
    why: Row,
    marks: Sequence[Mark],
    assessments: Sequence[Assessment],
    demonstration: bool,
) -> Result:
    """``job`` with its findings and provenance; ``why`` is the study's document of all judgements."""
    outcome = outcome_of(job)
    said = [one for one in assessments if one.job == job["id"] and one.state is not AssessmentState.UNDONE]
    pending = next((one for one in reversed(said) if one.state is AssessmentState.PENDING), None)
    last = said[-1] if said else None
    corrections = {} if last is None else {f"{one.finding}.{one.measurement}": one.value for one in last.word.values}
    original = reasons.sentence(job["reason"] or "")
    code = job["reason_code"] or ""
    chinese = reasons.in_chinese(code, _unmet_limits(job, why)) if language == "zh" and original else ""
    return Result(
        job["id"],
        job["model"],
        job["model_version"],
        outcome,
        tuple(job["series_instance_uids"]),
        demonstration,
        chinese or original,
        original if chinese else "",
        code,
        tuple(_found(index, one, marks, corrections, language) for index, one in enumerate(job["findings"])),
        assessable=job["state"] == JobState.COMPLETED and job["withdrawn_at"] is None and job["superseded_at"] is None,
        pending=pending,
        assessed=last if pending is None else None,
        corrected_outcome="" if last is None or last.word.outcome is None else last.word.outcome.value,
        provenance=job["provenance"],
    )


def outcome_of(job: Row) -> str:
    if job["withdrawn_at"] is not None:
        return Outcome.WITHDRAWN.value
    if job["state"] in UNDER_WAY:
        return Outcome.PENDING.value
    return str(job["outcome"]) if job["state"] == JobState.COMPLETED else Outcome.FAILED.value


def not_wanted(study: Row, why: Row) -> list[NotWanted]:
    """Of each model that wants no series of the study, the conditions of the series that misses fewest."""
    found: dict[str, list[Row]] = {}
    for series in why["series"]:
        for one in series["models"]:
            if study["outcome"].get(one["model"]) == Outcome.NOT_WANTED:
                missed = reasons.unmet(one["conditions"], ("selection", "route"))
                if one["model"] not in found or len(missed) < len(found[one["model"]]):
                    found[one["model"]] = missed
    return [NotWanted(model, tuple(conditions)) for model, conditions in sorted(found.items())]


def timeline(study: Row, deliveries: Sequence[Row]) -> list[Event]:
    """From the first image to the last object that was seen at its destination."""
    events: list[Event] = []
    for series in study["series"]:
        label = series["series_description"] or series["modality"]
        events.append(Event("first_image", series["first_instance_at"], label))
        events.append(Event("last_image", series["last_instance_at"], label))
        if series["closed_at"] is not None:
            events.append(Event("closed", series["closed_at"], label))
    for job in study["jobs"]:
        events += [
            Event(key, job[name], job["model"])
            for key, name in (("started", "started_at"), ("finished", "finished_at"), ("withdrawn", "withdrawn_at"))
            if job[name] is not None
        ]
    sent: dict[tuple[str, str], datetime] = {}
    for one in deliveries:
        for what in ("stored", "committed", "read_back"):
            at = one[f"{what}_at"]
            if at is not None:
                sent[what, one["destination"]] = max(at, sent.get((what, one["destination"]), at))
    events += [Event(key, at, destination) for (key, destination), at in sent.items()]
    return _with_durations(sorted(_without_series_apart(events), key=lambda event: event.at))


def _without_series_apart(events: Sequence[Event]) -> list[Event]:
    """The first image of all and the last one: a study of forty series is one way, not forty."""
    kept = [event for event in events if event.key not in ("first_image", "last_image", "closed")]
    for key, choose in (("first_image", min), ("last_image", max), ("closed", max)):
        of_key = [event for event in events if event.key == key]
        if of_key:
            kept.append(choose(of_key, key=lambda event: event.at))
    return kept


def _with_durations(events: Sequence[Event]) -> list[Event]:
    before: datetime | None = None
    timed = []
    for event in events:
        after = None if before is None else (event.at - before).total_seconds()
        timed.append(Event(event.key, event.at, event.detail, after))
        before = event.at
    return timed


def likelihood(probability: float) -> str:
    return next((word for least, word in LIKELIHOODS if probability >= least), "very_unlikely")


def number(value: float) -> str:
    """Four digits that count, never in powers of ten where a person reads it."""
    text = f"{value:.4g}"
    return f"{value:.0f}" if "e" in text and abs(value) >= 1 else text


def duration(seconds: float) -> str:
    """``12.3 s``, ``4 min 5 s``, ``2 h 3 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _unmet_limits(job: Row, why: Row) -> list[Row]:
    for series in why["series"]:
        if series["series_instance_uid"] in job["series_instance_uids"]:
            for one in series["models"]:
                if one["model"] == job["model"]:
                    return reasons.unmet(one["conditions"], ("limit",))
    return []


def _found(index: int, finding: Row, marks: Sequence[Mark], corrections: Mapping[str, float], language: str) -> Found:
    probability = finding["probability"]
    return Found(
        name=named(finding["concept"], language),
        site=named(finding.get("site") or "", language),
        present=finding.get("present", True),
        numbers=tuple(
            _number(one, f"{index}.{position}", corrections, language)
            for position, one in enumerate(finding["measurements"])
        ),
        likelihood="" if probability is None else likelihood(probability),
        percent="" if probability is None else f"{100 * probability:.0f}",
        qualities=tuple(
            (named(one["concept"]["meaning"], language), named(one["value"]["meaning"], language))
            for one in finding.get("qualities") or ()
        ),
        mark=next((mark for mark in marks if mark.finding == index), None),
    )


def _number(told: Row, place: str, corrections: Mapping[str, float], language: str) -> Number:
    corrected = number(corrections[place]) if place in corrections else ""
    unit = str(told["unit"])
    return Number(named(told["concept"], language), number(told["value"]), UNITS.get(unit, unit), place, corrected)
