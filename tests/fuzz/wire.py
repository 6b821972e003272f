"""One association without threads and sockets: bytes in, answers and stored objects out, by either receive path.

pynetdicom's own state machine, message decoding and services run here as they do in its threads, one step after the
other, so that both paths can be compared on any stream of bytes, quickly and always in the same way.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import InvalidEventError, StateMachine
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket

from node.domain.identity import is_uid
from node.errors import AinodeError, InvalidUid, UndecodableDataSet
from node.ports import Draft
from node.receive import pdu
from node.receive.fast_path import FastSocket, Reception
from node.receive.intake import Command
from node.receive.leftovers import Leftovers, abort_on_unreadable_messages
from node.receive.part10 import data_set_offset
from node.receive.status import answer_to
from node.receive.storage_scp import _status
from node.receive.transport import _reader
from node.receive.upper_layer import end_quietly

CONTEXTS = {1: ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1"), 3: ("1.2.840.10008.1.1", "1.2.840.10008.1.2")}
A_ABORT = 7
# More steps than this for one stream would be a loop that never ends.
MAX_STEPS = 20000


class Connection:
    """A peer that has sent ``stream`` and closed; it arrives in pieces of ``pieces`` bytes, again and again."""

    def __init__(self, stream: bytes, pieces: Sequence[int]) -> None:
        self._rest = memoryview(stream)
        self._pieces = [*pieces] or [len(stream)]
        self._turn = 0
        self.sent = bytearray()

    def recv_into(self, room: memoryview) -> int:
        size = min(len(room), max(1, self._pieces[self._turn % len(self._pieces)]), len(self._rest))
        self._turn += 1
        room[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def setsockopt(self, *_: object) -> None:
        pass

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        pass


class AlwaysReady(AssociationSocket):
    @property
    def ready(self) -> bool:
        return self.socket is not None and self._is_connected


class AlwaysReadyFast(FastSocket, AlwaysReady):
    pass


@dataclass
class Memory:
    """A draft in memory; ``ended`` counts what was committed or discarded."""

    data: bytearray = field(default_factory=bytearray)
    ended: bool = False

    def write(self, parts: Sequence[Any]) -> None:
        assert not self.ended
        for part in parts:
            self.data += part

    def discard(self) -> None:
        self.ended = True


@dataclass
class Outcome:
    """``stored``: SOP class, SOP instance, transfer syntax and Part 10 file of each, in order.

    ``answers``: every byte sent, an abort being the last.
    """

    stored: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    answers: bytes = b""
    state: str = ""
    died: bool = False
    drafts: list[Memory] = field(default_factory=list)


def one_fragment_each(stream: bytes) -> bytes:
    """The same, with a PDU of its own for each fragment: for pynetdicom, which reads a PDU before it answers.

    Where a message is followed by a broken one in the same PDU, whether it is answered first depends on the threads.
    """
    sent = bytearray()
    at = 0
    while at + pdu.HEADER_LENGTH <= len(stream):
        kind, length = pdu.header(stream, at)
        begin, end = at + pdu.HEADER_LENGTH, at + pdu.HEADER_LENGTH + length
        if kind != pdu.P_DATA or not length or end > len(stream) or not pdu.is_well_formed(stream, begin, end):
            sent += stream[at:end]
        else:
            for *_, first, until in pdu.fragments(stream, begin, end):
                sent += struct.pack(">BBI", pdu.P_DATA, 0, until - first + 6) + stream[first - 6 : until]
        at = end
    return bytes(sent) + stream[at:]


def until_abort(answers: bytes) -> bytes:
    """The PDUs up to the first A-ABORT: what is read after it is no longer a protocol."""
    at = 0
    while at < len(answers):
        kind, length = pdu.header(answers, at)
        at += pdu.HEADER_LENGTH + length
        if kind == A_ABORT:
            break
    return answers[:at]


def run(stream: bytes, pieces: Sequence[int], *, fast: bool) -> Outcome:
    """What becomes of ``stream``, sent on an established association with the contexts ``CONTEXTS``."""
    outcome = Outcome()
    connection = Connection(stream, pieces)
    association = _established(connection)
    site = _Site(outcome)

    def abort(block: bool = True) -> None:
        """pynetdicom's own waits for threads that are not there."""
        Association._abort_blocking(association, block=False)
        association.is_established = False

    association._abort_blocking = abort  # type: ignore[method-assign]
    _bind(association, site)
    _make_socket(association, connection, site if fast else None)
    dul = association.dul
    for _ in range(MAX_STEPS):
        if dul._kill_thread:
            break
        if not dul._process_recv_primitive():
            dul._is_transport_event()
        if not dul.event_queue.empty() and not _acts(dul, dul.event_queue.get()):
            outcome.died = True
            break
        _react(association)
    else:
        raise AssertionError("the association never ends")
    site.leftovers.remove(association)
    outcome.answers, outcome.state = until_abort(bytes(connection.sent)), dul.state_machine.current_state
    return outcome


