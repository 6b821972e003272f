"""Documents that no model's run writes: of failures, and of withdrawals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.domain.document import DueDocument, Failure
from node.domain.result import ResultObject
from node.errors import AinodeError


class DueDocuments(Protocol):
    """Jobs about which a document is to be written. Every save is fenced by attempt and lease of the document as

    claimed: ``False`` means "no longer yours", for another writer has it or the job is run again.
    """

    def claim(self, lease_s: float) -> DueDocument | None:
        """The one that has been due for the longest, now this writer's; None when none is due.

        Every try has twice the lease of the one before: one that only took longer than its lease comes to its end.
        """
        ...

    def announce(self, document: DueDocument, keys: Sequence[str]) -> bool:
        """As ``JobQueue.announce``: before the first object is put."""
        ...

    def complete(self, document: DueDocument, objects: Sequence[ResultObject], failure: Failure | None = None) -> bool:
        """Result rows and one delivery per (object, destination) in one transaction; the job keeps its state.

        ``failure`` is what the row of a failed job tells from now on. An object that the job has said before is the
        same object, and is neither written down nor sent twice.
        """
        ...

    def fail(self, document: DueDocument, error: AinodeError, retry_after_s: float | None) -> bool:
        """Due again after that time; without one it is given up, with an alert in the same transaction."""
        ...
