"""What a fuzz run must not do: grow, and write elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def anonymous_kib() -> int:
    """What this process holds in memory that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon:")))


class Growth:
    """Memory of this process over ``cases``: from the first tenth on, when all caches are warm."""

    def __init__(self, cases: int) -> None:
        self._cases = cases
        self._began = time.monotonic()
        self.begin_kib = self.end_kib = 0

    def __str__(self) -> str:
        """For the note of a long run."""
        seconds = time.monotonic() - self._began
        return (
            f"{self._cases} cases in {seconds:.0f} s; {self.begin_kib} KiB after a tenth, {self.end_kib} KiB after all"
        )

    def see(self, number: int) -> None:
        if number == self._cases // 10:
            self.begin_kib = anonymous_kib()

    def end(self) -> int:
        """By how many KiB it has grown."""
        self.end_kib = anonymous_kib()
        return self.end_kib - self.begin_kib


class Writes:
    """The paths that Python opens to write, makes or renames to, while ``monkeypatch`` holds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: set[str] = set()
        monkeypatch.setattr(os, "open", self._watched(os.open, lambda path, flags, *_: path if flags & WRITING else ""))
        for name, index in (("mkdir", 0), ("rename", 1), ("replace", 1), ("link", 1), ("symlink", 1)):
            monkeypatch.setattr(os, name, self._watched(getattr(os, name), lambda *args, at=index: args[at]))
        watched = self._watched(open, lambda path, mode="r", *_: path if set(mode) & set("wax+") else "")
        monkeypatch.setattr("io.open", watched)
        monkeypatch.setattr("builtins.open", watched)

    def _watched(self, function: Callable[..., Any], target: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            path = target(*args, **{name: value for name, value in named.items() if name == "mode"})
            if path and not isinstance(path, int):
                self.seen.add(os.fspath(path))
            return function(*args, **named)

        return call

    def outside(self, folder: Path) -> set[str]:
        """Those that are not below ``folder``."""
        return {path for path in self.seen if not Path(path).resolve().is_relative_to(folder.resolve())}
