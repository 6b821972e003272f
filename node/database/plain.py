"""What a model said, as plain JSON: as the job table keeps it and as commands print it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from node.domain.admission import Condition
from node.domain.report import ReportedFinding
from node.domain.result import CodedConcept, DocumentRef, Finding, Location, Measurement, Quality, Reason


def findings_to_plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """``concept`` and ``unit`` as a reader says them; their codes beside them."""
    return [
        {
            "concept": finding.concept.meaning,
            "probability": finding.probability,
            "measurements": [_measurement(measurement) for measurement in finding.measurements],
            "segment": finding.segment,
            "site": None if finding.site is None else finding.site.meaning,
            "present": finding.present,
            "image": None if finding.image is None else asdict(finding.image),
            "code": _code(finding.concept),
            "location": None if finding.location is None else _location(finding.location),
            "qualities": [
                {"concept": _code(quality.concept), "value": _code(quality.value)} for quality in finding.qualities
            ],
            "tracking_id": finding.tracking_id,
            "slice": finding.slice,
        }
        for finding in findings
    ]


def _location(location: Location) -> dict[str, Any]:
    return {"graphic_type": location.graphic_type.value, "points": [list(point) for point in location.points]}


def _measurement(measurement: Measurement) -> dict[str, Any]:
    return {
        "concept": measurement.concept.meaning,
        "value": measurement.value,
        "unit": measurement.unit.value,
        "code": _code(measurement.concept),
        "unit_code": _code(measurement.unit),
    }


def _code(concept: CodedConcept) -> dict[str, str]:
    return {"value": concept.value, "scheme": concept.scheme, "meaning": concept.meaning}


def reported_findings(plain: Sequence[Mapping[str, Any]] | None) -> tuple[ReportedFinding, ...]:
    """What ``findings_to_plain`` wrote, as messages tell it."""
    return tuple(
        ReportedFinding(
            concept=_concept(one.get("code"), one["concept"]),
            present=one.get("present", True),
            probability=one["probability"],
            measurements=tuple(
                Measurement(
                    _concept(each.get("code"), each["concept"]),
                    each["value"],
                    _concept(each.get("unit_code"), each["unit"]),
                )
                for each in one["measurements"]
            ),
            qualities=tuple(
                Quality(CodedConcept(**each["concept"]), CodedConcept(**each["value"]))
                for each in one.get("qualities", ())
            ),
            site=one.get("site"),
        )
        for one in plain or ()
    )


def _concept(plain: Mapping[str, str] | None, meaning: str) -> CodedConcept:
    """Rows of earlier versions have the words alone."""
    return CodedConcept("", "", meaning) if plain is None else CodedConcept(**plain)


def reason_to_plain(reason: Reason | None) -> dict[str, str] | None:
    return None if reason is None else {"code": reason.code, "text": reason.text}


def reason_from_plain(plain: Mapping[str, str] | None) -> Reason | None:
    return None if plain is None else Reason(plain["code"], plain["text"])


def documents_to_plain(documents: Sequence[DocumentRef]) -> list[dict[str, str]] | None:
    return [asdict(document) for document in documents] or None


def documents_from_plain(plain: Sequence[Mapping[str, str]] | None) -> tuple[DocumentRef, ...]:
    return tuple(DocumentRef(**document) for document in plain or ())


def condition_to_plain(condition: Condition) -> dict[str, Any]:
    return {
        "name": condition.name,
        "kind": condition.kind,
        "wanted": condition.wanted,
        "found": condition.found,
        "met": condition.met,
    }
