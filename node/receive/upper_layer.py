"""How an association ends (PS3.8 section 9.2) where a peer sends what pynetdicom's upper layer does not foresee.

pynetdicom decodes a PDU and answers what cannot be decoded by an A-ABORT. But it looks at some values only when its
state machine acts on the PDU, and at others not at all; an error there would end a thread with a traceback, and
leave others waiting. The names with an underscore are private to pynetdicom 3.0.
"""

from __future__ import annotations

from typing import Any

import structlog
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ

from node.receive.negotiation_size import require_bounded

log = structlog.get_logger()

# PS3.8 Table 9-26: the source of an A-ABORT, and the reasons that a provider may give.
BY_USER, BY_PROVIDER = 0, 2
REASONS = (0, 1, 2, 4, 5, 6)
NOT_SPECIFIED = 0
# No association yet or any more: nobody expects an A-ABORT (states of section 9.2.2).
WITHOUT_ASSOCIATION = ("Sta1", "Sta13")


def end_quietly(association: Association) -> None:
    """Make whatever a peer sends end its own association at once and in order, its slot free.

    A negotiation without bounds is an invalid PDU. An A-ABORT is one whatever it names as its source and reason. Where
    the state machine meets an event that it does not know in its state, or fails, as it does at an A-ASSOCIATE-RQ with
    impossible values, the peer gets an A-ABORT and the connection is closed; likewise where the negotiation fails, as
    it does at a presentation context without an abstract syntax or without a transfer syntax.
    """
    association.bind(evt.EVT_PDU_RECV, _on_pdu)
    _bound_negotiation(association)
    _watch_state_machine(association)
    _watch_negotiation(association)


def _bound_negotiation(association: Association) -> None:
    dul = association.dul
    decode = dul._decode_pdu

    def decode_pdu(data: bytearray) -> Any:
        require_bounded(data)
        return decode(data)

    dul._decode_pdu = decode_pdu  # type: ignore[method-assign,assignment]


def _watch_state_machine(association: Association) -> None:
    machine = association.dul.state_machine
    act = machine.do_action

    def do_action(event: str) -> None:
        try:
            act(event)
        except Exception as error:  # noqa: BLE001  DIMSE handler: the association ends, the process goes on
            log.warning("receive.association_broken", error=type(error).__name__)
            _abort(association)

    machine.do_action = do_action  # type: ignore[method-assign]


def _watch_negotiation(association: Association) -> None:
    negotiate = association.acse.negotiate_association

    def negotiate_association() -> None:
        try:
            negotiate()
        except Exception as error:  # noqa: BLE001  DIMSE handler: the association ends, the process goes on
            log.warning("receive.request_impossible", error=type(error).__name__)
            association.acse.send_abort(BY_PROVIDER)
            association.kill()

    association.acse.negotiate_association = negotiate_association  # type: ignore[method-assign]


def no_request_will_come(association: Association) -> None:
    """The connection is over: the thread that waits for an association request shall wait no longer."""
    if association.requestor.primitive is None:
        association.dul.to_user_queue.put(None)


def _on_pdu(event: Any) -> None:
    """Before the state machine sees it: an A-ABORT with a source or a reason that the standard does not have."""
    pdu = event.pdu
    if not isinstance(pdu, A_ABORT_RQ):
        return
    if pdu.source not in (BY_USER, BY_PROVIDER):
        pdu.source = BY_USER
    if pdu.source == BY_PROVIDER and pdu.reason_diagnostic not in REASONS:
        pdu.reason_diagnostic = NOT_SPECIFIED


def _abort(association: Association) -> None:
    """End it without the state machine, which may be anywhere."""
    dul = association.dul
    if dul.socket is not None:
        if dul.state_machine.current_state not in WITHOUT_ASSOCIATION:
            pdu = A_ABORT_RQ()
            pdu.source, pdu.reason_diagnostic = BY_PROVIDER, NOT_SPECIFIED
            dul.socket.send(pdu.encode())
        dul.socket.close()
    dul.kill_dul()
    no_request_will_come(association)