def _acts(dul: DULServiceProvider, event: str) -> bool:
    """Whether the state machine knows the event in its state; in a thread of its own it would die of it."""
    try:
        # Not that of the instance, which ends the connection instead: both paths shall end in the same state.
        StateMachine.do_action(dul.state_machine, event)
    except InvalidEventError:
        return False
    return True


def _react(association: Association) -> None:
    """What the association's own thread does: serve what has arrived, before more of it is read."""
    while association.is_established and association.dimse.msg_queue.queue:
        context_id, message = association.dimse.get_msg()
        if message is not None and context_id is not None:
            association._serve_request(message, context_id)


def _established(connection: Connection) -> Association:
    association = Association(AE(), "acceptor")
    association.requestor.maximum_length = 16382
    association.requestor.address_info = AddressInformation("127.0.0.1", 11112)
    association.set_socket(AlwaysReady(association, client_socket=connection))  # type: ignore[arg-type]
    association.dul.event_queue.get()
    association.dul.state_machine.current_state = "Sta6"
    association.is_established = True
    for number, (abstract_syntax, transfer_syntax) in CONTEXTS.items():
        context = PresentationContext()
        context.context_id = number
        context.abstract_syntax, context.transfer_syntax = UID(abstract_syntax), [UID(transfer_syntax)]
        context._as_scp = True
        association._accepted_cx[number] = context
    return association


def _bind(association: Association, site: _Site) -> None:
    abort_on_unreadable_messages(association)
    end_quietly(association)
    association.bind(evt.EVT_C_STORE, site.on_store)
    association.bind(evt.EVT_C_ECHO, lambda event: 0)
    association.bind(evt.EVT_DIMSE_RECV, site.on_message)


def _make_socket(association: Association, connection: Connection, site: _Site | None) -> None:
    wrapped: Any = association.dul.socket
    if site is None:
        wrapped.recv = _reader(connection)  # type: ignore[arg-type]
        return
    FastSocket.adopt(association, Reception(site.begin, site.finish, answer_to), 30.0)
    wrapped.__class__ = AlwaysReadyFast


class _Site:
    """Keeps what comes; refuses what is named otherwise than by UIDs, and what is empty."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.leftovers = Leftovers()

    def begin(self, size: int) -> Draft:
        draft = Memory()
        self._outcome.drafts.append(draft)
        return draft  # type: ignore[return-value]

    def finish(self, association: Association, draft: Any, command: Command, offset: int) -> None:
        draft.discard()
        self._keep(bytes(draft.data), command, offset)

    def on_message(self, event: Any) -> None:
        self.leftovers.arrived(event.message)

    def on_store(self, event: Any) -> Any:
        path: Path | None = event.dataset_path
        try:
            if path is None:
                raise UndecodableDataSet("there is no data set")
            self.leftovers.served(path)
            data = path.read_bytes()
            command = Command(
                str(event.request.AffectedSOPClassUID),
                str(event.request.AffectedSOPInstanceUID),
                str(event.context.transfer_syntax),
            )
            self._keep(data, command, data_set_offset(data))
        except AinodeError as error:
            return _status(answer_to(error))
        finally:
            if path is not None:
                path.unlink(missing_ok=True)
        return 0

    def _keep(self, data: bytes, command: Command, offset: int) -> None:
        if not is_uid(command.sop_instance_uid) or not is_uid(command.sop_class_uid):
            raise InvalidUid("not a UID")
        if len(data) == offset:
            raise UndecodableDataSet("there is no data set")
        self._outcome.stored.append(
            (command.sop_class_uid, command.sop_instance_uid, command.transfer_syntax_uid, data)
        )
