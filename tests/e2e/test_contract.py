"""What users rely on, row by row, on a site as ``ainode init`` writes it: keys, states, times, exit codes, pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from node.admin.cli.root import cli
from node.admin.site import Pacs, create
from node.demo.pacs import EmbeddedPacs
from node.demo.send import send
from node.demo.studies import STUDIES, write_studies
from tests.e2e.site import Site
from tests.peers import free_port
from tests.waiting import wait_for

UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
OUTCOMES = {"POSITIVE", "NEGATIVE", "NOT EVALUABLE", "FAILED", "PENDING", "NOT WANTED"}
WHOLE, GAP, CHEST = (one.study_instance_uid for one in STUDIES)
JOB_STATES = {"SCHEDULED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELED"}
DELIVERY_STATES = {"SCHEDULED", "IN_PROGRESS", "STORED", "COMMITTED", "FAILED", "CANCELED"}
# Words of a command: the key of its list, and what each row of it has.
LISTS = {
    "queue list": (
        "jobs",
        "id state model model_version study_instance_uid series_instance_uids accession_number priority attempt "
        "error_code error created_at started_at finished_at",
    ),
    "studies list": ("studies", "study_instance_uid accession_number series instances state outcome received_at"),
    "deliveries list": (
        "deliveries",
        "id destination state job study_instance_uid attempt error_code error updated_at",
    ),
    "queue watch --for 0": ("jobs", "id state model"),
    "models list": ("models", "id version"),
}


class Started(Site):
    """The site that ``ainode init`` made; its ports are those that it was given."""

    def __init__(self, folder: Path, pacs: EmbeddedPacs) -> None:
        super().__init__(folder / "beside")
        self.folder = folder / "site"
        self.config = create(
            self.folder, "AINODE", self.port, Pacs(pacs.ae_title, "127.0.0.1", pacs.port), self.web_port, False
        )
        pacs.report_to("127.0.0.1", self.port)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """It has taken the studies of the demonstration, and all of them are final."""
    folder = tmp_path_factory.mktemp("contract")
    with EmbeddedPacs(folder / "pacs", "PACS", "AINODE", free_port()) as pacs:
        started = Started(folder, pacs)
        try:
            started.start(roles=())
            sent = send([write_studies(folder / "studies")], ("127.0.0.1", started.port), "AINODE", lambda *_: None)
            assert sorted(sent.studies) == sorted([WHOLE, GAP, CHEST])
            for study in sent.studies:
                assert said(started, "wait", study, "--timeout", "240")[0] == 0
            yield started
        finally:
            started.kill()


def said(site: Site, *words: str) -> tuple[int, str]:
    """Exit code and standard output of a command, run here."""
    done = CliRunner().invoke(cli, ["-c", str(site.config), *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def document(site: Site, *words: str) -> Any:
    code, printed = said(site, *words, "--json")
    assert code == 0
    return json.loads(printed)


def times_in(tree: Any) -> Iterator[tuple[str, str]]:
    """Every value of a key that ends in ``_at``."""
    if isinstance(tree, list):
        for one in tree:
            yield from times_in(one)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key.endswith("_at") and isinstance(value, str):
                yield key, value
            yield from times_in(value)


pytestmark = pytest.mark.usefixtures("logging_restored")


@pytest.mark.parametrize("words", LISTS)
def test_lists_have_their_keys(site: Site, words: str) -> None:
    key, wanted = LISTS[words]
    listed = document(site, *words.split())
    assert list(listed) == [key]
    assert listed[key]
    for row in listed[key]:
        assert set(wanted.split()) - set(row) == set()
    assert [pair for pair in times_in(listed) if not UTC_TIME.fullmatch(pair[1])] == []


def test_states_and_outcomes_are_the_words_agreed_on(site: Site) -> None:
    jobs = document(site, "queue", "list")["jobs"]
    assert {one["state"] for one in jobs} == {"COMPLETED"} < JOB_STATES
    assert {one["priority"] for one in jobs} <= {"HIGH", "MEDIUM", "LOW"}
    deliveries = document(site, "deliveries", "list")["deliveries"]
    assert {one["state"] for one in deliveries} == {"COMMITTED"} < DELIVERY_STATES
    assert {one["job"] for one in deliveries} == {one["id"] for one in jobs}
    studies = {one["study_instance_uid"]: one for one in document(site, "studies", "list")["studies"]}
    outcomes = {uid: one["outcome"]["hippocampus_mr"] for uid, one in studies.items()}
    assert outcomes == {WHOLE: "POSITIVE", GAP: "NOT EVALUABLE", CHEST: "NOT WANTED"}
    assert {outcome for one in studies.values() for outcome in one["outcome"].values()} <= OUTCOMES
    assert all(isinstance(one[key], int) for one in studies.values() for key in ("series", "instances"))


def test_options_of_lists_choose(site: Site) -> None:
    (job,) = document(site, "queue", "list", "--study", WHOLE, "--state", "COMPLETED", "--limit", "1")["jobs"]
    assert job["study_instance_uid"] == WHOLE
    assert document(site, "queue", "list", "--state", "FAILED")["jobs"] == []
    assert len(document(site, "queue", "list", "--limit", "1")["jobs"]) == 1
    assert said(site, "queue", "list", "--state", "NONSENSE")[0] == 2
    assert document(site, "queue", "show", str(job["id"]))["id"] == job["id"]


def test_status_has_its_keys(site: Site) -> None:
    found: dict[str, Any] = {}

    def is_well() -> bool:
        found.update(document(site, "status"))
        return found["state"] == "ok"

    wait_for(is_well, "the status is ok", timeout_s=60)
    assert {"state", "version", "roles", "jobs", "deliveries", "disk", "devices", "models"} <= set(found)
    assert {"receive", "work", "deliver", "timers", "web"} <= set(found["roles"])
    assert set(found["jobs"]) == JOB_STATES
    assert set(found["deliveries"]) >= DELIVERY_STATES
    assert {"free_bytes", "watermark_bytes"} <= set(found["disk"])
    assert found["devices"]
    assert "hippocampus_mr" in {one["id"] for one in found["models"]}


def test_why_by_study_and_by_accession(site: Site) -> None:
    by_study, by_accession = document(site, "why", WHOLE), document(site, "why", STUDIES[0].accession_number)
    assert by_study == by_accession
    (study,) = by_study["studies"]
    for series in study["series"]:
        assert series["completeness"]["reason"]
        for model in series["models"]:
            assert {"model", "verdict", "conditions"} <= set(model)
            assert all({"name", "found", "wanted", "met"} <= set(one) for one in model["conditions"])
    assert study["jobs"]
    assert study["deliveries"]


def test_what_a_study_is_said_to_be(site: Site) -> None:
    assert document(site, "studies", "show", WHOLE)["study_instance_uid"] == WHOLE
    assert said(site, "wait", WHOLE) == (0, "everything is final and delivered\n")
    assert said(site, "wait", "1.2.3", "--timeout", "0")[0] == 3
    assert document(site, "echo", "pacs")["ok"] is True
    assert document(site, "models", "show", "hippocampus_mr")["id"] == "hippocampus_mr"
    assert document(site, "config", "show")["node"]["ae_title"] == "AINODE"
    assert "properties" in json.loads(said(site, "config", "schema")[1])
    assert document(site, "check")["ok"] is True


def test_what_an_operator_may_not_do_is_refused_with_1(site: Site) -> None:
    (job,) = document(site, "queue", "list", "--study", WHOLE)["jobs"]
    delivery = document(site, "deliveries", "list", "--study", WHOLE)["deliveries"][0]
    for action in ("retry", "cancel"):
        assert said(site, "queue", action, str(job["id"]))[0] == 1, action
    assert said(site, "queue", "prioritise", str(job["id"])) == (0, f"{job['id']}: prioritised\n")
    assert said(site, "deliveries", "retry", str(delivery["id"]))[0] == 1
    assert said(site, "queue", "pause") == (0, "paused\n")
    assert document(site, "status")["state"] == "degraded"
    assert said(site, "queue", "resume") == (0, "resumed\n")


def test_the_addresses_of_the_web(site: Site) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{site.web_port}", timeout=60) as client:
        for path in ("/", f"/studies/{WHOLE}", "/queue", "/healthz", "/readyz", "/metrics", "/api/openapi.json"):
            answer = client.get(path)
            assert answer.status_code == 200, path
        assert client.get("/metrics").headers["content-type"].startswith("text/plain")
        described = client.get("/api/openapi.json").json()["paths"]
        assert {"/api/v1/studies", "/api/v1/jobs", "/api/v1/deliveries", "/api/v1/status"} <= set(described)
        assert WHOLE in client.get("/api/v1/studies").text
