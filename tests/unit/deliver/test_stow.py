"""STOW-RS against a real HTTP server that answers as servers do, well and badly."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.deliver.http import WebAccess, WebPeer, retry_after_s
from node.deliver.multipart import parse_answer
from node.deliver.qido import QidoBack
from node.deliver.stow import StowDestination
from node.domain.delivery import Acknowledged
from node.errors import (
    AccessRefused,
    DeliveryError,
    DestinationBusy,
    DestinationUnreachable,
    QueryRefused,
    UnexpectedAnswer,
)
from node.ports import Outgoing
from tests.fakes.web_peer import Reply, StowServer, WebServer, as_json
from tests.objects import MR, SC, SEG, SR, data_set, outgoing

TIMEOUT_S = 60.0


def stow(url: str, timeout_s: float = TIMEOUT_S, **access: str) -> StowDestination:
    return StowDestination("web", WebPeer(WebAccess(url, timeout_s, **access)))  # type: ignore[arg-type]


def looked_for(*numbers: int) -> list[Acknowledged]:
    """Objects as they were stored at the server."""
    made = [data_set(SEG, number) for number in numbers]
    uids = [(str(one.StudyInstanceUID), str(one.SeriesInstanceUID), SEG, str(one.SOPInstanceUID)) for one in made]
    return [Acknowledged(1, "web", *four, datetime(2030, 1, 1, tzinfo=UTC), 1, 3) for four in uids]


def qido(url: str) -> QidoBack:
    return QidoBack("web", WebPeer(WebAccess(url, TIMEOUT_S)))


@pytest.fixture
def objects(tmp_path: Path) -> Sequence[Outgoing]:
    return [outgoing(tmp_path, data_set(kind, number)) for number, kind in enumerate((SEG, SR, MR), start=1)]


@contextmanager
def says(reply: Reply) -> Iterator[WebServer]:
    with WebServer(lambda _: reply) as server:
        yield server


def codes(destination: StowDestination, objects: Sequence[Outgoing]) -> list[str | None]:
    return [None if one.error is None else one.error.code for one in destination.send(objects)]


def test_one_request_for_all_with_its_length_and_types(objects: Sequence[Outgoing]) -> None:
    with StowServer() as server:
        assert codes(stow(server.url + "/dicom-web"), objects) == [None] * 3
        (request,) = server.requests
        assert (request.method, request.path) == ("POST", "/dicom-web/studies")
        assert int(request.headers["content-length"]) == len(request.body)
        assert request.headers["accept"] == "application/dicom+json"
        assert len(request.headers["content-type"].partition("boundary=")[2]) <= 70  # RFC 2046 section 5.1.1
        assert b"\r\nContent-Type: application/dicom\r\n\r\n" in request.body
        for one in objects:
            assert server.kept[one.sop_instance_uid] == Path(one.location.path).read_bytes()


def test_failures_of_single_instances_are_theirs_alone(objects: Sequence[Outgoing], tmp_path: Path) -> None:
    with StowServer() as server:
        server.refused = frozenset({SC})
        capture = outgoing(tmp_path, data_set(SC, 4))
        assert codes(stow(server.url), [objects[0], capture, objects[1]]) == [None, "SopClassRefused", None]
        assert codes(stow(server.url), [capture]) == ["SopClassRefused"]  # 409, as nothing is stored
        assert len(server.requests) == 2


def test_409_for_every_instance_with_its_reason(objects: Sequence[Outgoing]) -> None:
    with StowServer() as server:
        server.reason = 0xA700
        outcomes = stow(server.url).send(objects)
        assert [(one.status, one.error.code) for one in outcomes if one.error] == [(0xA700, "StoreRefused")] * 3
        assert all(one.error.retryable for one in outcomes if one.error)
        assert len(server.requests) == 1


def test_409_that_names_nobody_is_asked_of_each(objects: Sequence[Outgoing]) -> None:
    with says(Reply(409, {}, b"conflict of PATIENT^NAME")) as server:
        outcomes = stow(server.url).send(objects)
        assert [one.error.code for one in outcomes if one.error] == ["StoreRefused"] * 3
        assert len(server.requests) == 4
        assert outcomes[0].error is not None
        assert outcomes[0].error.details == {"http_status": 409, "comment_length": 24}
        assert "PATIENT" not in str(outcomes[0].error)


def test_413_for_all_of_them_sends_one_by_one(objects: Sequence[Outgoing], tmp_path: Path) -> None:
    large = outgoing(tmp_path, data_set(MR, 9, size=64))
    with StowServer() as server:
        server.too_large = 3000
        outcomes = stow(server.url).send([objects[0], large, objects[1]])
        assert [None if one.error is None else one.error.code for one in outcomes] == [None, "ObjectTooLarge", None]
        assert outcomes[1].error is not None
        assert not outcomes[1].error.retryable


@pytest.mark.parametrize(
    ("status", "headers", "kind", "details"),
    [
        (401, {"WWW-Authenticate": "Basic"}, AccessRefused, {"http_status": 401}),
        (403, {}, AccessRefused, {"http_status": 403}),
        (503, {"Retry-After": "120"}, DestinationBusy, {"http_status": 503, "retry_after_s": 120.0}),
        (503, {}, DestinationBusy, {"http_status": 503, "retry_after_s": None}),
        (429, {"Retry-After": "nan"}, DestinationBusy, {"http_status": 429, "retry_after_s": None}),
        (502, {}, DestinationUnreachable, {"http_status": 502}),
    ],
)
def test_answers_that_are_of_all(
    objects: Sequence[Outgoing], status: int, headers: dict[str, str], kind: type[DeliveryError], details: object
) -> None:
    with says(Reply(status, headers)) as server:
        for call in (lambda: stow(server.url).send(objects), stow(server.url).echo):
            with pytest.raises(kind) as caught:
                call()
            assert caught.value.details == details
            assert caught.value.retryable


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(200, {}, b"<html>welcome</html>"), "UnexpectedAnswer"),
        (Reply(200, {}, b""), "UnexpectedAnswer"),
        (as_json({}), "UnexpectedAnswer"),
        (as_json({"00081199": {"vr": "SQ", "Value": "nonsense"}}), "UnexpectedAnswer"),
        (Reply(302, {"Location": "http://127.0.0.1:1/"}), "UnexpectedAnswer"),
        (Reply(404), "DestinationUnreachable"),
        (Reply(500), "StoreRefused"),
        (Reply(415), "StoreRefused"),
    ],
)
def test_answers_that_say_nothing_of_the_instance(objects: Sequence[Outgoing], reply: Reply, code: str) -> None:
    with says(reply) as server:
        outcomes = stow(server.url).send(objects[:1])
        assert [one.error.code for one in outcomes if one.error] == [code]
        assert all(one.error.retryable for one in outcomes if one.error)


def test_a_warning_is_kept(objects: Sequence[Outgoing]) -> None:
    uid = objects[0].sop_instance_uid
    item = {"00081155": {"vr": "UI", "Value": [uid]}, "00081196": {"vr": "US", "Value": [0xB000]}}
    with says(as_json({"00081199": {"vr": "SQ", "Value": [item]}}, 202)) as server:
        (outcome,) = stow(server.url).send(objects[:1])
        assert (outcome.status, outcome.error) == (0xB000, None)


@pytest.mark.parametrize(
    "raw", [b"", b"220 smtp.example.org ESMTP\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
def test_a_server_that_speaks_something_else_or_closes(objects: Sequence[Outgoing], raw: bytes) -> None:
    with raw_server(raw) as url, pytest.raises((DestinationUnreachable, UnexpectedAnswer)) as caught:
        stow(url).send(objects)
    assert caught.value.retryable


def test_a_server_that_never_answers(objects: Sequence[Outgoing]) -> None:
    with raw_server(None) as url, pytest.raises(DestinationUnreachable, match="in time"):
        stow(url, timeout_s=0.3).send(objects)


@contextmanager
def raw_server(answer: bytes | None) -> Iterator[str]:
    """Says ``answer`` and closes after the first bytes came; None: says nothing."""
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        held.append(connection)
        connection.settimeout(TIMEOUT_S)
        connection.recv(1 << 20)
        if answer is not None:
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()
        thread.join(TIMEOUT_S)
        for connection in held:
            connection.close()


def test_an_answer_without_an_end_is_not_read_to_it(
    objects: Sequence[Outgoing], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.deliver.http.MAX_ANSWER", 1000)
    with says(Reply(200, {}, b"x" * 5000)) as server, pytest.raises(UnexpectedAnswer, match="does not end"):
        stow(server.url).send(objects)


def test_read_back_finds_what_is_there_and_tells_what_is_not(objects: Sequence[Outgoing]) -> None:
    with StowServer() as server:
        assert codes(stow(server.url), objects) == [None] * 3
        assert not [request for request in server.requests if request.method == "GET"], "sending waits for no query"
        sent, never_sent = looked_for(1, 9)
        assert qido(server.url).held([sent, never_sent]) == {sent.sop_instance_uid}
        queries = [request.path for request in server.requests if request.method == "GET"]
        assert queries[0].startswith(f"/studies/{sent.study_instance_uid}/series/{sent.series_instance_uid}/instances?")
        server.forgets, server.kept = True, {}
        assert codes(stow(server.url), objects) == [None] * 3
        assert qido(server.url).held([sent]) == frozenset()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(404), QueryRefused),
        (Reply(501), QueryRefused),
        (Reply(500), QueryRefused),
        (Reply(401), AccessRefused),
        (Reply(503), DestinationBusy),
        (Reply(200, {}, b"<html>"), UnexpectedAnswer),
    ],
)
def test_who_cannot_be_asked_says_nothing_of_what_is_there(reply: Reply, kind: type[DeliveryError]) -> None:
    with says(reply) as server, pytest.raises(kind) as caught:
        qido(server.url).held(looked_for(1))
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("access", "header"),
    [
        ({"token": "t0ken"}, "Bearer t0ken"),
        ({"username": "node", "password": "päss"}, "Basic bm9kZTpww6Rzcw=="),
        ({}, None),
    ],
)
def test_credentials_go_with_every_request(
    objects: Sequence[Outgoing], access: dict[str, str], header: str | None
) -> None:
    with StowServer() as server:
        destination = stow(server.url, **access)
        destination.send(objects)
        destination.echo()
        assert [request.headers.get("authorization") for request in server.requests] == [header] * 2


def test_secrets_show_in_no_representation() -> None:
    assert "s3cret" not in repr(WebAccess("http://x", password="s3cret", token="s3cret"))


@pytest.mark.parametrize(
    ("status", "options", "kind"), [(404, 200, None), (405, 204, None), (501, 404, UnexpectedAnswer), (204, 0, None)]
)
def test_a_server_without_queries_is_asked_what_it_can(
    status: int, options: int, kind: type[DeliveryError] | None
) -> None:
    with WebServer(lambda request: Reply(status if request.method == "GET" else options)) as server:
        call: Callable[[], None] = stow(server.url).echo
        if kind is None:
            call()
        else:
            with pytest.raises(kind):
                call()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("-3", 0.0),
        ("1e300", 3600.0),
        ("soon", None),
        ("Sat, 05 Jan 2030 12:00:30 GMT", 30.0),
        ("Sat, 05 Jan 2030 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, datetime(2030, 1, 5, 12, tzinfo=UTC)) == seconds


def test_a_failure_without_a_reason_is_a_failure() -> None:
    item = {"00081155": {"vr": "UI", "Value": ["1.2"]}}
    told = parse_answer(json.dumps([{"00081198": {"vr": "SQ", "Value": [item]}}]).encode())
    assert told.failed == {"1.2": 0x0110}
