"""What is said of an error: by its code, which of the page's words fit. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_KINDS: Mapping[str, frozenset[str]] = {
    "unreachable": frozenset({"DestinationUnreachable", "CommitmentFailed"}),
    "refused": frozenset({"AssociationRejected", "StoreRefused", "SopClassRefused", "QueryRefused"}),
    "run": frozenset({"InferenceTimeout", "WorkerLost", "DeviceOutOfMemory", "JobCanceled"}),
    "result": frozenset(
        {"InvalidModelOutput", "InvalidModelPackage", "WeightsDigestMismatch", "ResultVerificationFailed"}
    ),
    "store": frozenset({"StoreUnavailable", "ObjectMissing"}),
}


def advice(error_code: str | None) -> str | None:
    """The middle of the keys ``advice.KIND.self`` and ``advice.KIND.you``; None where nothing happened."""
    if not error_code:
        return None
    return next((kind for kind, codes in _KINDS.items() if error_code in codes), "other")


def worst(destinations: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The destination for which most waits of what was tried in vain; None where there is none."""
    troubled = [one for one in destinations if one["trouble"] is not None]
    return max(troubled, key=lambda one: one["waiting"], default=None)
