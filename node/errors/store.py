"""Bytes at rest."""

from __future__ import annotations

from node.errors.root import AinodeError


class StoreError(AinodeError):
    pass


class StoreUnavailable(StoreError):
    retryable = True


class ObjectMissing(StoreError):
    pass
