"""The TCP side of an association: no stalls, no hanging peers, no boundless reads, and a shared listening socket."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from socketserver import BaseServer
from typing import Any

import structlog
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from node.receive import pdu
from node.receive.inflow import acknowledge_at_once, set_timeouts
from node.receive.tls import secured
from node.receive.upper_layer import no_request_will_come

log = structlog.get_logger()

BACKLOG = 128
# What a process waits before it accepts, for each connection that it serves already.
YIELD_S = 0.002
MOST_YIELDS = 10
# The protocol thread of an association that is over ends at once, or when its socket's time is out.
DUL_JOIN_S = 5.0


def listening_socket(host: str, port: int) -> socket.socket:
    """
    Raises:
        OSError: the address cannot be bound.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def tune(association: Association, timeout_s: float) -> None:
    """Prepare the socket of a new association that pynetdicom serves by itself.

    A peer that stops inside a PDU is dropped after ``timeout_s``: without it both of its threads would wait for ever.
    """
    wrapped = association.dul.socket
    assert wrapped is not None
    connection = wrapped.socket
    assert connection is not None
    set_timeouts(connection, timeout_s, timeout_s)
    wrapped.recv = _reader(connection)  # type: ignore[method-assign,assignment]


def _reader(connection: socket.socket) -> Callable[[int], bytearray]:
    """A replacement for ``AssociationSocket.recv``: one buffer for a PDU, and no PDU without bounds."""

    def recv(length: int) -> bytearray:
        if length > pdu.MAX_LENGTH:
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


@dataclass(frozen=True, slots=True)
class Terms:
    """How connections are served.

    ``listener`` is bound and listening, and closed by ``Server.shutdown``. ``shared``: other processes accept from it
    too. ``timeout_s`` is how long a peer may stop inside a PDU or a TLS handshake, ``max_connections`` how many may be
    open: each takes three threads. ``opened`` is told of each association and its peer's address before the first PDU
    is read, and prepares its socket; ``finished`` is told when the threads of an association are done.
    """

    listener: socket.socket
    shared: bool
    timeout_s: float
    max_connections: int
    opened: Callable[[Association, str], None]
    finished: Callable[[Association], None]
    tls: ssl.SSLContext | None = None


class Server(ThreadedAssociationServer):
    """Serves on a listening socket that other processes may share."""

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
        terms: Terms,
    ) -> None:
        self.terms = terms
        self._connections: set[socket.socket] = set()
        # Which association the connection's own thread has opened.
        self.arrived = threading.local()
        super().__init__(ae, address, ae_title, contexts, ssl_context, evt_handlers, Connection)
        self.bind(evt.EVT_CONN_OPEN, self._on_open)
        self.bind(evt.EVT_CONN_CLOSE, _on_close)

    def server_bind(self) -> None:
        if self.socket is not None:
            self.socket.close()
        # Several processes are woken by one connection; those that come too late must not block in accept.
        self.terms.listener.setblocking(False)
        self.socket = self.terms.listener
        self.server_address = self.terms.listener.getsockname()

    def server_activate(self) -> None:
        """The socket listens already."""

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        if self.terms.shared:
            # The busy wait a moment, so that an idle process is the first to accept.
            time.sleep(YIELD_S * min(len(self._connections), MOST_YIELDS))
        connection, address = super().get_request()
        connection.setblocking(True)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """A flood of connections is closed unread: it must not use up the threads of those that are served."""
        return len(self._connections) < self.terms.max_connections

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._connections.discard(request)  # there is no thread for it
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.discard(request)

    def service_actions(self) -> None:
        """pynetdicom would collect garbage here, again and again; Python does it when there is some."""

    def server_close(self) -> None:
        # No shutdown(2) here: it would close the port for every process that shares it.
        self.terms.listener.close()

    def shutdown(self) -> None:
        BaseServer.shutdown(self)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        log.warning("receive.connection_failed", error=type(error).__name__)

    def _on_open(self, event: Any) -> None:
        self.arrived.association = event.assoc
        connection = event.assoc.dul.socket.socket
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        acknowledge_at_once(connection)
        self.terms.opened(event.assoc, event.address[0])


def _on_close(event: Any) -> None:
    """A connection that ends without an association request must not keep its thread waiting for one."""
    no_request_will_come(event.assoc)


class Connection(RequestHandler):
    """Runs in a thread of its own for each connection, and stays until the association is over."""

    server: Server

    def handle(self) -> None:
        terms = self.server.terms
        if terms.tls is not None:
            # Here and not where the connection is accepted: a peer that is slow to shake hands holds up itself alone.
            self.request = secured(self.request, terms.tls, terms.timeout_s)
        try:
            super().handle()
            association: Association = self.server.arrived.association
            association.join()
            association.dul.join(DUL_JOIN_S + terms.timeout_s)
        finally:
            # pynetdicom leaves a socket open whose peer has gone: its shutdown fails, and so close is never reached.
            self.request.close()
        terms.finished(association)
