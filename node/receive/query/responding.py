"""C-MOVE and C-GET are answered with what their handlers yield, response by response.

pynetdicom would do the sub-operations itself: decode and encode every instance anew, open associations without our
deadlines, and answer without an Error Comment. Here a handler of ``evt.EVT_C_MOVE`` or ``evt.EVT_C_GET`` yields pairs
of status and identifier, as one of ``evt.EVT_C_FIND`` does; the counts of sub-operations stand in the status. The names
with an underscore are private to pynetdicom 3.0.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_GET, C_MOVE
from pynetdicom.dsutils import encode

log = structlog.get_logger()

EVENTS = {C_GET: evt.EVT_C_GET, C_MOVE: evt.EVT_C_MOVE}
# Refused: SOP class not supported (PS3.7 C.5.17).
NOT_SUPPORTED = 0x0122


def answer_retrievals(association: Association) -> None:
    """Have C-MOVE and C-GET requests on this association served here."""
    serve = association._serve_request

    def serve_request(message: Any, context_id: int) -> None:
        context = association._accepted_cx.get(context_id)
        if type(message) not in EVENTS or not _is_request(message) or context is None:
            serve(message, context_id)
            return
        association.dimse.cancel_req = {}
        association._is_paused = True
        try:
            _serve(association, message, context)
        except Exception as error:  # noqa: BLE001  DIMSE handler: the association ends, the process goes on
            log.error("query.broken", error=type(error).__name__)
            association.abort(block=False)
        association._is_paused = False
        association.dimse.cancel_req = {}

    association._serve_request = serve_request  # type: ignore[method-assign,assignment]


def is_over(association: Association) -> bool:
    """Whether who asked has gone: the thread that would notice is the one that serves."""
    return not association.is_established or association.acse.is_aborted() or not association.dul.is_alive()


def stay_awake(association: Association) -> None:
    """Who waits for sub-operations says nothing: its silence is none."""
    association.dul._idle_timer.restart()


def _is_request(message: Any) -> bool:
    """Also one that lacks what only its handler misses."""
    return None not in (message.MessageID, message.AffectedSOPClassUID) and message.MessageIDBeingRespondedTo is None


def _serve(association: Association, message: Any, context: Any) -> None:
    def is_cancelled(message_id: int) -> bool:
        return association.dimse.cancel_req.pop(message_id, None) is not None

    facts = {"request": message, "context": context.as_tuple, "_is_cancelled": is_cancelled}
    try:
        answers = evt.trigger(association, EVENTS[type(message)], facts)
    except (KeyError, NotImplementedError):
        # There are handlers, but none of the abstract syntax that this context has.
        _send(association, message, context, _status(NOT_SUPPORTED), None)
        return
    for status, identifier in answers or ():
        if is_over(association):
            return
        _send(association, message, context, status, identifier)
        stay_awake(association)


def _send(association: Association, message: Any, context: Any, status: Dataset, identifier: Dataset | None) -> None:
    answer = type(message)()
    answer.MessageID = answer.MessageIDBeingRespondedTo = message.MessageID
    answer.AffectedSOPClassUID = message.AffectedSOPClassUID
    for element in status:
        setattr(answer, element.keyword, element.value)
    if identifier is not None:
        syntax = UID(context.transfer_syntax[0])
        encoded = encode(identifier, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
        answer.Identifier = BytesIO(encoded or b"")
    association.dimse.send_msg(answer, context.context_id)


def _status(value: int) -> Dataset:
    made = Dataset()
    made.Status = value
    return made
