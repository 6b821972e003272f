"""One study as a line of the worklist: its document, how urgent it is, and by which words it is found. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from node.domain.delivery import DeliveryState
from node.domain.job import Priority
from node.domain.result import Outcome
from node.show import outcome, terms
from node.show.documents import Document, study_document
from node.show.outcome import IMPORTANCE, StudyRows

Row = Mapping[str, Any]
# Microseconds before this many, counted backwards, so that the newest comes first in an ascending index.
ARRIVED_DIGITS = 18
_BACKWARDS = 10**ARRIVED_DIGITS - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# 0 is a finding of a study that was urgent already; then as what a model says of a study of several series.
URGENT = 0
URGENCIES = range(len(IMPORTANCE) + 2)
LONGEST_LABEL = 64


@dataclass(frozen=True, slots=True)
class Line:
    study_instance_uid: str
    urgency: int
    arrived: str
    document: Document
    terms: frozenset[str]


def line_of(
    row: Row,
    about: StudyRows,
    findings: Mapping[int, Sequence[Mapping[str, Any]]],
    assessments: Mapping[int, Mapping[str, Any]],
) -> Line:
    """``findings`` are those of the study's jobs, and ``assessments`` what was said of them last, by job."""
    found = outcome.outcomes(about)
    document = study_document(row, about) | {
        "patient": {key: row[f"patient_{key}"] for key in ("id", "name", "birth_date", "sex")},
        "acquired_at": acquired(row["study_date"], row["study_time"]),
        "models": [_model(model, said, about, findings) for model, said in found.items()],
        "delivery": _delivery(about),
        "assessment": _assessments(about, assessments),
    }
    urgency = _urgency(found, about)
    document |= {"urgency": urgency, "received_at": _iso(row["received_at"]), "updated_at": _iso(row["updated_at"])}
    uid = row["study_instance_uid"]
    return Line(uid, urgency, arrived_key(row["received_at"], uid), document, _terms(document, found))


def arrived_key(at: datetime, study_instance_uid: str = "") -> str:
    """Where a study that came ``at`` stands in the order; without a UID before all that came at the same time."""
    return f"{_BACKWARDS - (at - _EPOCH) // timedelta(microseconds=1):0{ARRIVED_DIGITS}d}{study_instance_uid}"


def acquired(date: str, time: str) -> str | None:
    """Study Date and Study Time (PS3.5 6.2, DA and TM) in ISO 8601: local time where it was made, of which the zone is
    not known. None where there is no date that can be read; without a time that can be read, the day alone.
    """
    try:
        day = datetime.strptime(date.strip(), "%Y%m%d")
    except ValueError:
        return None
    stated = time.strip().partition(".")[0]
    digits = stated.ljust(6, "0") if stated else ""
    try:
        return datetime.strptime(date.strip() + digits, "%Y%m%d%H%M%S").isoformat()
    except ValueError:
        return day.date().isoformat()


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _urgency(found: Mapping[str, Outcome], about: StudyRows) -> int:
    """0 is the most urgent: as in ``IMPORTANCE``, but a finding of a job of high priority goes before all."""
    ranks = [IMPORTANCE.index(said) for said in found.values()]
    if not ranks:
        return len(IMPORTANCE) + 1
    if min(ranks) == IMPORTANCE.index(Outcome.POSITIVE) and any(
        job["priority"] == Priority.HIGH and job["outcome"] == Outcome.POSITIVE and job["superseded_at"] is None
        for job in about.jobs
    ):
        return URGENT
    return 1 + min(ranks)


def _model(
    model: str, said: Outcome, about: StudyRows, findings: Mapping[int, Sequence[Mapping[str, Any]]]
) -> Document:
    jobs = [job for job in about.jobs if job["model"] == model and job["superseded_at"] is None]
    decisive = [job for job in jobs if job["outcome"] == said]
    latest = (decisive or jobs)[-1] if jobs else None
    waiting = [job["id"] for job in jobs if job["state"] in outcome.UNDER_WAY]
    return {
        "model": model,
        "outcome": said.value,
        "finding": _key_finding(findings.get(latest["id"], ())) if latest and said is Outcome.POSITIVE else None,
        "reason": _reason(said, latest),
        "reason_code": _reason_code(said, latest),
        # Of a model that is yet to say something: without a job the series is still being received.
        "jobs": waiting if said is Outcome.PENDING else [],
    }


