"""``python -m tests.bench.replay``: a Storage SCU that costs almost nothing, so that the server is what is measured.

It speaks just enough of PS3.8 to negotiate one presentation context and to send prepared C-STORE messages, one after
the other as every modality does, each as soon as the last was answered. TCP_NODELAY is set, and TCP_QUICKACK before
each answer: a server that leaves Nagle's algorithm on (DCMTK's as shipped, Orthanc) would else be measured by this
kernel's delayed acknowledgements. It prints one JSON line: instances, seconds from the first byte of the first
instance to the last answer, CPU seconds, and failures.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import sys
import time
from dataclasses import dataclass

from tests.bench.objects import KINDS, Kind

EXPLICIT_VR_LITTLE_ENDIAN = b"1.2.840.10008.1.2.1"
OUR_PDU = 16384
CONTEXT = 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("count", type=int)
    parser.add_argument("run", type=int)
    parser.add_argument("--called", help="without it, the server is the C program of limit.c")
    parser.add_argument("--calling", default="BENCH")
    arguments = parser.parse_args()
    kind = KINDS[arguments.kind]()
    with socket.create_connection((arguments.host, arguments.port), timeout=120) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if arguments.called:
            pdu = associate(connection, arguments.called, arguments.calling, kind.sop_class_uid)
            prepared, answered = Prepared.messages(kind, arguments.run, arguments.count, pdu), stored
        else:
            prepared, answered = Prepared.raw(kind, arguments.run, arguments.count), acknowledged
        # The driver starts all senders at once by one line on stdin.
        print("ready", flush=True)
        sys.stdin.readline()
        begin, cpu = time.perf_counter(), time.process_time()
        failures = 0
        for head in prepared.heads:
            send_all(connection, head, prepared.tail)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            failures += not answered(connection)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        print(
            json.dumps({"instances": arguments.count, "seconds": seconds, "cpu": cpu, "failures": failures}), flush=True
        )
        if arguments.called:
            connection.sendall(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
            connection.recv(10)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is sent, made before the clock starts: a beginning of its own for each instance, and the same rest."""

    heads: list[bytes]
    tail: bytes

    @classmethod
    def messages(cls, kind: Kind, run: int, count: int, pdu: int) -> Prepared:
        """C-STORE-RQ messages in PDUs of at most ``pdu`` bytes."""
        return cls._split(kind, run, count, message(kind, pdu))

    @classmethod
    def raw(cls, kind: Kind, run: int, count: int) -> Prepared:
        """A length and a data set, for the C program."""
        return cls._split(kind, run, count, struct.pack("<Q", len(kind.data_set)) + kind.data_set)

    @classmethod
    def _split(cls, kind: Kind, run: int, count: int, whole: bytes) -> Prepared:
        end = max(whole.rfind(kind.uid.encode()), whole.rfind(kind.study.encode())) + 128
        return cls([kind.renamed(whole[:end], run, number) for number in range(count)], whole[end:])


def send_all(connection: socket.socket, head: bytes, tail: bytes) -> None:
    sent = connection.sendmsg([head, tail])
    if sent < len(head):
        connection.sendall(head[sent:])
        sent = len(head)
    with memoryview(tail) as rest:
        connection.sendall(rest[sent - len(head) :])


def acknowledged(connection: socket.socket) -> bool:
    return connection.recv(1) == b"0"


def stored(connection: socket.socket) -> bool:
    return status(answer(connection)) == 0


def associate(connection: socket.socket, called: str, calling: str, sop_class_uid: str) -> int:
    """Negotiate; the longest P-DATA that the server takes (PS3.8 section 9.3.2 and 9.3.3).

    Raises:
        ConnectionError: rejected.
    """
    context = bytes((CONTEXT, 0, 0, 0)) + _item(0x30, sop_class_uid.encode()) + _item(0x40, EXPLICIT_VR_LITTLE_ENDIAN)
    user = _item(0x51, struct.pack(">I", OUR_PDU)) + _item(0x52, b"1.2.826.0.1.3680043.10.1099.1")
    body = struct.pack(">HH", 1, 0) + called.ljust(16).encode() + calling.ljust(16).encode() + bytes(32)
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + _item(0x20, context) + _item(0x50, user)
    connection.sendall(struct.pack(">BBI", 1, 0, len(body)) + body)
    kind, reply = read_pdu(connection)
    if kind != 2:
        raise ConnectionError(f"association not accepted: PDU type {kind}")
    found = reply.find(b"\x51\x00\x00\x04")
    longest: int = struct.unpack_from(">I", reply, found + 4)[0] if found >= 0 else OUR_PDU
    return min(longest, 1 << 20) or 1 << 20


def message(kind: Kind, pdu: int) -> bytes:
    """The PDUs of a C-STORE-RQ (PS3.7 section 9.3.1.1): the command, then the data set in fragments."""
    parts = [_p_data(_command(kind.sop_class_uid, kind.uid, 1), 3)]
    fragment = pdu - 6
    for start in range(0, len(kind.data_set), fragment):
        last = start + fragment >= len(kind.data_set)
        parts.append(_p_data(kind.data_set[start : start + fragment], 2 if last else 0))
    return b"".join(parts)


def answer(connection: socket.socket) -> bytes:
    """The C-STORE-RSP.

    Raises:
        ConnectionError: the server ended the association.
    """
    kind, body = read_pdu(connection)
    if kind != 4:
        raise ConnectionError(f"PDU type {kind} instead of an answer")
    return body


def status(response: bytes) -> int:
    """The Status (0000,0900) of a response."""
    found = response.find(b"\x00\x00\x00\x09\x02\x00\x00\x00")
    value: int = struct.unpack_from("<H", response, found + 8)[0]
    return value


def read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    kind, _, length = struct.unpack(">BBI", _exactly(connection, 6))
    return kind, _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        piece = connection.recv(count - len(found))
        if not piece:
            raise ConnectionError("the server closed the connection")
        found += piece
    return bytes(found)


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def _p_data(value: bytes, control: int) -> bytes:
    return struct.pack(">BBIIBB", 4, 0, len(value) + 6, len(value) + 2, CONTEXT, control) + value


def _command(sop_class_uid: str, sop_instance_uid: str, message_id: int) -> bytes:
    elements = b"".join(
        (
            _element(0x0002, _uid(sop_class_uid)),
            _element(0x0100, b"\x01\x00"),
            _element(0x0110, struct.pack("<H", message_id)),
            _element(0x0700, b"\x00\x00"),
            _element(0x0800, b"\x00\x00"),
            _element(0x1000, _uid(sop_instance_uid)),
        )
    )
    return _element(0x0000, struct.pack("<I", len(elements))) + elements


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


def _uid(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)


if __name__ == "__main__":
    main()
