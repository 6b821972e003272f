"""What time it is, and which processes serve."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol


class Clock(Protocol):
    def now(self) -> datetime: ...


class RoleBoard(Protocol):
    """Which processes serve which role, by their heartbeats."""

    def beat(self, role: str, instance: str, pid: int, host: str, detail: Mapping[str, Any]) -> None: ...

    def leave(self, role: str, instance: str) -> None: ...
