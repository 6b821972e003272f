"""A small FHIR server: transactions with conditional creates and updates, everything held against the R4B schema."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import Any
from urllib.parse import unquote

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from tests.fakes.web_peer import Reply, Request, WebServer, as_json

FHIR = "application/fhir+json"
Resource = dict[str, Any]


class FhirServer(WebServer):
    """``kept`` has the resources by type. ``reply`` is answered instead of anything else while it is set."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.kept: dict[str, list[Resource]] = {}
        self.reply: Reply | None = None

    def _answer(self, request: Request) -> Reply:
        if self.reply is not None:
            return self.reply
        if request.method == "GET" and request.path == "/metadata":
            return as_json({"resourceType": "CapabilityStatement", "status": "active"}, media_type=FHIR)
        if request.method != "POST" or request.path not in ("", "/"):
            return outcome(404, "not-found")
        if not request.headers["content-type"].startswith(FHIR):
            return outcome(415, "not-supported")
        return self._transaction(json.loads(request.body))

    def _transaction(self, bundle: Resource) -> Reply:
        before = deepcopy(self.kept)
        try:
            validate(bundle)
            entries = [self._entry(entry) for entry in self._resolved(bundle)["entry"]]
        except ValidationError as error:
            return outcome(422, "invalid", str(error)[:2000])
        except LookupError as error:
            self.kept = before
            return outcome(412, "multiple-matches", str(error))
        return as_json({"resourceType": "Bundle", "type": "transaction-response", "entry": entries}, media_type=FHIR)

    def _resolved(self, bundle: Resource) -> Resource:
        """References within the transaction become those of resources (FHIR R4 section 3.1.0.11.2)."""
        text = json.dumps(bundle)
        for entry in bundle["entry"]:
            kind = entry["resource"]["resourceType"]
            text = text.replace(f'"reference": "{entry["fullUrl"]}"', f'"reference": "{kind}/{entry["fullUrl"][9:]}"')
        found: Resource = json.loads(text)
        assert '"reference": "urn:uuid:' not in text, "a reference to nothing"
        return found

    def _entry(self, entry: Resource) -> Resource:
        request, resource = entry["request"], entry["resource"]
        held = self.kept.setdefault(resource["resourceType"], [])
        query = request.get("ifNoneExist") if request["method"] == "POST" else request["url"].partition("?")[2]
        matches = [one for one in held if matches_query(one, query)]
        if len(matches) > 1:
            raise LookupError("more than one")
        if request["method"] == "PUT" and matches:
            held[held.index(matches[0])] = resource
            return {"response": {"status": "200 OK"}}
        if not matches:
            held.append(resource)
        return {"response": {"status": "200 OK" if matches else "201 Created"}}


def outcome(status: int, code: str, text: str = "") -> Reply:
    issue = {"severity": "error", "code": code, "diagnostics": text}
    return as_json({"resourceType": "OperationOutcome", "issue": [issue]}, status, FHIR)


def matches_query(resource: Resource, query: str) -> bool:
    """``identifier=SYSTEM|VALUE`` or ``_tag=SYSTEM|CODE``."""
    found = re.fullmatch(r"(identifier|_tag)=([^|]+)\|(.+)", unquote(query))
    assert found is not None, query
    if found[1] == "_tag":
        tags = resource.get("meta", {}).get("tag", [])
        return any((tag["system"], tag["code"]) == (found[2], found[3]) for tag in tags)
    identifiers = resource.get("identifier", [])
    return any((one["system"], one["value"]) == (found[2], found[3]) for one in identifiers)


def validate(bundle: Resource) -> None:
    """
    Raises:
        pydantic.ValidationError: something is not as R4B wants it.
    """
    get_fhir_model_class("Bundle").model_validate(bundle)
    for entry in bundle["entry"]:
        get_fhir_model_class(entry["resource"]["resourceType"]).model_validate(entry["resource"])
