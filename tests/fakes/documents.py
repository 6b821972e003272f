"""A ``DueDocuments`` in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from node.domain.document import DueDocument, Failure, Withdrawal
from node.domain.job import Job
from node.domain.result import ResultObject
from node.errors import AinodeError

NEVER = datetime(9999, 1, 1, tzinfo=UTC)


class FakeDocuments:
    """One document for each ``add``; with ``lost`` it is no longer the writer's when he saves."""

    def __init__(self) -> None:
        self.waiting: list[DueDocument] = []
        self.announced: list[str] = []
        self.written: list[tuple[DueDocument, Sequence[ResultObject], Failure | None]] = []
        self.failures: list[tuple[str, float | None]] = []
        self.lost = False

    def add(self, job: Job, withdrawal: Withdrawal | None = None, objects: tuple[ResultObject, ...] = ()) -> None:
        self.waiting.append(DueDocument(job, 0, NEVER, withdrawal, objects))

    def claim(self, lease_s: float) -> DueDocument | None:
        if not self.waiting:
            return None
        self.waiting[0] = replace(self.waiting[0], attempt=self.waiting[0].attempt + 1)
        return self.waiting[0]

    def announce(self, document: DueDocument, keys: Sequence[str]) -> bool:
        self.announced += keys
        return not self.lost

    def complete(self, document: DueDocument, objects: Sequence[ResultObject], failure: Failure | None = None) -> bool:
        self.waiting.pop(0)
        self.written.append((document, objects, failure))
        return not self.lost

    def fail(self, document: DueDocument, error: AinodeError, retry_after_s: float | None) -> bool:
        self.failures.append((error.code, retry_after_s))
        if retry_after_s is None:
            self.waiting.pop(0)
        return not self.lost
