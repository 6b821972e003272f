"""Whether the pynetdicom that is installed is the one that the fast path was written for.

The fast path leans on names that pynetdicom does not promise to keep. All of them are looked up here before anything
is served, with their parameters, and two encodings are compared byte for byte; if anything differs, pynetdicom's own
reception serves.
"""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable, Iterator
from operator import attrgetter

import pynetdicom
from pydicom.uid import UID
from pynetdicom import AE, PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import create_file_meta, encode_file_meta
from pynetdicom.dul import DULServiceProvider
from pynetdicom.fsm import TRANSITION_TABLE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.timer import Timer
from pynetdicom.transport import AssociationSocket

from node.receive import pdu
from node.receive.fast_path import CONNECTION_CLOSED, DATA_TRANSFER, INVALID_PDU
from node.receive.status import SUCCESS, Answer, Status

VERSIONS = ((3, 0, 4), (3, 1, 0))
SIGNATURES: tuple[tuple[type, str, tuple[str, ...]], ...] = (
    (AssociationSocket, "recv", ("self", "nr_bytes")),
    (Association, "_serve_request", ("self", "msg", "context_id")),
    (Association, "bind", ("self", "event", "handler", "args")),
    (DIMSEServiceProvider, "receive_primitive", ("self", "primitive")),
    (DULServiceProvider, "_is_transport_event", ("self",)),
    (DULServiceProvider, "_read_pdu_data", ("self",)),
    (DULServiceProvider, "idle_timer_expired", ("self",)),
    (Timer, "restart", ("self",)),
)
PROPERTIES = ("ready", "event_queue", "assoc")
# What an association has from its beginning, and the socket that it is given.
ATTRIBUTES = (
    "_accepted_cx.get",
    "_reactor_checkpoint.clear",
    "_reactor_checkpoint.set",
    "is_established",
    "requestor.maximum_length",
    "dimse.message",
    "dul.socket.socket",
    "dul.socket._is_connected",
    "dul.state_machine.current_state",
    "dul.to_provider_queue.queue",
    "dul.event_queue.put",
    "dul.event_queue.queue",
    "dul._idle_timer.restart",
)
_REQUEST = pdu.StoreRequest(1, "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4", 7)
_TRANSFER_SYNTAX = "1.2.840.10008.1.2.1"


def unusable() -> str:
    """The first thing that is not as the fast path needs it; empty where all is."""
    try:
        return next(_problems(), "")
    except Exception as error:  # noqa: BLE001  whatever else has changed: the other path serves
        return f"{type(error).__name__} during the self-check"


def _problems() -> Iterator[str]:
    if not VERSIONS[0] <= tuple(int(part) for part in pynetdicom.__version__.split(".")[:3]) < VERSIONS[1]:
        yield f"version {pynetdicom.__version__}"
    for owner, name, parameters in SIGNATURES:
        method = getattr(owner, name, None)
        if method is None or tuple(inspect.signature(method).parameters) != parameters:
            yield f"{owner.__name__}.{name}"
    for name in PROPERTIES:
        if not isinstance(getattr(AssociationSocket, name, None), property):
            yield f"{AssociationSocket.__name__}.{name}"
    if not {(CONNECTION_CLOSED, DATA_TRANSFER), (INVALID_PDU, DATA_TRANSFER)} <= TRANSITION_TABLE.keys():
        yield "the state machine"
    yield from _missing_attributes()
    yield from (name for name, same in _ENCODINGS.items() if not same())


def _missing_attributes() -> Iterator[str]:
    ours, peers = socket.socketpair()
    with ours, peers:
        association = Association(AE(), "acceptor")
        association.set_socket(AssociationSocket(association, client_socket=ours))
        for path in ATTRIBUTES:
            try:
                attrgetter(path)(association)
            except AttributeError:
                yield path


def _is_same_file_meta() -> bool:
    theirs = create_file_meta(
        sop_class_uid=UID(_REQUEST.sop_class_uid),
        sop_instance_uid=UID(_REQUEST.sop_instance_uid),
        transfer_syntax=UID(_TRANSFER_SYNTAX),
    )
    ours = pdu.file_meta(_REQUEST, _TRANSFER_SYNTAX, PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION)
    return ours == bytes(128) + b"DICM" + encode_file_meta(theirs)


def _is_same_response() -> bool:
    answers = (SUCCESS, Answer(Status.OUT_OF_RESOURCES, "full"), Answer(Status.DATA_SET_MISMATCH, "other"))
    return all(pdu.store_response(_REQUEST, answer, 16382) == _their_response(answer) for answer in answers)


def _their_response(answer: Answer) -> bytes:
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo = _REQUEST.message_id
    primitive.AffectedSOPClassUID = UID(_REQUEST.sop_class_uid)
    primitive.AffectedSOPInstanceUID = UID(_REQUEST.sop_instance_uid)
    primitive.Status = int(answer.status)
    primitive.ErrorComment = answer.comment or None  # type: ignore[assignment]
    message: DIMSEMessage = C_STORE_RSP()
    message.primitive_to_message(primitive)
    return b"".join(P_DATA_TF(each).encode() for each in message.encode_msg(_REQUEST.context_id, 16382))


_ENCODINGS: dict[str, Callable[[], bool]] = {
    "file meta information": _is_same_file_meta,
    "C-STORE-RSP": _is_same_response,
}
