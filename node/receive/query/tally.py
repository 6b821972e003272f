"""What became of the sub-operations of a C-MOVE or C-GET, and the responses that say so (PS3.7 9.1.3, 9.1.4)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from node.ports import DeliveryOutcome
from node.receive.status import MAX_ERROR_COMMENT

# Of an element with a length of 16 bits, which UI has where the VR is explicit; the value is of even length.
LONGEST_VALUE = 0xFFFE

Response = tuple[Dataset, Dataset | None]


class RetrieveStatus(enum.IntEnum):
    """PS3.4 Tables C.4-2 and C.4-3."""

    SUCCESS = 0x0000
    PENDING = 0xFF00
    CANCELED = 0xFE00
    NOT_ALL = 0xB000
    NOT_COUNTED = 0xA701
    NOT_SENT = 0xA702
    DESTINATION_UNKNOWN = 0xA801
    MISMATCH = 0xA900
    UNABLE = 0xC000


@dataclass(slots=True)
class Tally:
    """``reason`` is why the first one failed."""

    remaining: int
    completed: int = 0
    warnings: int = 0
    failed_uids: list[str] = field(default_factory=list)
    reason: str = ""

    @property
    def failed(self) -> int:
        return len(self.failed_uids)

    def add(self, outcome: DeliveryOutcome) -> None:
        self.remaining -= 1
        if outcome.error is not None:
            self.failed_uids.append(outcome.sop_instance_uid)
            self.reason = self.reason or outcome.error.message
        elif outcome.status:
            self.warnings += 1
        else:
            self.completed += 1

    def pending(self) -> Response:
        return self._counted(RetrieveStatus.PENDING), None

    def canceled(self) -> Response:
        return self._counted(RetrieveStatus.CANCELED), self._failed_list()

    def last(self) -> Response:
        """When nothing remains."""
        if not self.failed and not self.warnings:
            return self._counted(RetrieveStatus.SUCCESS), None
        everything = self.failed and not self.completed and not self.warnings
        status = self._counted(RetrieveStatus.NOT_SENT if everything else RetrieveStatus.NOT_ALL)
        return status, self._failed_list()

    def _counted(self, status: RetrieveStatus) -> Dataset:
        made = response(status, self.reason if status is not RetrieveStatus.PENDING else "")
        if status in (RetrieveStatus.PENDING, RetrieveStatus.CANCELED):
            made.NumberOfRemainingSuboperations = self.remaining
        made.NumberOfCompletedSuboperations = self.completed
        made.NumberOfFailedSuboperations = self.failed
        made.NumberOfWarningSuboperations = self.warnings
        return made

    def _failed_list(self) -> Dataset:
        """As many as one element can hold."""
        identifier, length, listed = Dataset(), -1, 0
        for uid in self.failed_uids:
            length += len(uid) + 1
            if length > LONGEST_VALUE:
                break
            listed += 1
        identifier.FailedSOPInstanceUIDList = self.failed_uids[:listed]
        return identifier


def response(status: RetrieveStatus, comment: str) -> Dataset:
    """Without counts; the comment is ours, and cut where it is too long."""
    made = Dataset()
    made.Status = int(status)
    if comment:
        made.ErrorComment = comment[:MAX_ERROR_COMMENT].strip()
    return made
