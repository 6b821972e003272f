"""A small but real PACS on loopback: Storage, Storage Commitment, C-FIND and C-ECHO as SCP.

Files are durable before Success is answered, and commitment is given for what really lies there. The steps that a
test may want to go wrong are methods of their own; nothing in here goes wrong on purpose.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import structlog
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, AllTransferSyntaxes, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AllStoragePresentationContexts, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from node.deliver.association import QUICK, ClosingEntity
from node.demo.holdings import Holdings, PacsInstance
from node.demo.query import LEVELS, answers
from node.errors import ReceiveError

SUCCESS = 0x0000
PENDING = 0xFF00
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
IDENTIFIER_DOES_NOT_MATCH = 0xA900
PROCESSING_FAILURE = 0x0110
NO_SUCH_ACTION = 0x0123
# Failure Reasons (0008,1197), PS3.3 section C.14.1.1
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
# PS3.4 Table J.3-3
ALL_COMMITTED = 1
FAILURES_EXIST = 2

UNCOMPRESSED: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
LOOPBACK = "127.0.0.1"
TIMEOUT_S = 10.0
REPORT_ATTEMPTS = 5
REPORT_PAUSE_S = 0.5

__all__ = ["CommitmentRequest", "EmbeddedPacs", "PacsInstance"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """An N-ACTION: pairs of (SOP Class UID, SOP Instance UID)."""

    transaction_uid: str
    references: tuple[tuple[str, str], ...]


class EmbeddedPacs:
    """The PACS: ``start`` and ``stop`` it, or use it as a context. ``port`` 0 takes a free one, which it then tells.

    Commitment is reported on a new association to ``requester_ae_title`` at the address given to ``report_to``;
    before that is given, on the association of the request.
    """

    def __init__(
        self, folder: Path, ae_title: str = "DEMOPACS", requester_ae_title: str = "AINODE", port: int = 0
    ) -> None:
        self.ae_title = ae_title
        self.port = port
        self._requester_ae_title = requester_ae_title
        self._report_address: tuple[str, int] | None = None
        self.holdings = Holdings(folder)
        self._server: Any = None
        self._entity = ClosingEntity(ae_title=ae_title)
        self._reports = ThreadPoolExecutor(max_workers=2, thread_name_prefix="commitment")
        self._unreported: dict[Association, CommitmentRequest] = {}
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on loopback; returns when associations are accepted."""
        entity = self._entity
        entity.supported_contexts = self.contexts()
        entity.maximum_associations = 16
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = TIMEOUT_S
        handlers: list[Any] = [
            *QUICK,
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
            (evt.EVT_C_STORE, self.on_store),
            (evt.EVT_C_FIND, self.on_find),
            (evt.EVT_N_ACTION, self.on_action),
            (evt.EVT_PDU_SENT, self._after_answer),
        ]
        self._server = entity.start_server((LOOPBACK, self.port), block=False, evt_handlers=handlers)
        self.port = self._server.server_address[1]

    def stop(self) -> None:
        """Close the port, end associations, wait for reports under way."""
        self._stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server = None
        self._reports.shutdown(wait=True, cancel_futures=True)
        self._entity.shutdown()

    def report_to(self, host: str, port: int) -> None:
        """Where the AE that asks for commitment takes reports."""
        self._report_address = host, port

    def instances(self) -> tuple[PacsInstance, ...]:
        """What it holds at this moment."""
        return self.holdings.all()

    def contexts(self) -> list[PresentationContext]:
        """Every storage SOP class in every transfer syntax but the retired big endian one, and the services."""
        syntaxes: list[str | UID] = [syntax for syntax in AllTransferSyntaxes if syntax != ExplicitVRBigEndian]
        storage = [build_context(str(context.abstract_syntax), syntaxes) for context in AllStoragePresentationContexts]
        services = (Verification, StudyRootQueryRetrieveInformationModelFind, StorageCommitmentPushModel)
        return [*storage, *(build_context(service, UNCOMPRESSED) for service in services)]

    def on_store(self, event: evt.Event) -> int:
        """C-STORE: Success once the file is durable (PS3.4 Annex B)."""
        try:
            self.holdings.add(event.encoded_dataset())
        except ReceiveError as error:
            return error.dimse_status
        except (InvalidDicomError, ValueError, KeyError, AttributeError):
            return CANNOT_UNDERSTAND
        except OSError:
            return OUT_OF_RESOURCES
        return SUCCESS

    def on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        """C-FIND, Study Root, at STUDY and SERIES level."""
        if event.identifier.get("QueryRetrieveLevel") not in LEVELS:
            yield IDENTIFIER_DOES_NOT_MATCH, None
            return
        for answer in answers(event.identifier, self.instances()):
            yield PENDING, answer

    def on_action(self, event: evt.Event) -> tuple[int, None]:
        """N-ACTION, type 1: commitment is requested. The report follows after this has been answered."""
        if event.action_type != 1:
            return NO_SUCH_ACTION, None
        information = event.action_information
        references = [
            (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID))
            for item in information.ReferencedSOPSequence
        ]
        self._unreported[event.assoc] = CommitmentRequest(str(information.TransactionUID), tuple(references))
        return SUCCESS, None

    def judge(self, request: CommitmentRequest) -> tuple[list[tuple[str, str]], dict[tuple[str, str], int]]:
        """The references held safely, and the Failure Reason for each of the others."""
        committed: list[tuple[str, str]] = []
        failed: dict[tuple[str, str], int] = {}
        for reference in request.references:
            held = self.holdings.get(reference[1])
            if held is None or not held.path.is_file():
                failed[reference] = NO_SUCH_INSTANCE
            elif held.sop_class_uid != reference[0]:
                failed[reference] = CLASS_INSTANCE_CONFLICT
            else:
                committed.append(reference)
        return committed, failed

    def report(self, association: Association, request: CommitmentRequest) -> None:
        """Send the N-EVENT-REPORT, on a new association or on the one of the request."""
        committed, failed = self.judge(request)
        information = event_information(request.transaction_uid, committed, failed)
        event_type = FAILURES_EXIST if failed else ALL_COMMITTED
        if self._report_address is None:
            taken = send_report(association, event_type, information)
        else:
            taken = self._report_anew(self._report_address, event_type, information)
        if taken:
            self.holdings.mark_committed(uid for _, uid in committed)
        else:
            log.warning("commitment.report_not_taken", transaction_uid=request.transaction_uid)

    def _after_answer(self, event: evt.Event) -> None:
        """The answer to the N-ACTION has left: now the report may follow it, from another thread."""
        request = self._unreported.pop(event.assoc, None)
        if request is not None and not self._stopping.is_set():
            self._reports.submit(self.report, event.assoc, request)

    def _report_anew(self, address: tuple[str, int], event_type: int, information: Dataset) -> bool:
        # PS3.4 section J.3.3: whoever reports is the SCP, so it negotiates that role as the association's requestor.
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        context = build_context(StorageCommitmentPushModel, UNCOMPRESSED)
        for _ in range(REPORT_ATTEMPTS):
            association = self._entity.associate(
                *address, [context], ae_title=self._requester_ae_title, ext_neg=[role], evt_handlers=[*QUICK]
            )
            taken = association.is_established and send_report(association, event_type, information)
            association.release()
            if taken or self._stopping.wait(REPORT_PAUSE_S):
                return taken
        return False


def event_information(
    transaction_uid: str, committed: Sequence[tuple[str, str]], failed: dict[tuple[str, str], int]
) -> Dataset:
    """The data set of the N-EVENT-REPORT (PS3.4 Table J.3-3). Pure."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    if committed:
        information.ReferencedSOPSequence = [_reference(reference) for reference in committed]
    if failed:
        information.FailedSOPSequence = [_reference(reference) for reference in failed]
        for item, reason in zip(information.FailedSOPSequence, failed.values(), strict=True):
            item.FailureReason = reason
    return information


def send_report(association: Association, event_type: int, information: Dataset) -> bool:
    """N-EVENT-REPORT; whether it was answered with Success."""
    try:
        status, _ = association.send_n_event_report(
            information, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
    except (RuntimeError, ValueError):  # no longer established; the SCP role was not granted
        return False
    return "Status" in status and status.Status == SUCCESS


def _reference(reference: tuple[str, str]) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference
    return item
