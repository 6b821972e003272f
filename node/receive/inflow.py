"""The bytes that a peer sends, read far ahead into one buffer.

The kernel is asked for as much as there is, and nobody copies a byte before it is written to the store. A read gives
up after ``POLL_S`` so that its thread can look around; how long a peer may stop is the caller's business.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time

from node.receive import pdu

CAPACITY = 1 << 20
POLL_S = 0.2
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class Inflow:
    """What was read and not yet used is ``buffer[start:end]``.

    The buffer is made when the first byte is read ahead. Reading may move what is in it: views end before.
    """

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._tls = connection if isinstance(connection, ssl.SSLSocket) else None
        self._arrived = select.poll()
        if self._tls is not None:
            self._arrived.register(connection, select.POLLIN)
        self.buffer = bytearray()
        self.start = self.end = 0
        set_timeouts(connection, POLL_S if self._tls is None else timeout_s, timeout_s)

    def __len__(self) -> int:
        return self.end - self.start

    def has_header(self) -> bool:
        return self.end - self.start >= pdu.HEADER_LENGTH

    def missing(self) -> int:
        """How many bytes of the PDU at ``start`` have not arrived, its header being here."""
        return pdu.HEADER_LENGTH + pdu.header(self.buffer, self.start)[1] - (self.end - self.start)

    def fill(self) -> bool:
        """Read what has arrived; False where nothing did for ``POLL_S``.

        Raises:
            OSError: the connection is closed or broken.
        """
        self._make_room()
        with memoryview(self.buffer) as view, view[self.end :] as room:
            count = self._read_into(room)
        self.end += max(count, 0)
        return count >= 0

    def read(self, length: int) -> bytearray:
        """Exactly ``length`` bytes, fewer where the peer closed the connection.

        Raises:
            OSError: the connection is broken, or nothing came for ``timeout_s``.
        """
        taken = min(length, len(self))
        found = bytearray(length)
        found[:taken] = self.buffer[self.start : self.start + taken]
        self.start += taken
        try:
            with memoryview(found) as view:
                while taken < length:
                    taken += self._wait_for(view[taken:])
        except ConnectionAbortedError:
            return found[:taken]
        return found

    def _wait_for(self, room: memoryview) -> int:
        deadline = time.monotonic() + self._timeout_s
        while (count := self._read_into(room)) < 0:
            if time.monotonic() > deadline:
                raise TimeoutError("the peer stopped inside a PDU")
        return count

    def _read_into(self, room: memoryview) -> int:
        """How many bytes were read; -1 where none came for ``POLL_S``."""
        if self._tls is not None and not self._tls.pending() and not self._arrived.poll(POLL_S * 1000):
            return -1
        try:
            count = self._connection.recv_into(room)
        except (BlockingIOError, ssl.SSLWantReadError):
            return -1
        if not count:
            raise ConnectionAbortedError("the peer has closed the connection")
        acknowledge_at_once(self._connection)
        return count

    def _make_room(self) -> None:
        """Room for the whole PDU at ``start``, and for some more."""
        if self.start == self.end:
            self.start = self.end = 0
        wanted = max(self.missing(), 1) if self.has_header() else pdu.HEADER_LENGTH
        if len(self.buffer) - self.end >= max(wanted, CAPACITY // 16):
            return
        held = len(self)
        larger = bytearray(max(CAPACITY, held + wanted)) if len(self.buffer) < held + wanted + 1 else None
        moved = self.buffer if larger is None else larger
        with memoryview(self.buffer) as old, memoryview(moved) as new:
            new[:held] = old[self.start : self.end]
        self.buffer, self.start, self.end = moved, 0, held

    def release(self) -> None:
        """Give the buffer back; nothing is read any more."""
        self.buffer = bytearray()
        self.start = self.end = 0


def set_timeouts(connection: socket.socket, receive_s: float, send_s: float) -> None:
    """How long one read and one write may take.

    TLS cannot tell a timeout of the kernel's from a want of bytes and would try again for ever: it gets Python's.
    """
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(max(receive_s, send_s))
        return
    for option, seconds in ((socket.SO_RCVTIMEO, receive_s), (socket.SO_SNDTIMEO, send_s)):
        timeout = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
        connection.setsockopt(socket.SOL_SOCKET, option, timeout)


def acknowledge_at_once(connection: socket.socket) -> None:
    """Re-arm TCP_QUICKACK, which the kernel drops again and again.

    DCMTK leaves Nagle's algorithm on: its small writes wait for our acknowledgement, which the kernel would delay by
    40 ms for every C-STORE.
    """
    if _QUICKACK is None:
        return
    try:
        connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
    except OSError:
        return  # the connection is closing
