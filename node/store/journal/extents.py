"""Which bytes of a segment are given to whom: pure bookkeeping in whole blocks, not thread-safe."""

from __future__ import annotations

_MAX_HOLES = 128  # more are forgotten until the segment is recycled


class Extents:
    """From ``start`` up to ``limit``. What is given back in the middle is given out again, first fit."""

    def __init__(self, start: int, limit: int) -> None:
        self.tail = start
        self.limit = limit
        self._holes: list[tuple[int, int]] = []

    def take(self, size: int) -> int | None:
        """Where ``size`` bytes begin; None: there is no room."""
        for index, (start, end) in enumerate(self._holes):
            if end - start >= size:
                self._holes[index : index + 1] = [(start + size, end)] if end - start > size else []
                return start
        if self.tail + size > self.limit:
            return None
        self.tail += size
        return self.tail - size

    def extend(self, end: int, size: int) -> bool:
        """Whether the extent that ends at ``end`` now has ``size`` bytes more."""
        if end != self.tail or self.tail + size > self.limit:
            return False
        self.tail += size
        return True

    def give_back(self, start: int, end: int) -> None:
        if start == end:
            return
        before = [hole for hole in self._holes if hole[1] <= start]
        after = [hole for hole in self._holes if hole[0] >= end]
        if before and before[-1][1] == start:
            start = before.pop()[0]
        if after and after[0][0] == end:
            end = after.pop(0)[1]
        if end == self.tail:
            self.tail = start
            self._holes = before
        else:
            self._holes = [*before, (start, end), *after][:_MAX_HOLES]
