"""Webhooks: the document, its signature, and what a real server answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.deliver import webhook
from node.deliver.http import WebAccess, WebPeer
from node.deliver.web_listener import WebhookDestination
from node.domain.document import ResultKind
from node.domain.result import Outcome, Reason
from node.errors import AccessRefused, DestinationBusy, DestinationUnreachable, UnexpectedAnswer
from node.ports import Outgoing
from tests.fakes.outbox import StandingClock
from tests.fakes.reports import report, reports_of
from tests.fakes.web_peer import Reply, WebServer
from tests.objects import SEG, SR, data_set, outgoing
from tests.peers import free_port
from tests.unit.deliver.test_stow import raw_server

TIMEOUT_S = 60.0
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


def hook(url: str, secret: str | None = SECRET, timeout_s: float = TIMEOUT_S, **access: str) -> WebhookDestination:
    peer = WebPeer(WebAccess(url, timeout_s, **access))  # type: ignore[arg-type]
    return WebhookDestination("board", peer, "AINODE", "https://pages.example.org", secret, reports_of, StandingClock())


@pytest.fixture
def reports(tmp_path: Path) -> Sequence[Outgoing]:
    return [outgoing(tmp_path, data_set(SR, number)) for number in (1, 2)]


@contextmanager
def says(status: int, **headers: str) -> Iterator[WebServer]:
    with WebServer(lambda _: Reply(status, headers, b"about PATIENT^NAME")) as server:
        yield server


# ------------------------------------------------------------ what is said


def test_the_document_of_version_1() -> None:
    made = json.loads(webhook.content(report(), "board", "AINODE", "https://pages.example.org"))
    assert (made["type"], made["version"]) == ("ainode.result", 1)
    data = made["data"]
    assert list(data) == [
        "node", "job", "kind", "outcome", "reason", "verified", "notice", "model", "model_version", "device_uid",
        "study_instance_uid", "accession_number", "document", "withdraws", "replaces", "findings", "study_page",
    ]  # fmt: skip
    assert (data["outcome"], data["accession_number"], data["verified"]) == ("POSITIVE", "A1", False)
    assert data["study_page"] == "https://pages.example.org/studies/1.2.3"
    assert [one["present"] for one in data["findings"]] == [True, False]
    assert data["findings"][0]["measurements"][0] == {
        "concept": {"value": "118565006", "scheme": "SCT", "meaning": "Volume"}, "value": 3.25, "unit": "mL"
    }  # fmt: skip
    assert not [word for word in ("4711", "Doe", "Jane", "1970") if word in json.dumps(made)]


def test_a_withdrawal_says_of_what_and_not_a_persons_words() -> None:
    by_hand = Reason("113001", "Rejected for Quality Reasons: Mrs Doe moved")
    made = json.loads(webhook.content(report(Outcome.WITHDRAWN, "1.9", ResultKind.REJECTION, by_hand), "b", "A", ""))
    assert (made["data"]["outcome"], made["data"]["withdraws"]) == ("WITHDRAWN", "1.9")
    assert made["data"]["reason"] == {"code": "113001", "text": ""}
    assert made["data"]["study_page"] is None


def test_the_signature_is_that_of_standard_webhooks(reports: Sequence[Outgoing]) -> None:
    with says(204) as server:
        for one in hook(server.url + "/hooks/ai").send(reports):
            assert (one.status, one.error) == (0x0000, None)
        hook(server.url + "/hooks/ai").send(reports[:1])
        first, second, again = server.requests
    assert (first.method, first.path, first.headers["content-type"]) == ("POST", "/hooks/ai", "application/json")
    signed = f"{first.headers['webhook-id']}.{first.headers['webhook-timestamp']}.".encode() + first.body
    expected = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert first.headers["webhook-signature"] == f"v1,{expected}"
    assert first.headers["webhook-id"] == first.headers["idempotency-key"] == json.loads(first.body)["id"]
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    assert (again.body, again.headers["webhook-id"]) == (first.body, first.headers["webhook-id"])


def test_without_a_secret_nothing_is_signed_and_a_token_is_shown(reports: Sequence[Outgoing]) -> None:
    with says(200) as server:
        hook(server.url, secret=None, token="t0ken").send(reports[:1])
        (request,) = server.requests
    assert "webhook-signature" not in request.headers
    assert request.headers["authorization"] == "Bearer t0ken"


def test_a_secret_is_text_or_base64() -> None:
    assert webhook.key_of("plain words") == b"plain words"
    with pytest.raises(ValueError, match="no base64"):
        webhook.key_of("whsec_!")


# ------------------------------------------------------------ what is answered


@pytest.mark.parametrize(
    ("status", "code", "retried"),
    [
        (400, "MessageRefused", False), (410, "MessageRefused", False), (422, "MessageRefused", False),
        (413, "ObjectTooLarge", False), (404, "DestinationUnreachable", True), (408, "DestinationUnreachable", True),
        (409, "StoreRefused", True), (500, "StoreRefused", True), (302, "UnexpectedAnswer", True),
    ],
)  # fmt: skip
def test_refusals_have_names(reports: Sequence[Outgoing], status: int, code: str, retried: bool) -> None:
    with says(status) as server:
        outcomes = hook(server.url).send(reports)
    errors = [one.error for one in outcomes if one.error]
    assert [(one.code, one.retryable) for one in errors] == [(code, retried)] * 2
    assert "PATIENT" not in str(errors) + str([one.details for one in errors])


def test_503_says_when_to_come_again(reports: Sequence[Outgoing]) -> None:
    with says(503, **{"Retry-After": "120"}) as server, pytest.raises(DestinationBusy) as caught:
        hook(server.url).send(reports)
    assert caught.value.details["retry_after_s"] == 120.0


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"garbage\r\n\r\n", UnexpectedAnswer), (b"", DestinationUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", DestinationUnreachable),
    ],
)  # fmt: skip
def test_what_is_no_answer(reports: Sequence[Outgoing], answer: bytes, kind: type[Exception]) -> None:
    with raw_server(answer) as url, pytest.raises(kind):
        hook(url).send(reports)


def test_nobody_and_somebody_who_never_answers(reports: Sequence[Outgoing]) -> None:
    with pytest.raises(DestinationUnreachable):
        hook(f"http://127.0.0.1:{free_port()}").send(reports)
    with raw_server(None) as url, pytest.raises(DestinationUnreachable, match="in time"):
        hook(url, timeout_s=0.2).send(reports)
    with says(403) as server, pytest.raises(AccessRefused):
        hook(server.url).send(reports)


def test_a_server_that_goes_away_later_costs_what_it_had_not_answered(reports: Sequence[Outgoing]) -> None:
    with WebServer() as server:
        server.answer = lambda _: Reply(200 if len(server.requests) == 1 else 503)
        outcomes = hook(server.url).send(reports)
    assert [one.error and one.error.code for one in outcomes] == [None, "DestinationBusy"]


def test_only_reports_are_told(reports: Sequence[Outgoing], tmp_path: Path) -> None:
    with says(200) as server:
        outcomes = hook(server.url).send([outgoing(tmp_path, data_set(SEG, 3)), reports[0]])
    assert [one.error and one.error.code for one in outcomes] == ["SopClassRefused", None]


@pytest.mark.parametrize("status", [200, 204, 405, 501])
def test_echo_tells_nobody_anything(status: int) -> None:
    with says(status) as server:
        hook(server.url).echo()
        assert [(one.method, one.body) for one in server.requests] == [("OPTIONS", b"")]


def test_echo_names_a_wrong_address() -> None:
    with says(404) as server, pytest.raises(UnexpectedAnswer, match="look at the URL"):
        hook(server.url).echo()
