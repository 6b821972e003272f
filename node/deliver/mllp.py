"""The Minimal Lower Layer Protocol, release 1 (HL7 v2.5.1 appendix C): one message out, its answer in."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from node.errors import DestinationUnreachable, UnexpectedAnswer

START, END = b"\x0b", b"\x1c\x0d"
# An acknowledgment is a few hundred bytes.
MAX_ANSWER = 1 << 20
_CHUNK = 1 << 14


class MllpLine:
    """A connection for as long as it is open; one message at a time."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s

    def exchange(self, message: bytes) -> bytes:
        """
        Raises:
            DestinationUnreachable: no answer in time, or the connection was closed.
            UnexpectedAnswer: what came is no block, or one without an end.
        """
        with _translated():
            self._connection.settimeout(self._timeout_s)
            self._connection.sendall(START + message + END)
            return self._block(time.monotonic() + self._timeout_s)

    def _block(self, deadline: float) -> bytes:
        received = bytearray()
        while not received.endswith(END):
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            part = self._connection.recv(_CHUNK)
            if not part:
                raise DestinationUnreachable("the connection was closed before the message was acknowledged")
            received += part
            if not received.startswith(START):
                raise UnexpectedAnswer("what came back is no MLLP block", bytes=len(received))
            if len(received) > MAX_ANSWER:
                raise UnexpectedAnswer("the answer does not end", bytes=len(received))
        return bytes(received[len(START) : -len(END)])


@contextmanager
def connected(host: str, port: int, timeout_s: float) -> Iterator[MllpLine]:
    """
    Raises:
        DestinationUnreachable: no connection.
    """
    with _translated():
        connection = socket.create_connection((host, port), timeout_s)
    with connection:
        yield MllpLine(connection, timeout_s)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise DestinationUnreachable("no answer in time") from error
    except OSError as error:
        raise DestinationUnreachable(f"no connection: {error.strerror or type(error).__name__}") from error