def _key_finding(findings: Sequence[Mapping[str, Any]]) -> Document | None:
    """What a reader should know first: the first finding that is there, with its first measurement.

    Another version of the node may have kept less of it.
    """
    there = [one for one in findings if one.get("present", True)]
    if not there:
        return None
    first = there[0]
    measured: Mapping[str, Any] = next(iter(first.get("measurements") or ()), {})
    return {
        "concept": first["concept"][:LONGEST_LABEL],
        "probability": first.get("probability"),
        "value": measured.get("value"),
        "unit": measured.get("unit"),
        "findings": len(there),
    }


def _reason(said: Outcome, job: Row | None) -> str | None:
    if job is None:
        return None
    if said is Outcome.NOT_EVALUABLE:
        return (job["reason"] or {}).get("text")
    return job["error_code"] if said is Outcome.FAILED else None


def _reason_code(said: Outcome, job: Row | None) -> str | None:
    if job is None:
        return None
    if said is Outcome.NOT_EVALUABLE:
        return (job["reason"] or {}).get("code")
    return job["error_code"] if said is Outcome.FAILED else None


def _delivery(about: StudyRows) -> Document:
    """How many of the objects that are to be read have been sent so far: ``wanted`` in all, ``to_commit`` of those.

    ``read_back`` of ``to_read_back`` were seen at their destinations; None where none is to be looked for.
    """
    jobs = {job["id"]: job for job in about.jobs}
    counted = [
        one for one in about.deliveries if outcome.is_chosen(one) and not outcome.out_of_date(one, jobs[one["job"]])
    ]
    states = Counter(one["state"] for one in counted)
    looked_for = [one for one in counted if outcome.is_to_read_back(about, one)]
    return {
        "wanted": len(counted),
        "to_commit": sum(outcome.is_to_commit(about, one) for one in counted),
        "stored": states[DeliveryState.STORED] + states[DeliveryState.COMMITTED],
        "committed": states[DeliveryState.COMMITTED],
        "to_read_back": len(looked_for),
        "read_back": sum(one.get("read_back_at") is not None for one in looked_for) if looked_for else None,
        "failed": sum(states[state] for state in outcome.NOT_DELIVERED),
        "error_code": next((one["error_code"] for one in counted if one["error_code"]), None),
    }


def _assessments(about: StudyRows, assessments: Mapping[int, Mapping[str, Any]]) -> list[Document] | None:
    """What was said of results that are current; None where nothing was."""
    said = [
        {
            "model": job["model"],
            "job": job["id"],
            "decision": one["decision"],
            "by": one["said_by"],
            "at": _iso(one["said_at"]),
            "state": one["state"],
        }
        for job in about.jobs
        if job["superseded_at"] is None and (one := assessments.get(job["id"])) is not None
    ]
    return said or None


def _terms(document: Document, found: Mapping[str, Outcome]) -> frozenset[str]:
    patient = document["patient"]
    texts = (patient["id"], document["accession_number"], patient["name"], document["study_description"])
    wanted = {model: said for model, said in found.items() if said is not Outcome.NOT_WANTED}
    # NOT WANTED is said of a study where nothing else is.
    outcomes: set[Outcome] = set(wanted.values() if wanted else found.values())
    return frozenset(
        [terms.term(terms.MODALITY, modality) for modality in document["modalities"]]
        + [terms.term(terms.OUTCOME, said.value) for said in outcomes]
        + [terms.term(terms.MODEL, model) for model in wanted]
        + [terms.of_model(model, said.value) for model, said in found.items()]
        + [terms.term(terms.WORD, word) for word in terms.words_of(texts)]
        + [terms.term(terms.STUDY, document["study_instance_uid"])]
        + ([terms.term(terms.UNASSESSED)] if _to_assess(document) else [])
    )


def _to_assess(document: Document) -> bool:
    """A model has said something that nobody has answered."""
    said = {Outcome.POSITIVE, Outcome.NEGATIVE, Outcome.NOT_EVALUABLE}
    answered = {one["model"] for one in document["assessment"] or ()}
    return any(one["outcome"] in said and one["model"] not in answered for one in document["models"])
