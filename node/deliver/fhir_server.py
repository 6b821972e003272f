"""A FHIR server as a destination: each report as one transaction, which is carried out wholly or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from node.deliver.fhir_bundle import bundle
from node.deliver.http import Answer, WebPeer
from node.deliver.report import ReportSource
from node.deliver.uncommitted import Uncommitted
from node.errors import AinodeError, DeliveryError, MessageRefused, StoreRefused, UnexpectedAnswer
from node.ports import DeliveryOutcome, Outgoing

JSON = "application/fhir+json"
# Somebody else changes the same at the moment.
CONFLICT = frozenset({409, 423})
MAX_ISSUES = 16


class FhirDestination(Uncommitted):
    """``ports.Destination`` of messages. Used by one thread at a time."""

    def __init__(self, name: str, peer: WebPeer, reports: ReportSource) -> None:
        self._name = name
        self._peer = peer
        self._reports = reports

    @property
    def name(self) -> str:
        return self._name

    def send(self, objects: Sequence[Outgoing]) -> Sequence[DeliveryOutcome]:
        """Each report as a transaction of its own.

        Raises:
            DestinationUnreachable, AccessRefused, DestinationBusy: at the first of them: nothing could be sent at all.
        """
        outcomes: dict[int, DeliveryOutcome] = {}
        bodies: dict[int, bytes] = {}
        for place, outgoing in enumerate(objects):
            try:
                bodies[place] = json.dumps(bundle(self._reports(outgoing)), ensure_ascii=False).encode()
            except AinodeError as error:
                outcomes[place] = DeliveryOutcome(outgoing.sop_instance_uid, None, error)
        problems = self._ask_all(bodies)
        for place, problem in problems.items():
            status = None if problem else 0x0000
            outcomes[place] = DeliveryOutcome(objects[place].sop_instance_uid, status, problem)
        return [outcomes[place] for place in range(len(objects))]

    def echo(self) -> None:
        """Ask what it can.

        Raises:
            DestinationUnreachable, AccessRefused, DestinationBusy, UnexpectedAnswer
        """
        answer = self._peer.ask("GET", "/metadata", {"Accept": JSON})
        if answer.status != 200 or _document(answer).get("resourceType") != "CapabilityStatement":
            raise UnexpectedAnswer(f"the server answered {answer.status}: look at the URL", http_status=answer.status)

    def _ask_all(self, bodies: Mapping[int, bytes]) -> dict[int, DeliveryError | None]:
        """By place. A server that goes away later than at the first costs what it had not answered."""
        problems: dict[int, DeliveryError | None] = {}
        headers = {"Content-Type": f"{JSON}; charset=utf-8", "Accept": JSON}
        for place, body in bodies.items():
            try:
                answer = self._peer.ask("POST", "", headers, body)
            except DeliveryError as error:
                if not problems:
                    raise
                return problems | {left: error for left in bodies if left not in problems}
            problems[place] = judged(answer)
        return problems


def judged(answer: Answer) -> DeliveryError | None:
    """What the answer to a transaction means; None: it was carried out.

    Of an OperationOutcome the codes are kept, which are FHIR's; its text is the server's own, and may name the patient.
    """
    document = _document(answer)
    if 200 <= answer.status < 300:
        return None if _carried_out(document) else UnexpectedAnswer("the answer is none to a transaction")
    kept = {"http_status": answer.status, "issues": _issues(document), "text_length": len(answer.body)}
    words = f"the server answered {answer.status}"
    if answer.status in CONFLICT or answer.status >= 500:
        return StoreRefused(words, **kept)
    if document.get("resourceType") == "OperationOutcome":
        return MessageRefused(
            f"{words}: {', '.join(_issues(document)) or 'without a reason'}", answer=answer.status, **kept
        )
    return UnexpectedAnswer(f"{words}: look at the URL", **kept)


def _carried_out(document: Mapping[str, Any]) -> bool:
    if document.get("resourceType") != "Bundle" or document.get("type") != "transaction-response":
        return False
    try:
        return all(str(entry["response"]["status"]).startswith("2") for entry in document["entry"])
    except (KeyError, TypeError):
        return False


def _issues(document: Mapping[str, Any]) -> list[str]:
    """The codes of the issues, each of FHIR's own value set: lower-case words."""
    found = document.get("issue")
    codes = [one.get("code") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [code for code in codes[:MAX_ISSUES] if isinstance(code, str) and _CODE.fullmatch(code)]


_CODE = re.compile(r"[a-z][a-z-]{0,31}")


def _document(answer: Answer) -> Mapping[str, Any]:
    """Empty where the answer is no JSON object."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
