"""What the node holds, for those who ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from node.domain.query import Query
from node.domain.study import Value


class Holdings(Protocol):
    """Instances whose bytes are here: received ones (variant 0) and result objects that are not withdrawn."""

    def find(self, query: Query) -> Iterator[Mapping[str, Value]]:
        """The matching entities of the query's level, each with what is known of it and of those above it, by keyword.

        They are read as they are asked for, in pieces of their own transactions: whoever stops early costs no more.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        ...
