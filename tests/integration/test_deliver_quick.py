"""No delivery waits for Nagle's algorithm: ours is off, and we acknowledge at once where the peer's is on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from node.deliver import association
from node.deliver.association import Peer, opened
from node.deliver.negotiation import Syntax
from tests.fakes.peer_pacs import FaultyPacs
from tests.peers import REPOSITORY

VERIFICATION = Syntax("1.2.840.10008.1.1", "1.2.840.10008.1.2")


def test_every_association_has_no_delay_and_acknowledges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    armed: list[int] = []
    connection_of = association._connection

    def seen(event: object) -> socket.socket | None:
        connection = connection_of(event)  # type: ignore[arg-type]
        if connection is not None:
            armed.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return connection

    monkeypatch.setattr(association, "_connection", seen)
    with (
        FaultyPacs(tmp_path) as pacs,
        opened(Peer(pacs.ae_title, "127.0.0.1", pacs.port, "AINODE"), [VERIFICATION]) as link,
    ):
        assert link.dul.socket is not None
        assert link.dul.socket.socket is not None
        assert link.dul.socket.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        before = len(armed)
        assert link.send_c_echo().Status == 0
        assert len(armed) >= before + 2, "after what was sent, and after what came"


def test_there_is_one_place_that_opens_associations() -> None:
    """C-STORE, commitment, C-ECHO and C-FIND: all by ``opened``."""
    sources = sorted((REPOSITORY / "node" / "deliver").glob("*.py"))
    assert [path.name for path in sources if ".associate(" in path.read_text()] == ["association.py"]
