"""What people ask of the node, and cannot have."""

from __future__ import annotations

from node.errors.root import AinodeError


class OperationError(AinodeError):
    pass


class NotFound(OperationError):
    pass


class InvalidTransition(OperationError):
    pass


class Superseded(OperationError):
    """What was judged is no longer what is there: another job, or none, stands for this one."""


class AlreadyWithdrawn(OperationError):
    """The result was withdrawn before: it is neither withdrawn twice nor run again."""


class InvalidAssessment(OperationError):
    """``details['field']`` names what is wrong."""


class AlreadyThere(OperationError):
    pass


class InvalidAccount(OperationError):
    pass


class NotLoggedIn(OperationError):
    """Only a named user may do this, or see this."""


class LoginRefused(OperationError):
    pass


class TooManyAttempts(OperationError):
    pass


class ForgedRequest(OperationError):
    """A request that changes something came from another site, or without the token of the session."""


class LibraryMissing(OperationError):
    pass


class KitRefused(OperationError):
    pass


class NotAcceptable(OperationError):
    """What was asked for is there, and cannot be given in any of the media types and transfer syntaxes asked for."""


class SearchTooWide(OperationError):
    """Too much would have to be looked through: an answer that was cut short would look like the whole one."""


class UnusableViewer(OperationError):
    pass
