"""A ``ResultHistory`` that a test writes."""

from __future__ import annotations

from collections.abc import Sequence

from node.domain.job import Job
from node.domain.result import EarlierResult


class FakeHistory:
    """The same ``results`` for every job; ``asked`` are the jobs that were asked about."""

    def __init__(self) -> None:
        self.results: list[EarlierResult] = []
        self.asked: list[int] = []

    def earlier(self, job: Job) -> Sequence[EarlierResult]:
        self.asked.append(job.id)
        return list(self.results)
