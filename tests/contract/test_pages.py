"""The pages and the API as a browser and a program ask for them, over a real database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.domain.result import Outcome
from node.errors import DestinationUnreachable, InferenceTimeout
from node.show.headers import POLICY
from tests.contract.pages import PASSWORD, USER, Pages
from tests.webclient import WebClient

STUDY = "1.2.3.4"
HTML_ONLY = re.compile(r"<script(?![^>]* src=)|<style|\son[a-z]+=|\sstyle=|javascript:", re.IGNORECASE)


@pytest.fixture
def pages(tmp_path: Path, empty_database: Path) -> Iterator[Pages]:
    made = Pages(tmp_path, empty_database)
    yield made
    made.close()


@pytest.fixture
def client(pages: Pages) -> Iterator[WebClient]:
    with pages.client() as made:
        yield made


def rows_of(html: str) -> list[str]:
    """The Study Instance UIDs of the rows, in their order."""
    return re.findall(r'data-uid="([0-9.]+)"', html)


def test_an_empty_worklist_says_how_to_send_the_first_study(pages: Pages, client: WebClient) -> None:
    answer = client.get("/")
    receive = pages.records.config.receive
    assert answer.status_code == 200
    assert "No study has arrived yet" in answer.text
    for part in ("AINODE", str(receive.port), "storescu"):
        assert part in answer.text
    pages.receive(STUDY)
    assert rows_of(client.get("/").text) == [STUDY]


def test_every_page_has_the_banner_and_strict_headers(pages: Pages, client: WebClient) -> None:
    pages.receive(STUDY)
    for path in ("/", "/queue", "/system", "/login", "/queue/confirm?action=pause", "/nothing"):
        answer = client.get(path)
        assert "AI result, not verified. Not for primary diagnosis." in answer.text, path
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not HTML_ONLY.search(answer.text), path
    assert "frame-ancestors 'none'" in POLICY
    assert "unsafe" not in POLICY


def test_static_files_are_kept_for_ever_under_the_digest_of_their_content(client: WebClient) -> None:
    (address,) = set(re.findall(r'href="(/static/[0-9a-f]+/base\.css)"', client.get("/login").text))
    answer = client.get(address)
    assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
    old = client.get("/static/0000000000000000/base.css")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-store")
    assert client.get("/static/0000000000000000/../base.py").status_code == 404


def test_a_row_tells_the_study_and_each_model(pages: Pages, client: WebClient) -> None:
    headers = {"PatientName": "DOE^Jane", "StudyDescription": "MRI brain", "AccessionNumber": "A77", "PatientSex": "F"}
    pages.receive(STUDY, ("hippocampus", "tumour"), **headers, PatientBirthDate="19700101", StudyDate="20260101")
    pages.run("9.1")
    html = client.get("/").text
    for part in (
        "DOE, Jane",
        "56 y",
        "A77",
        "MRI brain",
        "▲",
        "POSITIVE",
        "3.25 mL",
        "◌",
        "PENDING",
        "stored: not yet",
    ):
        assert part in html, part
    assert client.get("/", headers={"accept-language": "zh-CN,zh;q=0.9"}).text.count("阳性") >= 1


def test_texts_from_outside_are_text(pages: Pages, client: WebClient) -> None:
    long = "A" * 10_000
    names = {"1.2.1": "<script>alert(1)</script>", "1.2.2": "\u202eEVIL^مريم", "1.2.3": long, "1.2.4": '"><img src=x>'}
    for study, name in names.items():
        pages.receive(study, (), PatientName=name, StudyDescription=name, AccessionNumber=name)
    html = client.get("/").text
    assert sorted(rows_of(html)) == sorted(names)
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "\u202e" not in html, "it would turn the direction of what follows"
    assert "<bdi>EVIL, مريم</bdi>" in html
    assert f'<bdi title="{long}">' in html, "all of it, for who asks"
    assert html.count(long) == 3, "in titles alone"
    for term in (names["1.2.1"], "مريم", long, "%", "\x00", "'; DROP TABLE study"):
        assert client.get("/", params={"q": term[:200]}).status_code == 200
    assert rows_of(client.get("/", params={"q": "مريم"}).text) == ["1.2.2"]


def test_filters_stand_in_the_address(pages: Pages, client: WebClient) -> None:
    for number, modality in ((1, "MR"), (2, "CT"), (3, "CT")):
        pages.receive(f"1.2.{number}", Modality=modality, AccessionNumber=f"ACC-{number}")
    pages.run("9.1")
    pages.run("9.2", outcome=Outcome.NEGATIVE)
    first, second, third = "1.2.1", "1.2.2", "1.2.3"
    assert rows_of(client.get("/").text) == [first, third, second], "a finding, what is pending, what has none"
    assert rows_of(client.get("/?sort=age").text) == [third, second, first]
    for query, expected in (
        ("modality=CT", [third, second]),
        ("outcome=POSITIVE", [first]),
        ("outcome=NEGATIVE&model=hippocampus", [second]),
        ("unassessed=1", [first, second]),
        ("q=acc-3", [third]),
        (f"q={first}.9", []),
        ("period=1h&modality=MR", [first]),
        ("modality=XX", []),
    ):
        answer = client.get(f"/?{query}")
        assert rows_of(answer.text) == expected, query
        assert [
            one["study_instance_uid"] for one in client.get(f"/api/v1/studies?{query}").json()["studies"]
        ] == expected
    assert client.get("/?outcome=NONSENSE").status_code == 422


def test_the_queue_says_what_is_wrong_and_what_to_do(pages: Pages, client: WebClient) -> None:
    pages.receive(STUDY, ("hippocampus", "tumour"))
    pages.run("9.1")
    job = pages.records.queue.claim("w1", 600.0)
    assert job is not None
    pages.records.queue.fail(job, InferenceTimeout("longer than 900 s"), None)
    for one in pages.records.outbox.claim("pacs", "s", 30.0):
        pages.records.outbox.fail(one, DestinationUnreachable("no answer"), 60.0)
    html = client.get("/queue").text
    for part in ("Destination &#39;pacs&#39; has taken nothing", "2 results wait", "InferenceTimeout", "ainode echo"):
        assert part in html, part
    assert "InferenceTimeout" not in client.get("/queue?job_state=COMPLETED").text
    (found,) = client.get("/api/v1/destinations").json()["destinations"]
    assert (found["waiting"], found["trouble"]["error_code"]) == (2, "DestinationUnreachable")


def test_to_act_takes_a_name_and_the_token_of_the_session(pages: Pages, client: WebClient) -> None:
    pages.receive(STUDY)
    form = {"action": "pause", "row": "0"}
    refused = client.post("/queue/do", data=form)
    assert (refused.status_code, refused.headers["location"]) == (303, "/login?next=%2F")
    assert client.post("/api/v1/queue/pause").json()["code"] == "NotLoggedIn"
    token = pages.log_in(client)
    for bad in (form, form | {"csrf": "0" * 64}):
        assert client.post("/queue/do", data=bad).status_code == 403
    assert client.post("/api/v1/queue/pause").json()["code"] == "ForgedRequest"
    elsewhere = client.post("/queue/do", data=form | {"csrf": token}, headers={"origin": "http://evil.example"})
    assert elsewhere.status_code == 403
    assert not pages.records.queue.paused()
    assert client.post("/queue/do", data=form | {"csrf": token}).status_code == 303
    assert pages.records.queue.paused()
    assert client.post("/api/v1/queue/resume", headers={"x-csrf-token": token}).json() == {"paused": False}
    uses = [(one.actor, one.action) for one in pages.records.audit.newest(2)]
    assert uses == [(f"user:{USER}", "QUEUE_RESUMED"), (f"user:{USER}", "QUEUE_PAUSED")]


def test_every_action_of_the_queue_page(pages: Pages, client: WebClient) -> None:
    pages.receive(STUDY, ("hippocampus", "tumour"))
    job = pages.run("9.1")
    waiting = next(one["id"] for one in client.get("/api/v1/jobs?state=SCHEDULED").json()["jobs"])
    delivery = pages.records.outbox.claim("pacs", "s", 30.0)[0]
    pages.records.outbox.stored(delivery)
    token = {"csrf": pages.log_in(client)}
    for action, row in (("prioritise", waiting), ("cancel", waiting), ("retry", waiting), ("resend", delivery.id)):
        assert "confirm" in client.get(f"/queue/confirm?action={action}&row={row}").text
        assert client.post("/queue/do", data=token | {"action": action, "row": str(row)}).status_code == 303, action
    (now,) = client.get("/api/v1/jobs?state=SCHEDULED").json()["jobs"]
    assert (now["id"], now["priority"]) == (waiting, "HIGH")
    states = {one["id"]: one["state"] for one in client.get("/api/v1/deliveries").json()["deliveries"]}
    assert states[delivery.id] == "SCHEDULED"
    refused = client.post("/queue/do", data=token | {"action": "retry", "row": str(job)})
    assert (refused.status_code, "InvalidTransition" in refused.text) == (409, True)
    for bad in ({"action": "explode", "row": "1"}, {"action": "retry", "row": "1; DROP"}, {"action": "retry"}):
        assert client.post("/queue/do", data=token | bad).status_code == 400


def test_logging_in_and_out_by_the_form(pages: Pages, client: WebClient) -> None:
    pages.logins.add(USER, PASSWORD)
    wrong = client.post("/login", data={"name": USER, "password": "wrong", "next": "/queue"})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
    away = client.post("/login", data={"name": USER, "password": PASSWORD, "next": "//evil.example/"})
    assert (away.status_code, away.headers["location"]) == (303, "/"), "to no other site"
    cookie = away.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    html = client.get("/").text
    assert USER in html
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', html)
    assert token is not None
    assert client.post("/logout", data={"csrf": token[1]}).status_code == 303
    assert "Log in" in client.get("/").text


def test_a_disabled_account_is_out_at_once(pages: Pages, client: WebClient) -> None:
    token = pages.log_in(client)
    pages.logins.disable(USER)
    assert client.post("/api/v1/queue/pause", headers={"x-csrf-token": token}).status_code == 401
    assert client.post("/api/v1/sessions", json={"name": USER, "password": PASSWORD}).status_code == 401


def test_forms_are_limited(pages: Pages, client: WebClient) -> None:
    pages.log_in(client)
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/queue/do", content=b"a=" + b"b" * 70_000, headers=form).status_code == 413
    assert client.post("/queue/do", content=b"&".join([b"a=b"] * 2000), headers=form).status_code == 400
    assert client.post("/queue/do", content=b"\xff\xfe=%00", headers=form).status_code == 400
    assert client.post("/queue/do", json={"csrf": "x"}).status_code == 415


def test_pages_that_others_reach_are_for_named_users(tmp_path: Path, empty_database: Path) -> None:
    pages = Pages(tmp_path, empty_database, host="0.0.0.0")
    try:
        pages.receive(STUDY)
        with pages.client(base_url="http://node.hospital.example:8080") as client:
            refused = client.get("/?modality=CT")
            assert (refused.status_code, refused.headers["location"]) == (303, "/login?next=%2F%3Fmodality%3DCT")
            for path in ("/api/v1/studies", "/api/v1/events?once=1", f"/api/v1/studies/{STUDY}", "/api/v1/status"):
                assert client.get(path).status_code == 401, path
            for path in ("/healthz", "/login", "/api/openapi.json"):
                assert client.get(path).status_code == 200, path
            pages.log_in(client)
            assert rows_of(client.get("/").text) == [STUDY]
    finally:
        pages.close()


def test_open_reading_is_for_names_of_this_machine_alone(pages: Pages) -> None:
    """Else any page of the world could have its own name resolved to this machine, and read what is here."""
    pages.receive(STUDY)
    with pages.client(base_url="http://evil.example:8080") as client:
        assert client.get("/").status_code == 421
        assert client.get("/api/v1/studies").status_code == 421


def test_errors_of_the_api_are_problem_documents(client: WebClient) -> None:
    for path, status, code in (
        ("/api/v1/studies/1.2.3", 404, "NotFound"),
        ("/api/v1/studies/nonsense", 422, "InvalidInput"),
        ("/api/v1/jobs/99", 404, "NotFound"),
        ("/api/v1/jobs/0", 422, "InvalidInput"),
        ("/api/v1/jobs?limit=100000", 422, "InvalidInput"),
        ("/api/v1/nothing", 404, "NotFound"),
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"], answer.headers["content-type"]) == (
            status,
            code,
            "application/problem+json",
        ), path


def test_pages_through_many(pages: Pages, client: WebClient) -> None:
    for number in range(7):
        pages.receive(f"1.2.{number}", ())
    found: list[str] = []
    after = ""
    while True:
        page = client.get("/api/v1/studies", params={"limit": 3, "after": after} if after else {"limit": 3}).json()
        found += [one["study_instance_uid"] for one in page["studies"]]
        after = page["following"]
        if after is None:
            break
    assert found == [f"1.2.{number}" for number in reversed(range(7))]
