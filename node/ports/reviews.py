"""Reviews of studies: when one is due, and what is kept of them as workitems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.domain.review import Review, Standing, StudyChanged
from node.ports.workitems import StepStore


class Reviews(StepStore[Review], Protocol):
    """Reviews as workitems, and the studies of which something changed."""

    def follow(self, wanted: bool) -> None:
        """Whether changes of studies are written down; if not, what nobody has begun is taken back."""
        ...

    def changed(self, limit: int) -> Sequence[StudyChanged]:
        """Studies of which something changed, each once, with the last change."""
        ...

    def settle(self, change: StudyChanged, standing: Standing | None) -> bool:
        """What follows from ``standing``, looked at after ``change``, for the last review of the study, in one

        transaction; whether one was made. Later changes stay to be settled. The same again makes nothing.
        """
        ...

    def expire(self) -> int:
        """Take back those whose performer has been silent for too long, so that another is made; how many."""
        ...
