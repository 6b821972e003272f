"""Why an instance or a query is not accepted."""

from __future__ import annotations

from typing import ClassVar

from node.errors.root import AinodeError


class ReceiveError(AinodeError):
    """An instance is not accepted; the sender is answered ``dimse_status`` (PS3.4 Table B.2-1)."""

    dimse_status: ClassVar[int] = 0xC000


class OutOfResources(ReceiveError):
    dimse_status = 0xA700


class DataSetMismatch(ReceiveError):
    dimse_status = 0xA900


class InvalidUid(ReceiveError):
    dimse_status = 0xC001


class UndecodableDataSet(ReceiveError):
    dimse_status = 0xC002


class IncompleteDataSet(ReceiveError):
    dimse_status = 0xC003


class UnusableKey(ReceiveError):
    """The identifier of a query does not say what is asked for (PS3.4 Table C.4-1)."""

    dimse_status = 0xA900


class RetrievalRefused(AinodeError):
    """A C-MOVE or C-GET sends nothing; who asked is answered ``dimse_status`` (PS3.4 Tables C.4-2, C.4-3)."""

    dimse_status: ClassVar[int] = 0xC000


class UnknownMoveDestination(RetrievalRefused):
    """The AE title is not configured as a place to send to."""

    dimse_status = 0xA801


class TooManyInstances(RetrievalRefused):
    """The numbers of sub-operations are US (PS3.7 9.1.3.1, 9.1.4.1)."""

    dimse_status = 0xA701
