"""What pynetdicom leaves behind when a C-STORE is not served to its end, and how it is tidied up.

Chunked reception makes a file for each C-STORE as it arrives and removes it after our handler. Where the handler
never runs (the association ends first, or the command lacks something mandatory and is ignored), the file would stay.
The names with an underscore are private to pynetdicom 3.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import P_DATA

from node.receive import pdu

log = structlog.get_logger()

# An N-EVENT-REPORT about 100,000 instances has some 15 MB.
MAX_MESSAGE_IN_MEMORY = 64 << 20


class Leftovers:
    """The files of one association that have arrived whole and were not served yet."""

    def __init__(self) -> None:
        self._unserved: dict[Path, Any] = {}

    def arrived(self, message: Any) -> None:
        """A whole DIMSE message has arrived; it may be a C-STORE with its file."""
        file = message._data_set_file
        if file is not None:
            self._unserved[Path(file.name)] = file

    def served(self, path: Path) -> None:
        """The handler has the file now."""
        self._unserved.pop(path, None)

    def remove(self, association: Association) -> None:
        """The association is over: remove what was not served and what has arrived in part."""
        begun = getattr(association.dimse.message, "_data_set_file", None)
        for file in [*self._unserved.values(), begun]:
            if file is not None:
                file.close()
                Path(file.name).unlink(missing_ok=True)


def abort_on_unreadable_messages(association: Association) -> None:
    """Make a message that cannot be decoded, or outgrows memory, end the association by an A-ABORT (PS3.8 Evt19).

    Each fragment is handed on by itself: of a PDU, pynetdicom drops what follows the end of a message.

    Without this the first ends the thread that serves the connection, with a traceback that shows the sender's bytes.
    Data sets of C-STORE are not in memory; what is, are commands and the data sets of other services.
    """
    dimse = association.dimse
    receive = dimse.receive_primitive

    def receive_primitive(primitive: Any) -> None:
        try:
            for fragment in primitive.presentation_data_value_list:
                _require_order(dimse.message, *fragment)
                single = P_DATA()
                single.presentation_data_value_list.append(fragment)
                receive(single)
                if dimse.message is not None and _size_in_memory(dimse.message) > MAX_MESSAGE_IN_MEMORY:
                    raise OverflowError("the message is too long")
        except Exception as error:  # noqa: BLE001  DIMSE handler: the association ends, the process goes on
            log.warning("receive.message_unreadable", error=type(error).__name__)
            association.dul.event_queue.put("Evt19")

    dimse.receive_primitive = receive_primitive  # type: ignore[method-assign]


def _require_order(message: Any, context_id: int, fragment: bytes) -> None:
    """First the command, then the data set, all in the context of the command (PS3.7 section 6.3.1, PS3.8 Annex E).

    Raises:
        ValueError: anything else.
    """
    is_command = bool(fragment[0] & pdu.COMMAND)
    command_context = None if message is None else message.context_id
    if is_command != (command_context is None) or command_context not in (None, context_id):
        raise ValueError("a fragment out of its order")


def _size_in_memory(message: Any) -> int:
    data_set = message.data_set
    return int(message.encoded_command_set.tell() + (data_set.tell() if data_set is not None else 0))
