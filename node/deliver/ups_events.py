"""N-EVENT-REPORTs of the UPS Event SOP class to one subscriber (PS3.4 section CC.2.4), on an association of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog
from pydicom.dataset import Dataset
from pynetdicom import build_role
from pynetdicom.association import Association
from pynetdicom.sop_class import UnifiedProcedureStepPush  # type: ignore[attr-defined]

from node.deliver.association import Peer, opened
from node.deliver.negotiation import Syntax
from node.domain.workitem import EVENT, Report
from node.errors import DestinationUnreachable, SopClassRefused

log = structlog.get_logger()

SUCCESS = 0x0000
SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


class UpsReporter:
    """``peers`` are the addresses by AE title (``ports.StatusReporter``)."""

    def __init__(self, peers: Mapping[str, Peer]) -> None:
        self._peers = dict(peers)

    def __call__(self, receiving_ae: str, reports: Sequence[Report]) -> int:
        """
        Raises:
            DeliveryError: no address is configured any more, or nobody answers there, or not to events of workitems.
        """
        peer = self._peers.get(receiving_ae)
        if peer is None:
            raise DestinationUnreachable("no address is configured for this AE title")
        contexts = [Syntax(EVENT, syntax) for syntax in SYNTAXES]
        # We are the SCP of what is told: on an association that the SCP opens, that is said by role selection. Many a
        # subscriber takes the reports without an answer to that.
        with opened(peer, contexts, roles=[build_role(EVENT, scp_role=True)]) as association:
            if not association.accepted_contexts:
                raise SopClassRefused("the subscriber takes no UPS Event")
            return _told(lambda report, number: _send(association, report, number), reports)


def _told(send: Callable[[Report, int], bool], reports: Sequence[Report]) -> int:
    """How many were taken before one that was not answered."""
    for number, report in enumerate(reports):
        if not send(report, number + 1):
            if not number:
                raise DestinationUnreachable("the association broke off before the first event report was answered")
            return number
    return len(reports)


def _send(association: Association, report: Report, message_id: int) -> bool:
    """Whether it was answered: a refusal is an answer, the same report would be refused again."""
    try:
        status, _ = association.send_n_event_report(
            Dataset.from_json(dict(report.information)),
            int(report.event_type),
            UnifiedProcedureStepPush,
            report.workitem_uid,
            msg_id=message_id,
        )
    except RuntimeError:  # pynetdicom's word for: no longer established
        return False
    if "Status" not in status:
        return False
    if status.Status != SUCCESS:
        log.warning("ups.report_refused", status=f"{status.Status:04X}")
    return True
