"""The fast receive path: whole C-STOREs are taken before pynetdicom sees them.

pynetdicom negotiates and serves everything else. Its socket wrapper is ours: when its protocol thread asks whether
there is something to read, that thread itself receives C-STORE-RQ messages, writes their fragments to a draft straight
from the receive buffer, and answers. What is not a plain C-STORE-RQ is left to pynetdicom, byte for byte, and while it
has a message to serve, the next ones are left to it too: so answers keep the order of the requests. The other thread
of the association is parked meanwhile.

What is private to pynetdicom 3.0 and used here is checked at start by ``self_check``: each name stands there too.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION, evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket
from typing_extensions import Buffer

from node.errors import AinodeError
from node.ports import Draft
from node.receive import pdu
from node.receive.inflow import Inflow, acknowledge_at_once
from node.receive.intake import Command
from node.receive.status import SUCCESS, Answer

# So many fragments are written together; those that are small on average are joined first.
MAX_PARTS = 256
SMALL_PART = 1024
# A peer that takes only smaller PDUs than this gets its answers from pynetdicom.
SMALLEST_PEER_PDU = 512
# Events and a state of PS3.8 section 9.2.
CONNECTION_CLOSED, INVALID_PDU = "Evt17", "Evt19"
DATA_TRANSFER = "Sta6"


@dataclass(frozen=True, slots=True)
class Reception:
    """What takes the instances of an association.

    ``begin`` gives a draft for an object of at least so many bytes; ``finish`` keeps it (draft, command, offset of the
    data set) or raises; ``refuse`` is the answer to what either of them raised.
    """

    begin: Callable[[int], Draft]
    finish: Callable[[Association, Draft, Command, int], None]
    refuse: Callable[[Exception], Answer]


class _LeftToPynetdicom(Exception):
    """The PDU at the start of the buffer, of whatever type, is not ours."""


class _Over(Exception):
    """The association cannot go on; ``event`` is what its state machine is told, if anything (PS3.8 Table 9-10)."""

    def __init__(self, event: str = "") -> None:
        super().__init__(event)
        self.event = event


class Unserved:
    """Counts the messages that pynetdicom has received and not served to their end."""

    def __init__(self, association: Association) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._serve = association._serve_request
        association._serve_request = self._served  # type: ignore[method-assign,assignment]
        association.bind(evt.EVT_DIMSE_RECV, self._arrived)

    def __bool__(self) -> bool:
        return self._count > 0

    def _arrived(self, event: Any) -> None:
        # Nobody answers a C-CANCEL; a response is waited for by whoever sent the request (C-STORE of a C-GET).
        name = type(event.message).__name__
        if name.endswith("_RQ") and name != "C_CANCEL_RQ":
            with self._lock:
                self._count += 1

    def _served(self, message: Any, context_id: int) -> None:
        try:
            self._serve(message, context_id)
        finally:
            with self._lock:
                self._count = max(self._count - 1, 0)


class FastSocket(AssociationSocket):
    """pynetdicom's socket of one association, used by the association's protocol thread alone."""

    _inflow: Inflow
    _reception: Reception
    _unserved: Unserved
    _timeout_s: float

    @classmethod
    def adopt(cls, association: Association, reception: Reception, timeout_s: float) -> None:
        """Make the socket that pynetdicom has just made for a connection a fast one."""
        wrapped: Any = association.dul.socket
        wrapped.__class__ = cls
        wrapped._inflow = Inflow(wrapped.socket, timeout_s)
        wrapped._reception = reception
        wrapped._unserved = Unserved(association)
        wrapped._timeout_s = timeout_s

    def recv(self, nr_bytes: int) -> bytearray:
        """What pynetdicom reads: from the buffer first, then from the connection."""
        if nr_bytes > pdu.MAX_LENGTH:
            raise ConnectionAbortedError("the PDU is too long")
        return self._inflow.read(nr_bytes)

    def release(self) -> None:
        """The association is over: give the buffer back."""
        self._inflow.release()

    @property
    def ready(self) -> bool:
        """Whether pynetdicom shall read a PDU now. C-STOREs that lie before it are taken meanwhile."""
        if self.socket is None or not self._is_connected:
            return False
        if not self._is_ours():
            return len(self._inflow) > 0 or super().ready
        checkpoint = self.assoc._reactor_checkpoint
        checkpoint.clear()
        try:
            return self._serve(self.socket)
        except _LeftToPynetdicom:
            return True
        except _Over as over:
            if over.event:
                self.event_queue.put(over.event)
            return False
        except OSError:
            self.event_queue.put(CONNECTION_CLOSED)
            return False
        finally:
            checkpoint.set()

    def _is_ours(self) -> bool:
        """Whether the next message may be taken here: data transfer, and pynetdicom has nothing to do."""
        association = self.assoc
        dul = association.dul
        return (
            dul.state_machine.current_state == DATA_TRANSFER
            and association.is_established
            and association.dimse.message is None
            and not self._unserved
            and not dul.to_provider_queue.queue
            and not dul.event_queue.queue
            and not dul.idle_timer_expired()
            and not 0 < self._longest_answer() < SMALLEST_PEER_PDU
        )

    def _longest_answer(self) -> int:
        return int(self.assoc.requestor.maximum_length or 0)

    def _serve(self, connection: socket.socket) -> bool:
        """Take C-STOREs until there is something else to do: True where pynetdicom shall read, False where not."""
        inflow = self._inflow
        while self._wait_for_pdu(inside=False):
            end = self._end_of_pdu()
            opening = pdu.opening(inflow.buffer, inflow.start + pdu.HEADER_LENGTH, end)
            context = None if opening is None else self.assoc._accepted_cx.get(opening[0].context_id)
            if opening is None or context is None:
                return True
            request, at = opening
            with _Taking(self._reception, self.assoc, request, str(context.transfer_syntax[0])) as taking:
                taking.begin(len(inflow))
                self._take(taking, at, end)
                answer = taking.finish()
            connection.sendall(pdu.store_response(request, answer, self._longest_answer()))
            acknowledge_at_once(connection)
            self.assoc.dul._idle_timer.restart()
        return False

    def _take(self, taking: _Taking, at: int, end: int) -> None:
        """Write the data set; the first of its fragments may stand at ``at`` in the PDU that ends at ``end``."""
        inflow = self._inflow
        while True:
            inflow.start = end
            after = taking.add(inflow.buffer, at, end)
            if after is not None:
                taking.write()
                self._leave_from(after, end)
                return
            if not _has_pdu(inflow):
                taking.write()
                self._wait_for_pdu(inside=True)
            at, end = inflow.start + pdu.HEADER_LENGTH, self._end_of_pdu()
            if not pdu.is_well_formed(inflow.buffer, at, end):
                inflow.start = end
                raise _Over(INVALID_PDU)

    def _leave_from(self, at: int, end: int) -> None:
        """What follows a message in its PDU becomes a PDU of its own; the bytes before it are overwritten."""
        if at < end:
            pdu.put_header(self._inflow.buffer, at, end)
            self._inflow.start = at - pdu.HEADER_LENGTH

    def _end_of_pdu(self) -> int:
        """Where the P-DATA-TF PDU at the start ends, which is all here.

        Raises:
            _LeftToPynetdicom: it is no P-DATA-TF, or too long.
        """
        inflow = self._inflow
        kind, length = pdu.header(inflow.buffer, inflow.start)
        if kind != pdu.P_DATA or length > pdu.MAX_LENGTH:
            raise _LeftToPynetdicom
        return inflow.start + pdu.HEADER_LENGTH + length

    def _wait_for_pdu(self, inside: bool) -> bool:
        """Wait for a PDU, ``inside`` a message or before one; False where none came for the idle time.

        Raises:
            _Over: the association is being aborted, or the peer has stopped inside a message.
            OSError: the connection is closed, or the peer has stopped inside a PDU.
        """
        inflow, dul = self._inflow, self.assoc.dul
        deadline = time.monotonic() + self._timeout_s
        while not _has_pdu(inflow):
            if dul.to_provider_queue.queue or not self.assoc.is_established:
                raise _Over
            if inflow.fill():
                deadline = time.monotonic() + self._timeout_s
            elif not inside and not len(inflow):
                if dul.idle_timer_expired():
                    return False
            elif time.monotonic() > deadline:
                raise TimeoutError if len(inflow) else _Over(INVALID_PDU)
        return True


def _has_pdu(inflow: Inflow) -> bool:
    """Whether a whole P-DATA-TF PDU lies at the start, or the header of one that is not for us."""
    if not inflow.has_header():
        return False
    kind, length = pdu.header(inflow.buffer, inflow.start)
    return kind != pdu.P_DATA or length > pdu.MAX_LENGTH or inflow.missing() <= 0


class _Taking:
    """One object on its way into the store. A failure is kept until the sender can be told, after the data set."""

    def __init__(
        self, reception: Reception, association: Association, request: pdu.StoreRequest, transfer_syntax_uid: str
    ) -> None:
        self._reception = reception
        self._association = association
        self._request = request
        self._transfer_syntax_uid = transfer_syntax_uid
        self._head = pdu.file_meta(
            request, transfer_syntax_uid, PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
        )
        self._parts: list[bytes | memoryview] = [self._head]
        self._draft: Draft | None = None
        self._error: Exception | None = None

    def __enter__(self) -> _Taking:
        return self

    def __exit__(self, *_: object) -> None:
        self._discard()

    def begin(self, size: int) -> None:
        """``size``: the object has at least about so many bytes."""
        try:
            self._draft = self._reception.begin(size)
        except Exception as error:  # noqa: BLE001  DIMSE handler: the sender gets a failure, the process goes on
            self._error = error

    def add(self, buffer: bytearray, at: int, end: int) -> int | None:
        """Take the fragments of a PDU; where the data set ended in it, or None.

        Raises:
            _Over: one of another message stands among them.
        """
        view = memoryview(buffer)
        for context_id, control, begin, until in pdu.fragments(buffer, at, end):
            if control & pdu.COMMAND or context_id != self._request.context_id:
                raise _Over(INVALID_PDU)
            self._parts.append(view[begin:until])
            if control & pdu.LAST:
                return until
            if len(self._parts) >= MAX_PARTS:
                self.write()
        return None

    def write(self) -> None:
        """Hand what was added to the store: the buffer may be used again afterwards."""
        parts, self._parts = self._parts, []
        if self._draft is None or not parts:
            return
        try:
            self._draft.write(_joined_if_small(parts))
        except Exception as error:  # noqa: BLE001  DIMSE handler: the sender gets a failure, the process goes on
            self._error = error
            self._discard()

    def finish(self) -> Answer:
        """Keep the object, durably; what the sender is answered."""
        self.write()
        draft, self._draft = self._draft, None
        if draft is not None:
            request = self._request
            command = Command(request.sop_class_uid, request.sop_instance_uid, self._transfer_syntax_uid)
            try:
                self._reception.finish(self._association, draft, command, len(self._head))
            except Exception as error:  # noqa: BLE001  DIMSE handler: the sender gets a failure, the process goes on
                self._error = error
        return SUCCESS if self._error is None else self._reception.refuse(self._error)

    def _discard(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            with contextlib.suppress(AinodeError, OSError):  # what is left of it is swept at the next start
                draft.discard()


def _joined_if_small(parts: list[bytes | memoryview]) -> Sequence[Buffer]:
    """Many small parts cost more to write one by one than to copy."""
    return parts if sum(map(len, parts)) >= SMALL_PART * len(parts) else [b"".join(parts)]
