"""Objects that were written."""

from __future__ import annotations

from node.errors.root import AinodeError


class ResultError(AinodeError):
    pass


class ResultVerificationFailed(ResultError):
    pass
