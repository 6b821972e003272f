"""``ports.Uses`` in memory."""

from __future__ import annotations

from node.domain.audit import Use
from node.errors import StoreUnavailable


class MemoryUses:
    """``fails``: the log cannot be written."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, Use]] = []
        self.fails = False

    def require(self) -> None:
        if self.fails:
            raise StoreUnavailable("the log of uses cannot be written")

    def note(self, actor: str, use: Use) -> None:
        self.noted.append((actor, use))
