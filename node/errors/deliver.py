"""Other systems: what they were sent, and what they were asked."""

from __future__ import annotations

from node.errors.root import AinodeError


class DeliveryError(AinodeError):
    retryable = True


class DestinationUnreachable(DeliveryError):
    pass


class AssociationRejected(DeliveryError):
    pass


class StoreRefused(DeliveryError):
    """The destination answered a C-STORE with a failure; ``details['status']`` is its DIMSE status."""


class SopClassRefused(DeliveryError):
    retryable = False


class CommitmentFailed(DeliveryError):
    pass


class DestinationFull(DeliveryError):
    pass


class DestinationBusy(DeliveryError):
    """``details['retry_after_s']`` is what it asked for; None where it did not say."""


class AccessRefused(DeliveryError):
    pass


class UnexpectedAnswer(DeliveryError):
    pass


class ReadBackFailed(DeliveryError):
    pass


class ObjectTooLarge(DeliveryError):
    retryable = False


class MessageRefused(DeliveryError):
    """``details['answer']`` is its code (HL7 table 0008, or an HTTP status); of its text only the length is kept."""

    retryable = False


class OutcomeNotChosen(DeliveryError):
    retryable = False


class QueryRefused(DeliveryError):
    """A source answered a C-FIND with a failure; ``details['status']`` is its DIMSE status."""


class PatientMismatch(DeliveryError):
    """``details['differs']`` are the keywords of what differs, never its values."""

    retryable = False


class RetrievalFailed(DeliveryError):
    """``details`` say with which DIMSE status a C-GET or C-MOVE ended, and how many of its sub-operations failed."""
