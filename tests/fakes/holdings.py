"""``ports.Holdings`` of a node that holds nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from node.domain.query import Query
from node.domain.study import Value


class FakeHoldings:
    def find(self, query: Query) -> Iterator[Mapping[str, Value]]:
        return iter(())
