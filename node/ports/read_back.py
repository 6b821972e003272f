"""Whether what a destination says that it has is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.domain.delivery import Acknowledged
from node.errors import AinodeError


class Query(Protocol):
    """How a destination is asked what it has."""

    @property
    def name(self) -> str:
        """The destination's."""
        ...

    def held(self, objects: Sequence[Acknowledged]) -> frozenset[str]:
        """The SOP Instance UIDs of those that it finds.

        Raises:
            DeliveryError: it does not answer, or not to this.
        """
        ...


class ReadBacks(Protocol):
    """What is to be looked for, and what came of it. What was sent again meanwhile is left as it is."""

    def claim(self, destination: str, lease_s: float, limit: int = 50) -> Sequence[Acknowledged]:
        """What is due, the oldest first; nobody else gets it for ``lease_s``."""
        ...

    def found(self, objects: Sequence[Acknowledged]) -> None:
        """READ BACK."""
        ...

    def ask_again(self, one: Acknowledged, after_s: float, error: AinodeError | None = None) -> None:
        """Not yet; ``error`` is why nothing could be asked."""
        ...

    def unanswered(self, one: Acknowledged, error: AinodeError) -> None:
        """It cannot be asked, and is not asked any more: an alert says so."""
        ...

    def missing(self, one: Acknowledged) -> bool:
        """It is not there: an alert, and SCHEDULED again; FAILED where that was so before. Whether it is sent again."""
        ...
