"""One association as SCU: opened with deadlines, without stalls, and with pynetdicom's outcomes as errors of ours."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket

from node.deliver.checkpoint import Checkpoint
from node.deliver.negotiation import Syntax
from node.errors import AssociationRejected, DestinationUnreachable
from node.ports.holdings import Originator

MAX_PDU = 131072
Handlers = list[tuple[Any, Callable[..., Any]]]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is called, as whom, and how long it may take to answer."""

    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    timeout_s: float = 30.0


class ClosingSocket(AssociationSocket):
    """pynetdicom shuts a socket down before it closes it, and forgets to close one where that fails.

    So it does where the socket was never connected, or its peer has gone.
    """

    def _shutdown_socket(self) -> None:
        connection = self.socket
        super()._shutdown_socket()
        if connection is not None:
            connection.close()


class ClosingEntity(AE):
    """An AE whose requested associations leave no open socket behind."""

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[ssl.SSLContext, str] | None
    ) -> ClosingSocket:
        made = ClosingSocket(assoc, address=address)
        made.tls_args = tls_args
        return made


@contextlib.contextmanager
def opened(
    peer: Peer,
    contexts: Sequence[Syntax | PresentationContext],
    handlers: Handlers | None = None,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    """An established association, released at the end (aborted if an error leaves the block).

    Nothing is established, and no error raised, when the peer refused every single context: the caller finds
    ``accepted`` empty.

    Raises:
        DestinationUnreachable: no connection, no answer in time, or an abort.
        AssociationRejected: the peer answered A-ASSOCIATE-RJ (PS3.8 section 9.3.4).
    """
    association = _associate(peer, contexts, handlers or [], roles)
    if association.is_rejected:
        raise _rejection(association)
    if not association.is_established and not association.rejected_contexts:
        raise DestinationUnreachable("no connection, or no answer to the association request", port=peer.port)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    association.release()


def accepted(association: Association) -> dict[Syntax, int]:
    """The accepted contexts with their ids."""
    return {
        Syntax(str(context.abstract_syntax), str(context.transfer_syntax[0])): context.context_id
        for context in association.accepted_contexts
        if context.context_id is not None
    }


def store(
    association: Association,
    context: tuple[Syntax, int],
    sop_instance_uid: str,
    data_set: bytes,
    message_id: int,
    originator: Originator | None = None,
) -> tuple[int, str]:
    """C-STORE already encoded bytes as they are; the status and the Error Comment answered (PS3.7 section 9.1.1).

    ``Association.send_c_store`` would parse and encode the data set anew; the bytes verified here are the ones that
    should arrive. What it does beyond that is repeated: pause the reactor, so that it does not take the answer.

    Raises:
        DestinationUnreachable: the association was aborted, or no answer came in time (it is then aborted).
    """
    syntax, context_id = context
    request = C_STORE()
    request.MessageID = message_id
    request.Priority = 2  # low, as nobody waits at a console for it
    request.AffectedSOPClassUID = UID(syntax.sop_class_uid)
    request.AffectedSOPInstanceUID = UID(sop_instance_uid)
    request.DataSet = BytesIO(data_set)
    if originator is not None:
        request.MoveOriginatorApplicationEntityTitle = originator.ae_title
        request.MoveOriginatorMessageID = originator.message_id
    response = _exchange(association, request, context_id)
    if response is None or not response.is_valid_response:
        if association.is_established:
            # One that we serve (C-GET) is ended by its own thread, which is this one.
            association.abort(block=association.is_requestor)
        raise DestinationUnreachable("the association broke off before the C-STORE was answered")
    return int(response.Status), str(response.ErrorComment or "")


def _exchange(association: Association, request: Any, context_id: int) -> Any:
    if not association.is_established:
        return None
    association._reactor_checkpoint.clear()
    try:
        association.dimse.send_msg(request, context_id)
        _, response = association.dimse.get_msg(block=True)
    finally:
        association._reactor_checkpoint.set()
    return response


def _associate(
    peer: Peer,
    contexts: Sequence[Syntax | PresentationContext],
    handlers: Handlers,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
) -> Association:
    entity = ClosingEntity(ae_title=peer.calling_ae_title)
    entity.acse_timeout = peer.timeout_s
    entity.dimse_timeout = peer.timeout_s
    entity.network_timeout = peer.timeout_s
    entity.connection_timeout = peer.timeout_s
    try:
        # No extended negotiation but roles: asynchronous operations are never proposed.
        association = entity.associate(
            peer.host,
            peer.port,
            contexts=[build_context(*each) if isinstance(each, Syntax) else each for each in contexts],
            ae_title=peer.ae_title,
            max_pdu=MAX_PDU,
            ext_neg=list(roles),
            evt_handlers=[*QUICK, *handlers],
        )
    except OSError as error:
        raise DestinationUnreachable(f"no address for the host: {error.strerror}", port=peer.port) from error
    association._reactor_checkpoint = Checkpoint(association)  # type: ignore[assignment]
    return association


def _rejection(association: Association) -> AssociationRejected:
    answer = association.acceptor.primitive
    assert answer is not None
    return AssociationRejected(
        f"{answer.result_str}: {answer.reason_str}", result=answer.result, reason=answer.diagnostic
    )


def _on_open(event: evt.Event) -> None:
    """Small writes go out at once, and a peer that stops reading or stops inside a PDU does not hold us for ever.

    However the connection ends, its socket is closed.
    """
    wrapped = event.assoc.dul.socket
    if type(wrapped) is AssociationSocket:
        wrapped.__class__ = ClosingSocket  # an accepted one: those that we open are of this class already
    connection = _connection(event)
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(event.assoc.network_timeout)
    _quick_ack(event)


def _quick_ack(event: evt.Event) -> None:
    """A peer with Nagle's algorithm on (DCMTK) waits for our ACK: without this every answer costs 44 ms.

    Linux forgets the option, so it is set again after everything sent and received.
    """
    connection = _connection(event)
    if connection is not None and hasattr(socket, "TCP_QUICKACK"):
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


# For every association, whoever opens it.
QUICK: Handlers = [
    (evt.EVT_CONN_OPEN, _on_open),
    (evt.EVT_DATA_SENT, _quick_ack),
    (evt.EVT_DATA_RECV, _quick_ack),
]


def _connection(event: evt.Event) -> socket.socket | None:
    """The socket below an association, None once it is closed."""
    wrapped = event.assoc.dul.socket
    return None if wrapped is None else wrapped.socket
