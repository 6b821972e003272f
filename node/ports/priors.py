"""Jobs that wait for priors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.domain.prior import Candidate, Priors, PriorsWanted, WantedPriors


class PriorRecord(Protocol):
    def waiting(self, limit: int = 20) -> Sequence[WantedPriors]:
        """Jobs whose priors are WANTED, the oldest first."""
        ...

    def held(self, of: WantedPriors, wanted: PriorsWanted, first_date: str, last_date: str) -> Sequence[Candidate]:
        """Series of other studies of the patient that are here, of studies in these dates."""
        ...

    def is_here(self, series_instance_uid: str, instances: int) -> bool:
        """Whether so many instances of the series have their rows."""
        ...

    def settle(self, job_id: int, priors: Priors) -> Priors:
        """What the job is given, for ever; where that was settled before, what holds. The job is due at once."""
        ...
