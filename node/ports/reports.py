"""What was said, for destinations that are sent messages."""

from __future__ import annotations

from typing import Protocol

from node.domain.report import ReportFacts


class ReportRecord(Protocol):
    """The results as the database has them."""

    def facts(self, sop_instance_uid: str) -> ReportFacts:
        """
        Raises:
            NotFound: no document of a result has this UID.
        """
        ...
