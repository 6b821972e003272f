from __future__ import annotations

import time
from typing import Any

import pytest
from pynetdicom.transport import ThreadedAssociationServer

from node.receive.transport import Server, Terms


class Accepted:
    def setblocking(self, blocking: bool) -> None:
        assert blocking


@pytest.mark.parametrize(
    ("shared", "connections", "waits"),
    [(True, 0, [0.0]), (True, 3, [0.006]), (True, 500, [0.02]), (False, 3, [])],
)
def test_who_is_busy_lets_an_idle_process_accept_first(
    monkeypatch: pytest.MonkeyPatch, shared: bool, connections: int, waits: list[float]
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    accept: Any = lambda server: (Accepted(), ("127.0.0.1", 104))  # noqa: E731
    monkeypatch.setattr(ThreadedAssociationServer, "get_request", accept)
    server = server_of(shared, connections)
    server.get_request()
    assert waited == pytest.approx(waits)


@pytest.mark.parametrize(("connections", "accepted"), [(0, True), (9, True), (10, False)])
def test_no_more_connections_than_allowed(connections: int, accepted: bool) -> None:
    assert server_of(True, connections).verify_request(None, None) is accepted


def server_of(shared: bool, connections: int) -> Server:
    server = Server.__new__(Server)
    nothing: Any = None
    server.terms = Terms(nothing, shared, 1.0, 10, nothing, nothing)
    fakes: Any = range(connections)
    server._connections = set(fakes)
    return server
