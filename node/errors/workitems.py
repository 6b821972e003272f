"""What other systems ask of Unified Procedure Steps, and cannot have."""

from __future__ import annotations

from typing import ClassVar

from node.errors.operations import OperationError


class WorkitemError(OperationError):
    """What was asked of a Unified Procedure Step cannot be done; ``dimse_status`` says why (PS3.4 section CC.2)."""

    dimse_status: ClassVar[int] = 0x0110


class MissingAttribute(WorkitemError):
    dimse_status = 0x0120


class MissingAttributeValue(WorkitemError):
    dimse_status = 0x0121


class InvalidAttributeValue(WorkitemError):
    """``details['attribute']`` is its keyword."""

    dimse_status = 0x0106


class InvalidWorkitemUid(WorkitemError):
    """The SOP Instance UID of a new workitem is no UID (PS3.7 section 10.1.5.1.6)."""

    dimse_status = 0x0117


class NoSuchAction(WorkitemError):
    dimse_status = 0x0123


class DuplicateWorkitem(WorkitemError):
    dimse_status = 0x0111


class WorkitemFinal(WorkitemError):
    dimse_status = 0xC300


class WrongTransaction(WorkitemError):
    dimse_status = 0xC301


class ClaimLost(WorkitemError):
    dimse_status = 0xC302


class NotSchedulable(WorkitemError):
    """Only creating a workitem makes it SCHEDULED."""

    dimse_status = 0xC303


class FinalStateIncomplete(WorkitemError):
    dimse_status = 0xC304


class NoSuchWorkitem(WorkitemError):
    dimse_status = 0xC307


class UnknownReceiver(WorkitemError):
    """No address is configured for this AE title."""

    dimse_status = 0xC308


class WorkitemNotScheduled(WorkitemError):
    """Whoever creates a workitem must say that it is SCHEDULED."""

    dimse_status = 0xC309


class WorkitemNotInProgress(WorkitemError):
    dimse_status = 0xC310


class WorkitemCompleted(WorkitemError):
    dimse_status = 0xC311


class PerformerUnreachable(WorkitemError):
    dimse_status = 0xC312


class UnsuitableAction(WorkitemError):
    dimse_status = 0xC314


class TooManyWorkitems(WorkitemError):
    dimse_status = 0xA700
