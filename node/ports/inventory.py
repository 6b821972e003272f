"""Which objects the tables know, for those who compare them with what lies in the stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from node.ports.retention import Kept


@dataclass(frozen=True, slots=True)
class Known:
    """A row that names an object. ``sha256`` is over the data set of an instance, over all bytes of a result."""

    row: int
    key: str
    size: int
    sha256: str
    sop_instance_uid: str


class Inventory(Protocol):
    def rows(self, kept: Kept, after: int, limit: int) -> Sequence[Known]:
        """Rows whose bytes must be there, in the order of ``row``, from behind ``after`` on."""
        ...

    def row(self, kept: Kept, row: int) -> Known | None:
        """As it is now; None: it is gone, or its bytes need not be there any more."""
        ...

    def named(self, kept: Kept, keys: Sequence[str]) -> Mapping[str, Known]:
        """By key, those that such a row names."""
        ...

    def excused(self, kept: Kept, keys: Sequence[str]) -> frozenset[str]:
        """Those that need no row: they wait to be freed, an alert points at them because they could have none, or they

        are the heat maps of a report that has one.
        """
        ...

    def recorded(self, journal_id: str) -> Mapping[int, int]:
        """For each segment of a journal, the position up to which its entries have their rows."""
        ...
