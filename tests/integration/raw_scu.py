"""A Storage SCU made of bytes, for what no proper library would send."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from types import TracebackType

IMPLICIT_VR = "1.2.840.10008.1.2"
EXPLICIT_VR = "1.2.840.10008.1.2.1"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
MR_STORAGE = "1.2.840.10008.5.1.4.1.1.4"

ASSOCIATE_AC = 2
ASSOCIATE_RJ = 3
P_DATA = 4
RELEASE_RP = 6
ABORT = 7


def element(number: int, value: bytes) -> bytes:
    """An element of a command set (group 0000, implicit VR little endian)."""
    padded = value + b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(padded)) + padded


def store_request(sop_class_uid: str, sop_instance_uid: str, with_data_set: bool = True) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 section 9.3.1.1)."""
    body = element(0x0002, sop_class_uid.encode())
    body += element(0x0100, struct.pack("<H", 1)) + element(0x0110, struct.pack("<H", 7))
    body += element(0x0700, struct.pack("<H", 0))
    body += element(0x0800, struct.pack("<H", 0x0000 if with_data_set else 0x0101))
    body += element(0x1000, sop_instance_uid.encode())
    return element(0x0000, struct.pack("<I", len(body))) + body


def associate_request(
    calling: str,
    called: str,
    abstract_syntax: str,
    transfer_syntaxes: list[str],
    further: Sequence[tuple[str, str]] = (),
    max_length: int = 65536,
) -> bytes:
    """``further`` (abstract and transfer syntax) get the context ids 3, 5, ...; the first one has 1."""
    items = _item(0x10, APPLICATION_CONTEXT.encode())
    contexts = [(abstract_syntax, transfer_syntaxes), *((abstract, [transfer]) for abstract, transfer in further)]
    for number, (abstract, transfers) in enumerate(contexts):
        syntaxes = _item(0x30, abstract.encode()) + b"".join(_item(0x40, each.encode()) for each in transfers)
        items += _item(0x20, bytes([2 * number + 1, 0, 0, 0]) + syntaxes)
    user = _item(0x51, struct.pack(">I", max_length)) + _item(0x52, b"1.2.3.4")
    items += _item(0x50, user)
    fixed = struct.pack(">HH", 1, 0) + called.ljust(16).encode() + calling.ljust(16).encode() + bytes(32)
    return pdu(1, fixed + items)


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def pdv(fragment: bytes, command: bool, last: bool, context_id: int = 1) -> bytes:
    return struct.pack(">IBB", len(fragment) + 2, context_id, command | last << 1) + fragment


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


class RawScu:
    """One connection. ``answer`` returns (PDU type, body), or None when the other side closed."""

    def __init__(self, address: tuple[str, int], timeout_s: float = 20.0) -> None:
        self.connection = socket.create_connection(address, timeout=timeout_s)

    def __enter__(self) -> RawScu:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.connection.close()

    def associate(
        self,
        abstract_syntax: str = MR_STORAGE,
        transfer_syntaxes: tuple[str, ...] = (EXPLICIT_VR,),
        calling: str = "RAW",
        called: str = "AINODE",
        further: Sequence[tuple[str, str]] = (),
        max_length: int = 65536,
    ) -> tuple[int, bytes]:
        request = associate_request(calling, called, abstract_syntax, list(transfer_syntaxes), further, max_length)
        self.connection.sendall(request)
        answer = self.answer()
        assert answer is not None
        return answer

    def send(self, kind: int, body: bytes) -> None:
        self.connection.sendall(pdu(kind, body))

    def store(self, sop_class_uid: str, sop_instance_uid: str, data_set: bytes, fragment: int = 60000) -> None:
        """A C-STORE-RQ with its data set, in fragments."""
        self.send(P_DATA, pdv(store_request(sop_class_uid, sop_instance_uid), command=True, last=True))
        parts = [data_set[at : at + fragment] for at in range(0, len(data_set), fragment)] or [b""]
        for index, part in enumerate(parts):
            self.send(P_DATA, pdv(part, command=False, last=index == len(parts) - 1))

    def status(self) -> int | None:
        """The Status (0000,0900) of the next response; None when the association was aborted or closed."""
        answer = self.answer()
        if answer is None or answer[0] != P_DATA:
            return None
        command = answer[1][6:]
        position = 0
        while position < len(command):
            group, number, length = struct.unpack_from("<HHI", command, position)
            if (group, number) == (0, 0x0900):
                return int(struct.unpack_from("<H", command, position + 8)[0])
            position += 8 + length
        return None

    def answer(self) -> tuple[int, bytes] | None:
        header = self._read(6)
        if len(header) < 6:
            return None
        kind, _, length = struct.unpack(">BBI", header)
        return kind, self._read(length)

    def release(self) -> tuple[int, bytes] | None:
        self.send(5, bytes(4))
        return self.answer()

    def abort(self) -> None:
        self.send(ABORT, bytes(4))

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            try:
                part = self.connection.recv(length - len(data))
            except ConnectionResetError:
                return data
            if not part:
                return data
            data += part
        return data
