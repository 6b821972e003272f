"""Who asks, and what: shared by C-FIND, C-MOVE and C-GET."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset

from node.domain.query import Level, Query
from node.errors import UnusableKey

# Of a requestor by its DIMSE association, for the log of uses.
_DIMSE = "dimse"


def asked(
    event: Any, levels: tuple[Level, ...], read: Callable[[Dataset, tuple[Level, ...]], Query]
) -> tuple[Dataset, Query]:
    """The identifier, in its character set, and what it asks for.

    Raises:
        UnusableKey: the identifier cannot be read, or is none of its information model.
    """
    try:
        identifier: Dataset = event.identifier
        identifier.decode()
        return identifier, read(identifier, levels)
    except UnusableKey:
        raise
    except Exception as error:
        # Whatever pydicom makes of an outsider's bytes.
        raise UnusableKey(f"the identifier cannot be read: {type(error).__name__}") from error


def asker(event: Any) -> str:
    """For the log of uses: the calling AE title as it was said, and the address that is known."""
    requestor = event.assoc.requestor
    return f"{_DIMSE}:{requestor.ae_title.strip()}@{requestor.address}"
