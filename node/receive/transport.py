"""The TCP side of an association: no stalls, no hanging peers, no boundless reads, and a shared listening socket."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from socketserver import BaseServer
from typing import Any

import structlog
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

log = structlog.get_logger()

BACKLOG = 128
# An A-ASSOCIATE-RQ with 128 contexts of many transfer syntaxes stays below 1 MiB, and P-DATA below what we announce;
# a length beyond this is an attack or another protocol.
MAX_PDU_LENGTH = 4 << 20
# Its protocol thread ends with the association; one that does not is left to its socket's timeout.
DUL_JOIN_S = 5.0
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux only


def listening_socket(host: str, port: int) -> socket.socket:
    """
    Raises:
        OSError: the address cannot be bound.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def tune(association: Association, timeout_s: float) -> None:
    """Prepare the socket of a new association.

    Our answers leave at once (TCP_NODELAY), and a peer that stops inside a PDU is dropped after ``timeout_s``:
    without it both of its threads would wait for ever.
    """
    wrapped = association.dul.socket
    assert wrapped is not None
    connection = wrapped.socket
    assert connection is not None
    timeout = struct.pack("ll", int(timeout_s), int(timeout_s % 1 * 1_000_000))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
    wrapped.recv = _reader(connection)  # type: ignore[method-assign,assignment]
    acknowledge_at_once(wrapped)


def acknowledge_at_once(wrapped: AssociationSocket | None) -> None:
    """Re-arm TCP_QUICKACK, which the kernel drops again and again.

    DCMTK leaves Nagle's algorithm on: its small writes wait for our acknowledgement, which the kernel would delay by
    40 ms for every C-STORE.
    """
    connection = wrapped.socket if wrapped is not None else None
    if _QUICKACK is None or connection is None:
        return
    try:
        connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
    except OSError:
        return  # the connection is closing


def _reader(connection: socket.socket) -> Callable[[int], bytearray]:
    """A replacement for ``AssociationSocket.recv``: one buffer for a PDU, and no PDU without bounds."""

    def recv(length: int) -> bytearray:
        if length > MAX_PDU_LENGTH:
            raise ConnectionAbortedError("the PDU is too long")
        buffer = bytearray(length)
        filled = 0
        with memoryview(buffer) as view:
            while filled < length:
                count = connection.recv_into(view[filled:])
                if not count:
                    break
                filled += count
        return buffer[:filled]

    return recv


class Server(ThreadedAssociationServer):
    """Serves on a listening socket that other processes may share.

    Args:
        listener: bound and listening; closed by ``shutdown``.
        timeout_s: how long a peer may stop inside a PDU.
        has_room: whether one more connection may be served; each takes three threads.
        opened: told of each association and its peer's address before the first PDU is read.
        finished: told when the threads of an association are done.
    """

    daemon_threads = True

    def __init__(
        self,
        ae: ApplicationEntity,
        address: tuple[str, int],
        ae_title: str,
        contexts: list[PresentationContext],
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: list[evt.EventHandlerType] | None = None,
        *,
        listener: socket.socket,
        timeout_s: float,
        has_room: Callable[[], bool],
        opened: Callable[[Association, str], None],
        finished: Callable[[Association], None],
    ) -> None:
        self._listener = listener
        self._timeout_s = timeout_s
        self._has_room = has_room
        self._opened = opened
        self.finished = finished
        # Which association the connection's own thread has opened.
        self.arrived = threading.local()
        super().__init__(ae, address, ae_title, contexts, ssl_context, evt_handlers, Connection)
        self.bind(evt.EVT_CONN_OPEN, self._on_open)
        self.bind(evt.EVT_CONN_CLOSE, _on_close)

    def server_bind(self) -> None:
        if self.socket is not None:
            self.socket.close()
        # Several processes are woken by one connection; those that come too late must not block in accept.
        self._listener.setblocking(False)
        self.socket = self._listener
        self.server_address = self._listener.getsockname()

    def server_activate(self) -> None:
        """The socket listens already."""

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        connection.setblocking(True)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """A flood of connections is closed unread: it must not use up the threads of those that are served."""
        return self._has_room()

    def server_close(self) -> None:
        # No shutdown(2) here: it would close the port for every process that shares it.
        self._listener.close()

    def shutdown(self) -> None:
        BaseServer.shutdown(self)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.warning("receive.connection_failed")

    def _on_open(self, event: Any) -> None:
        self.arrived.association = event.assoc
        self._opened(event.assoc, event.address[0])
        tune(event.assoc, self._timeout_s)


def _on_close(event: Any) -> None:
    """A connection that ends without an association request must not keep its thread waiting for one."""
    if event.assoc.requestor.primitive is None:
        event.assoc.dul.to_user_queue.put(None)


class Connection(RequestHandler):
    """Runs in a thread of its own for each connection, and stays until the association is over."""

    server: Server

    def handle(self) -> None:
        super().handle()
        association: Association = self.server.arrived.association
        association.join()
        association.dul.join(DUL_JOIN_S)
        # pynetdicom leaves a socket open whose peer has gone: its shutdown fails, and so close is never reached.
        self.request.close()
        self.server.finished(association)
