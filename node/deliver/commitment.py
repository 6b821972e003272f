"""Storage Commitment Push Model (PS3.4 Annex J): what is asked, what a report says, and asking.

The first half is pure: data sets from and to values. The second asks over an association.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from node.domain.delivery import CommitmentReport
from node.domain.identity import is_uid
from node.domain.study import SopRef
from node.errors import CommitmentFailed, DestinationUnreachable, IncompleteDataSet, InvalidUid, ReceiveError

# PS3.4 Table J.3-2
REQUEST_COMMITMENT = 1
# PS3.4 Table J.3-3
ALL_COMMITTED = 1
FAILURES_EXIST = 2

# Failure Reason (0008,1197) where the report gives none, and our own answer (PS3.3 section C.14.1.1, PS3.7 Annex C).
PROCESSING_FAILURE = 0x0110

# DIMSE statuses of our answer to an N-EVENT-REPORT (PS3.7 section 10.1.1.1.8)
SUCCESS = 0x0000
NO_SUCH_EVENT_TYPE = 0x0113

log = structlog.get_logger()


def action_information(transaction_uid: str, refs: Sequence[SopRef]) -> Dataset:
    """The data set of the N-ACTION request (PS3.4 Table J.3-1)."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = [_reference(ref) for ref in refs]
    return information


def parse_report(information: Dataset) -> CommitmentReport:
    """What an N-EVENT-REPORT says (PS3.4 Table J.3-3), whatever is absent from it or odd about it.

    The lists decide, not the event type: they speak of each instance. A UID in both counts as failed: the object is
    then sent again, which does no harm. Items without a UID are passed over. UIDs that were never asked for stay in;
    whoever applies the report ignores them.

    Raises:
        IncompleteDataSet: there is no Transaction UID.
        InvalidUid: the Transaction UID is none.
    """
    transaction_uid = str(information.get("TransactionUID", "") or "")
    if not transaction_uid:
        raise IncompleteDataSet("N-EVENT-REPORT without a Transaction UID", attribute="TransactionUID")
    if not is_uid(transaction_uid):
        raise InvalidUid("TransactionUID is not a UID", attribute="TransactionUID")
    failed = {uid: _reason(item) for uid, item in _items(information, "FailedSOPSequence")}
    committed = [uid for uid, _ in _items(information, "ReferencedSOPSequence") if uid not in failed]
    return CommitmentReport(transaction_uid, tuple(dict.fromkeys(committed)), failed)


class Listener:
    """Takes the N-EVENT-REPORT that arrives on the very association of the request.

    ``apply`` makes the report durable; only then is it answered with Success, so that a crash in between leaves the
    destination knowing that we do not know. Without ``apply`` the report is answered as soon as it is understood: a
    crash then costs its expiry and one more request.

    pynetdicom 3.0 serves an N-EVENT-REPORT in a thread of its own, which releasing the association does not wait for:
    the answer would come after the A-RELEASE-RQ, and the destination would never have it. So ``wait`` ends only when
    the answer has left.
    """

    def __init__(self, transaction_uid: str, apply: Callable[[CommitmentReport], object] | None) -> None:
        self.handlers = [(evt.EVT_N_EVENT_REPORT, self._on_report), (evt.EVT_DATA_SENT, self._on_sent)]
        self._transaction_uid = transaction_uid
        self._apply = apply
        self._report: CommitmentReport | None = None
        self._in_hand = False
        self._answered = threading.Event()

    def wait(self, association: Association, wait_s: float) -> CommitmentReport | None:
        """The report, if it comes within ``wait_s`` seconds and before the association ends."""
        deadline = time.monotonic() + wait_s
        while association.is_established and (self._in_hand or time.monotonic() < deadline):
            if self._answered.wait(0.05):
                break
        return self._report

    def _on_sent(self, _: Any) -> None:
        """Nothing else is sent while a report is in hand: this was its answer."""
        self._in_hand = False
        if self._report is not None:
            self._answered.set()

    def _on_report(self, event: Any) -> tuple[int, None]:
        self._in_hand = True
        try:
            return self._take(event), None
        except ReceiveError as error:
            log.warning("commitment.report_not_understood", error_code=error.code)
            return PROCESSING_FAILURE, None
        except Exception:
            log.exception("commitment.report_not_applied", transaction_uid=self._transaction_uid)
            return PROCESSING_FAILURE, None

    def _take(self, event: Any) -> int:
        if event.request.EventTypeID not in {ALL_COMMITTED, FAILURES_EXIST}:
            return NO_SUCH_EVENT_TYPE
        report = parse_report(event.event_information)
        if self._apply is not None:
            self._apply(report)
        if report.transaction_uid == self._transaction_uid:
            self._report = report
        return SUCCESS


def request(
    association: Association, transaction_uid: str, refs: Sequence[SopRef], listener: Listener, wait_s: float
) -> CommitmentReport | None:
    """N-ACTION; then the report, if it comes on this association within ``wait_s``.

    Raises:
        CommitmentFailed: the request was answered with a failure.
        DestinationUnreachable: it was not answered.
    """
    try:
        status, _ = association.send_n_action(
            action_information(transaction_uid, refs),
            REQUEST_COMMITMENT,
            StorageCommitmentPushModel,
            StorageCommitmentPushModelInstance,
        )
    except RuntimeError as error:  # pynetdicom's word for: no longer established
        raise DestinationUnreachable("the association broke off before the N-ACTION") from error
    if "Status" not in status:
        raise DestinationUnreachable("the association broke off before the N-ACTION was answered")
    if status.Status != SUCCESS:
        raise CommitmentFailed(f"N-ACTION answered {status.Status:04X}H", status=int(status.Status))
    return listener.wait(association, wait_s)


def _reference(ref: SopRef) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = ref.sop_class_uid
    item.ReferencedSOPInstanceUID = ref.sop_instance_uid
    return item


def _items(information: Dataset, keyword: str) -> list[tuple[str, Dataset]]:
    sequence = information.get(keyword) or []
    pairs = [(str(item.get("ReferencedSOPInstanceUID", "") or ""), item) for item in sequence]
    return [(uid, item) for uid, item in pairs if uid]


def _reason(item: Dataset) -> int:
    reason = item.get("FailureReason")
    return reason if isinstance(reason, int) else PROCESSING_FAILURE
