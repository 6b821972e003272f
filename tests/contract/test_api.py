"""The API is asked everything that its OpenAPI document allows, and more: its answers are those that it documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.pages import Pages
from tests.webclient import WebClient

EXAMPLES = 8
# A stream of events has no end; that a node without roles is not ready is no error of the server.
ELSEWHERE = {"/api/v1/events", "/readyz"}
CHECKED = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance
]  # fmt: skip


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Pages]:
    made = Pages(tmp_path_factory.mktemp("api"), empty_database)
    made.receive("1.2.3", ("hippocampus", "tumour"), PatientName="<b>", AccessionNumber="A1")
    made.run("9.1")
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(pages: Pages) -> Iterator[WebClient]:
    with pages.client() as made:
        yield made


def test_what_the_contract_names_is_there(client: WebClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    assert {"/healthz", "/readyz", "/metrics"} <= paths.keys()
    reading = ("studies", "jobs", "deliveries", "destinations", "alerts", "models", "status", "events", "throughput")
    assert {f"/api/v1/{name}" for name in reading} <= paths.keys()
    acting = ("jobs/{job}/retry", "jobs/{job}/cancel", "jobs/{job}/prioritise", "queue/pause", "queue/resume")
    assert all("post" in paths[f"/api/v1/{name}"] for name in (*acting, "deliveries/{delivery}/retry", "sessions"))
    assert not [path for path in paths if not path.startswith(("/api/v1/", "/healthz", "/readyz", "/metrics"))]


@pytest.mark.parametrize("logged_in", [False, True])
def test_every_answer_is_one_that_is_documented(pages: Pages, client: WebClient, logged_in: bool) -> None:
    headers = {"x-csrf-token": pages.log_in(client)} if logged_in else {}
    document = client.get("/api/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        # Where nobody is logged in, only what can be done without.
        if (
            operation.path in ELSEWHERE
            or operation.path.endswith("/sessions")
            or (not logged_in and operation.method == "post")
        ):
            continue

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            options = case.as_transport_kwargs(base_url="http://127.0.0.1:8080", headers=headers)
            for unknown in ("allow_redirects", "cookies"):
                options.pop(unknown, None)
            body = options.pop("data", None)
            if body is not None:
                options["content"] = body
            answer = client.request(options.pop("method"), options.pop("url"), **options)
            case.validate_response(answer, checks=CHECKED)

        ask()
        asked.add(operation.path)
    assert len(asked) > 10
