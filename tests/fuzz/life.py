"""A whole connection of the real Storage SCP without threads and sockets: bytes in, answers and stored objects out.

pynetdicom runs a connection in two threads, one for the protocol and one for the services. Here both take their steps
in turn, so that a connection is over in a millisecond and always in the same way. What would end one of those threads
with a traceback, or leave one waiting when the connection is gone, is an error here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from node.receive import transport
from node.receive.fast_path import FastSocket
from node.receive.storage_scp import StorageScp
from tests.fuzz.wire import Connection

PEER = ("127.0.0.1", 11112)
# More steps than this for one connection would be a loop that never ends.
MAX_STEPS = 20000
# The steps that the services may still take when the protocol is over.
LAST_STEPS = 10
# How often it is asked whether an answer has come before the peer goes on without one.
PATIENCE = 10


class Polite(Connection):
    """A peer that sends ``request``, waits for an answer for a while, then sends ``stream`` and closes."""

    def __init__(self, request: bytes, stream: bytes, pieces: Sequence[int]) -> None:
        super().__init__(request + stream, pieces)
        self._rest_until = len(stream)
        self._asked = 0

    @property
    def ready(self) -> bool:
        self._asked += 1
        return len(self._rest) != self._rest_until or bool(self.sent) or self._asked > PATIENCE


class _Ready(AssociationSocket):
    @property
    def ready(self) -> bool:
        return self._is_connected and isinstance(self.socket, Polite) and self.socket.ready


class _ReadyFast(FastSocket, _Ready):
    pass


def live(scp: StorageScp, request: bytes, stream: bytes, pieces: Sequence[int] = ()) -> bytes:
    """Let a peer connect to ``scp``, which has been started; all that it is answered."""
    connection = Polite(request, stream, pieces)
    association = _opened(scp, connection)
    services = _services(association)
    dul = association.dul
    for _ in range(MAX_STEPS):
        if dul._kill_thread:
            break
        if not dul._process_recv_primitive():
            dul._is_transport_event()
        if not dul.event_queue.empty():
            dul.state_machine.do_action(dul.event_queue.get())
        next(services, None)
    else:
        raise AssertionError("the connection never ends")
    if sum(1 for _ in islice(services, LAST_STEPS)) == LAST_STEPS:
        raise AssertionError("the connection is over, and its slot is not freed")
    assert scp._server is not None
    scp._server.terms.finished(association)
    return bytes(connection.sent)


def _opened(scp: StorageScp, connection: Connection) -> Association:
    """What the connection's own thread does at its beginning."""
    handler: Any = object.__new__(transport.Connection)
    handler.request, handler.client_address, handler.server = connection, PEER, scp._server
    association: Association = handler._create_association()

    def abort(block: bool = True) -> None:
        """pynetdicom's own waits for threads that are not there."""
        Association._abort_blocking(association, block=False)
        association.is_established = False

    association._abort_blocking = association.abort = abort  # type: ignore[method-assign]
    evt.trigger(association, evt.EVT_CONN_OPEN, {"address": PEER})
    wrapped: Any = association.dul.socket
    wrapped.__class__ = _ReadyFast if isinstance(wrapped, FastSocket) else _Ready
    return association


def _services(association: Association) -> Iterator[None]:
    """The steps of ``Association.run_reactor``, which the services of an acceptor run in."""
    while association.dul.to_user_queue.empty():
        yield
    association.requestor.primitive = association.dul.receive_pdu(wait=False)
    if association.requestor.primitive is None:
        return
    evt.trigger(association, evt.EVT_REQUESTED, {})
    if not association.is_aborted and not association.is_rejected:
        association.acse.negotiate_association()
    while association.is_established and not association.dul._kill_thread:
        yield
        context_id, message = association.dimse.get_msg()
        if message is not None and context_id is not None:
            association._serve_request(message, context_id)
        if association.is_established and association.acse.is_release_requested():
            association.acse.send_release(is_response=True)
            association.is_released, association.is_established = True, False
            evt.trigger(association, evt.EVT_RELEASED, {})
        elif association.acse.is_aborted():
            association.dul.receive_pdu(wait=False)
            association.is_aborted, association.is_established = True, False
