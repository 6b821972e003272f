"""No delivery waits for Nagle's algorithm: ours is off, and we acknowledge at once where the peer's is on."""

from __future__ import annotations

import select
import socket
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from node.deliver import association
from node.deliver.association import Peer, opened
from node.deliver.negotiation import Syntax
from tests.fakes.peer_pacs import FaultyPacs
from tests.peers import REPOSITORY
from tests.waiting import wait_for

LOOPBACK = "127.0.0.1"
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


def test_an_accepted_socket_is_closed_when_its_peer_has_gone() -> None:
    """Left to the garbage collector it would be a warning in whatever runs then."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        peer = socket.create_connection(listening.getsockname())
        connection, _ = listening.accept()
    accepted = Association(AE(), "acceptor")
    accepted.set_socket(AssociationSocket(accepted, client_socket=connection))
    (on_open,) = [handler for event, handler in association.QUICK if event is evt.EVT_CONN_OPEN]
    on_open(SimpleNamespace(assoc=accepted))
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it resets
    peer.close()
    wait_for(lambda: select.select([connection], [], [], 1.0)[0], "the peer has gone")
    assert accepted.dul.socket is not None
    accepted.dul.socket.close()
    assert connection.fileno() < 0


def test_there_is_one_place_that_opens_associations() -> None:
    """C-STORE, commitment, C-ECHO and C-FIND: all by ``opened``."""
    sources = sorted((REPOSITORY / "node" / "deliver").glob("*.py"))
    assert [path.name for path in sources if ".associate(" in path.read_text()] == ["association.py"]
