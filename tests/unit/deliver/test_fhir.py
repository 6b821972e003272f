"""Transactions against a real HTTP server that holds them against the schema, and answers as servers do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.deliver.fhir_bundle import bundle, date_time
from node.deliver.fhir_server import FhirDestination
from node.deliver.http import WebAccess, WebPeer
from node.domain.document import ResultKind
from node.domain.report import PatientWords, Report
from node.domain.result import CodedConcept, Measurement, Outcome, Reason
from node.domain.study import SopRef
from node.errors import AccessRefused, DestinationBusy, DestinationUnreachable, UnexpectedAnswer
from node.ports import Outgoing
from tests.fakes.fhir_peer import FhirServer, outcome, validate
from tests.fakes.reports import FINDINGS, report
from tests.fakes.web_peer import Reply, as_json
from tests.objects import SR, data_set, outgoing
from tests.peers import free_port

TIMEOUT_S = 60.0
WITHDRAWN = Reason("113001", "Rejected for Quality Reasons: movement")
NOT_DONE = Reason("MissingSlices", "slices are missing")


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with FhirServer() as started:
        yield started


@pytest.fixture
def objects(tmp_path: Path) -> list[Outgoing]:
    return [outgoing(tmp_path, data_set(SR, number)) for number in (1, 2)]


def told_by(server: FhirServer, *told: Report) -> FhirDestination:
    answers = iter(told)
    return FhirDestination("ehr", WebPeer(WebAccess(server.url, TIMEOUT_S)), lambda _: next(answers))


def codes(destination: FhirDestination, objects: list[Outgoing]) -> list[str | None]:
    return [None if one.error is None else one.error.code for one in destination.send(objects)]


def resources(document: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in document["entry"] if entry["resource"]["resourceType"] == kind]


@pytest.mark.parametrize(
    "told",
    [
        report(),
        report(Outcome.NEGATIVE),
        report(Outcome.NOT_EVALUABLE, reason=NOT_DONE),
        report(Outcome.FAILED, reason=NOT_DONE, kind=ResultKind.FAILED),
        report(Outcome.WITHDRAWN, reason=WITHDRAWN, kind=ResultKind.REJECTION),
        report(verified=True, predecessors=("1.2.3.7",)),
        report(patient=PatientWords("", "", "", "", ""), study_at="", content_at=""),
        report(patient=PatientWords("1", "", "Wang^XiaoDong=王^小東", "", "")),
    ],
    ids=lambda told: f"{told.outcome}-{told.facts.kind}",
)
def test_every_outcome_is_a_valid_transaction(told: Report) -> None:
    document = json.loads(json.dumps(bundle(told)))
    validate(document)
    (diagnostic,) = resources(document, "DiagnosticReport")
    assert told.summary in diagnostic["conclusion"]
    assert ("not verified" in diagnostic["conclusion"]) is not told.verified


def test_what_stands_in_it() -> None:
    document = bundle(report())
    (diagnostic,) = resources(document, "DiagnosticReport")
    assert diagnostic["identifier"] == [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.9"}]
    assert diagnostic["status"] == "preliminary"
    assert diagnostic["subject"]["identifier"] == {"value": "4711", "assigner": {"display": "Hospital"}}
    assert diagnostic["basedOn"][0]["identifier"]["value"] == "A1"
    assert diagnostic["imagingStudy"][0]["identifier"]["value"] == "urn:oid:1.2.3"
    assert diagnostic["effectiveDateTime"] == "2026-03-03T10:15:00+01:00"
    summary, found, absent = resources(document, "Observation")
    assert summary["valueCodeableConcept"]["coding"][0]["code"] == "111242"
    assert found["code"]["coding"][0] == {
        "system": "http://snomed.info/sct", "code": "5366008", "display": "Hippocampus"
    }  # fmt: skip
    assert [one.get("valueQuantity", {}).get("value") for one in found["component"]] == [0.875, 3.25, 1e-7, None]
    assert found["component"][1]["valueQuantity"]["system"] == "http://unitsofmeasure.org"
    assert absent["valueCodeableConcept"]["coding"][0]["display"] == "Absent"
    assert len(diagnostic["result"]) == 3
    assert resources(document, "Device")[0]["version"] == [{"value": "1.0.0"}]
    assert resources(document, "Provenance")[0]["target"] == [{"reference": _url(document, "DiagnosticReport")}]


def _url(document: dict[str, Any], kind: str) -> str:
    (found,) = [entry["fullUrl"] for entry in document["entry"] if entry["resource"]["resourceType"] == kind]
    return str(found)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(Outcome.NEGATIVE, "111241"), (Outcome.NOT_EVALUABLE, "111245"), (Outcome.FAILED, "111245")],
)
def test_nothing_evaluated_never_looks_like_a_negative(outcome: Outcome, code: str) -> None:
    document = bundle(report(outcome, reason=None if outcome is Outcome.NEGATIVE else NOT_DONE))
    (summary,) = resources(document, "Observation")
    assert summary["valueCodeableConcept"]["coding"][0]["code"] == code
    assert resources(document, "DiagnosticReport")[0]["conclusionCode"][0]["coding"][0]["code"] == code


def test_a_private_code_and_a_number_that_is_none_are_said_in_words() -> None:
    private = CodedConcept("HIPP-ANT", "99AINODE", "Anterior hippocampus")
    odd = replace(FINDINGS[0], concept=private, measurements=(Measurement(private, float("nan"), private),))
    made = report()
    document = bundle(replace(made, facts=replace(made.facts, findings=(odd,))))
    validate(json.loads(json.dumps(document, allow_nan=False)))
    found = resources(document, "Observation")[1]
    assert "system" not in found["code"]["coding"][0]
    assert found["component"][1]["valueString"] == "nan"


def test_the_same_report_twice_is_one_report(server: FhirServer, objects: list[Outgoing]) -> None:
    assert codes(told_by(server, report(), report()), objects) == [None, None]
    assert {kind: len(held) for kind, held in server.kept.items()} == {
        "Device": 1, "Observation": 3, "DiagnosticReport": 1, "Provenance": 1,
    }  # fmt: skip
    assert server.requests[0].body == server.requests[1].body
    assert codes(told_by(server, report(uid="1.2.3.10")), objects[:1]) == [None]
    assert len(server.kept["DiagnosticReport"]) == 2
    assert len(server.kept["Device"]) == 1


def test_a_withdrawal_changes_what_was_sent(server: FhirServer, objects: list[Outgoing]) -> None:
    rejected = report(Outcome.WITHDRAWN, uid="1.2.3.50", reason=WITHDRAWN, kind=ResultKind.REJECTION)
    facts = replace(rejected.facts, subject=SopRef(SR, "1.2.3.9"), findings=FINDINGS)
    assert codes(told_by(server, report(), replace(rejected, facts=facts)), objects) == [None, None]
    assert [one["status"] for one in server.kept["DiagnosticReport"]] == ["entered-in-error"]
    assert {one["status"] for one in server.kept["Observation"]} == {"entered-in-error"}
    assert len(server.kept["Observation"]) == 3
    assert len(server.kept["Provenance"]) == 2


@pytest.mark.parametrize(
    ("reply", "code", "retryable", "issues"),
    [
        (outcome(422, "invalid", "PATIENT^NAME"), "MessageRefused", False, ["invalid"]),
        (outcome(400, "structure"), "MessageRefused", False, ["structure"]),
        (outcome(412, "multiple-matches"), "MessageRefused", False, ["multiple-matches"]),
        (outcome(409, "conflict"), "StoreRefused", True, ["conflict"]),
        (outcome(500, "exception"), "StoreRefused", True, ["exception"]),
        (outcome(422, "Doe^Jane"), "MessageRefused", False, []),
        (Reply(400, {}, b"<html>Doe^Jane</html>"), "UnexpectedAnswer", True, []),
        (Reply(302, {"Location": "/"}), "UnexpectedAnswer", True, []),
    ],
)
def test_refusals(
    server: FhirServer, objects: list[Outgoing], reply: Reply, code: str, retryable: bool, issues: list[str]
) -> None:
    server.reply = reply
    (told,) = told_by(server, report()).send(objects[:1])
    assert told.error is not None
    assert (told.error.code, told.error.retryable) == (code, retryable)
    assert told.error.details["issues"] == issues
    assert told.error.details["text_length"] == len(reply.body)
    assert "Doe" not in told.error.message
    assert "PATIENT" not in told.error.message


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {}, b"hello"),
        Reply(200, {}, b"[" * 5000),
        as_json({"resourceType": "Bundle", "type": "searchset"}),
        as_json({"resourceType": "Bundle", "type": "transaction-response", "entry": [{"response": {"status": "400"}}]}),
        as_json({"resourceType": "Bundle", "type": "transaction-response", "entry": "none"}),
    ],
)
def test_success_that_is_none(server: FhirServer, objects: list[Outgoing], reply: Reply) -> None:
    server.reply = reply
    assert codes(told_by(server, report()), objects[:1]) == ["UnexpectedAnswer"]
    with pytest.raises(UnexpectedAnswer):
        told_by(server).echo()


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AccessRefused), (503, DestinationBusy), (502, DestinationUnreachable)]
)
def test_answers_that_are_of_all(
    server: FhirServer, objects: list[Outgoing], status: int, kind: type[Exception]
) -> None:
    server.reply = Reply(status)
    with pytest.raises(kind):
        told_by(server, report(), report()).send(objects)
    with pytest.raises(kind):
        told_by(server).echo()


def test_a_server_that_is_there(server: FhirServer) -> None:
    told_by(server).echo()
    with pytest.raises(DestinationUnreachable):
        FhirDestination("ehr", WebPeer(WebAccess(f"http://127.0.0.1:{free_port()}")), lambda _: report()).echo()


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        ("20260303101500+0100", "2026-03-03T10:15:00+01:00"),
        ("20260303101500", "2026-03-03"),
        ("20260303", "2026-03-03"),
        ("20261399", ""),
        ("", ""),
    ],
)
def test_dates(moment: str, written: str) -> None:
    assert date_time(moment) == written
