"""``ports.Holdings`` and ``ports.Retrievable`` of a node that holds nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from node.domain.holdings import RetrievableObject
from node.domain.query import Query
from node.domain.study import Value


class FakeHoldings:
    def find(self, query: Query) -> Iterator[Mapping[str, Value]]:
        return iter(())

    def objects(self, query: Query, most: int) -> Sequence[RetrievableObject]:
        return ()
