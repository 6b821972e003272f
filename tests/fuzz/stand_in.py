"""The fast path alone, with a stand-in for pynetdicom: thousands of streams in a second.

The stand-in takes what the fast path leaves to it as pynetdicom would, PDU by PDU, without decoding a command: it
follows only where a message begins and ends. Whether both together do what pynetdicom alone does, is asked with
pynetdicom itself (``wire``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext

from node.domain.identity import is_uid
from node.errors import AinodeError, InvalidUid, UndecodableDataSet
from node.ports import Draft, View
from node.receive import header, pdu
from node.receive.fast_path import DATA_TRANSFER, Reception
from node.receive.intake import Command
from node.receive.status import Answer, answer_to
from tests.fuzz.wire import CONTEXTS, AlwaysReady, AlwaysReadyFast, Connection, Memory

# More steps than this for one stream would be a loop that never ends.
MAX_STEPS = 20000
NO_DATA_SET = 0x0101
WANTED = header.wanted_tags()


class _Queue:
    """What a ``queue.Queue`` shows of itself, without its locks."""

    def __init__(self) -> None:
        self.queue: list[str] = []

    def put(self, event: str) -> None:
        self.queue.append(event)


class _Timer:
    def restart(self) -> None:
        pass


class _Checkpoint:
    def set(self) -> None:
        pass

    def clear(self) -> None:
        pass


class Over(Exception):
    """The association has ended."""


@dataclass(slots=True)
class _Message:
    context_id: int
    command: bytearray = field(default_factory=bytearray)
    is_whole: bool = False
    """Whether the command is here."""


def _contexts() -> dict[int, PresentationContext]:
    made = {}
    for number, (abstract_syntax, transfer_syntax) in CONTEXTS.items():
        context = PresentationContext()
        context.context_id = number
        context.abstract_syntax, context.transfer_syntax = UID(abstract_syntax), [UID(transfer_syntax)]
        made[number] = context
    return made


class StandIn:
    """An association and its protocol provider, as far as the fast path sees them."""

    accepted = _contexts()

    def __init__(self, connection: Connection, reception: Reception) -> None:
        self.dul = self.dimse = self.state_machine = self.requestor = self
        self.current_state = DATA_TRANSFER
        self.is_established = True
        self.maximum_length = 16382
        self.to_provider_queue, self.event_queue = _Queue(), _Queue()
        self._idle_timer, self._reactor_checkpoint = _Timer(), _Checkpoint()
        self._accepted_cx = self.accepted
        self.message: _Message | None = None
        self.left = 0
        """How many messages were left to pynetdicom, from their first fragment on."""
        self._arrived: Callable[[Any], None] = lambda event: None
        self.socket: Any = AlwaysReady(self, client_socket=connection)  # type: ignore[arg-type]
        self.event_queue.queue.clear()
        AlwaysReadyFast.adopt(self, reception, 30.0)  # type: ignore[arg-type]

    def bind(self, event: object, handler: Callable[[Any], None]) -> None:
        self._arrived = handler

    def idle_timer_expired(self) -> bool:
        return False

    def _serve_request(self, message: Any, context_id: int) -> None:
        pass

    def step(self) -> None:
        """
        Raises:
            Over: this was the last one.
        """
        ready = self.socket.ready
        if self.event_queue.queue or not ready:
            raise Over
        try:
            head = self.socket.recv(pdu.HEADER_LENGTH)
            kind, length = pdu.header(head, 0)
            body = self.socket.recv(length)
        except (OSError, struct.error):
            raise Over from None
        if kind != pdu.P_DATA or len(body) < length or not pdu.is_well_formed(body, 0, length):
            raise Over
        for context_id, control, begin, end in pdu.fragments(body, 0, length):
            self._take(context_id, control, body[begin:end])

    def _take(self, context_id: int, control: int, part: bytearray) -> None:
        if self.message is None:
            self.left += 1
        message = self.message or _Message(context_id)
        if bool(control & pdu.COMMAND) == message.is_whole or message.context_id != context_id:
            raise Over
        self.message = message
        if control & pdu.COMMAND:
            message.command += part
        if control & pdu.LAST:
            whole_before, message.is_whole = message.is_whole, True
            if whole_before or not _has_data_set(message.command):
                self._serve()

    def _serve(self) -> None:
        self.message = None
        self._arrived(_Event())
        self._serve_request(None, 0)


class _Event:
    message = None


def _has_data_set(command: bytearray) -> bool:
    """What (0000,0800) says.

    Raises:
        Over: this is no command set.
    """
    at, found = 0, None
    while at < len(command):
        if at + 8 > len(command):
            raise Over
        _, number, length = struct.unpack_from("<HHI", command, at)
        if number == 0x0800 and length == 2 and at + 10 <= len(command):
            found = struct.unpack_from("<H", command, at + 8)[0]
        at += 8 + length
    if found is None or at != len(command):
        raise Over
    return found != NO_DATA_SET


@dataclass
class Outcome:
    """``taken``: SOP class, SOP instance, transfer syntax and Part 10 file of each object that the fast path took.

    ``left``: how many messages it left to pynetdicom. ``wrong``: errors that have no name of ours.
    """

    taken: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    left: int = 0
    answers: bytes = b""
    wrong: list[Exception] = field(default_factory=list)
    drafts: list[Memory] = field(default_factory=list)

    def begin(self, size: int) -> Draft:
        draft = Memory()
        self.drafts.append(draft)
        return draft  # type: ignore[return-value]

    def finish(self, association: Any, draft: Any, command: Command, offset: int) -> None:
        draft.discard()
        data = bytes(draft.data)
        walked(data, command.transfer_syntax_uid, offset)
        if not is_uid(command.sop_instance_uid) or not is_uid(command.sop_class_uid):
            raise InvalidUid("not a UID")
        if len(data) == offset:
            raise UndecodableDataSet("there is no data set")
        self.taken.append((command.sop_class_uid, command.sop_instance_uid, command.transfer_syntax_uid, data))

    def refuse(self, error: Exception) -> Answer:
        if not isinstance(error, AinodeError):
            self.wrong.append(error)
        return answer_to(error)


def run(stream: bytes, pieces: Sequence[int]) -> Outcome:
    """What the fast path makes of ``stream``, sent on an established association with the contexts ``CONTEXTS``."""
    outcome = Outcome()
    connection = Connection(stream, pieces)
    association = StandIn(connection, Reception(outcome.begin, outcome.finish, outcome.refuse))
    for _ in range(MAX_STEPS):
        try:
            association.step()
        except Over:
            break
    else:
        raise AssertionError("the association never ends")
    association.socket.release()
    outcome.left, outcome.answers = association.left, bytes(connection.sent)
    return outcome


def walked(data: bytes, transfer_syntax_uid: str, offset: int) -> None:
    """Walk the data set of a Part 10 file in both ways, which must agree; what it holds is no matter here."""
    view = View(data, 0, len(data))
    found = [_refused(lambda: header.check(view, transfer_syntax_uid, offset))]
    found.append(_refused(lambda: header.read(view, transfer_syntax_uid, WANTED, offset)))
    assert found[0] == found[1], "one way accepts what the other does not"


def _refused(walk: Callable[[], object]) -> bool:
    try:
        walk()
    except UndecodableDataSet:
        return True
    return False
