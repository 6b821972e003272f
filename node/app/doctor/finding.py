"""What a check finds, and checks side by side: none waits for another, and none stops the others."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from node.errors import AinodeError, ConfigurationError


class Status(enum.StrEnum):
    """``WARN`` is something to know of; ``FAIL`` keeps the node from what it is for."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """``advice`` is one sentence on what to do; empty where there is nothing to do."""

    id: str
    status: Status
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """``look`` may find several things, each with an id of its own that begins with ``id``."""

    id: str
    look: Callable[[], Iterable[Finding]]
    limit_s: float = 15.0


def ok(check: str, found: str) -> Finding:
    return Finding(check, Status.OK, found)


def warn(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Status.WARN, found, advice)


def fail(check: str, found: str, advice: str) -> Finding:
    return Finding(check, Status.FAIL, found, advice)


def document(findings: Iterable[Finding]) -> dict[str, Any]:
    """``ok`` while nothing is FAIL."""
    checks = [{"id": one.id, "status": str(one.status), "found": one.found, "advice": one.advice} for one in findings]
    return {"ok": all(one["status"] != Status.FAIL for one in checks), "checks": checks}


def misconfigured(error: ConfigurationError) -> list[Finding]:
    """Every problem of a configuration; nothing else can be looked at."""
    advice = "Correct it in the file or the environment; 'ainode config schema' says what may stand there."
    return [Finding("configuration", Status.FAIL, f"{path}: {problem}", advice) for path, problem in error.problems]


def look_at(checks: Sequence[Check]) -> list[Finding]:
    """All at once, each in a thread and within its own time; the findings in the order of the checks."""
    begin = time.monotonic()
    looks = [_Look(check) for check in checks]
    return [finding for look in looks for finding in look.findings(begin)]


class _Look:
    """A check under way. One that never ends is left behind: its thread ends with the process."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._found: list[Finding] | None = None
        self._thread = threading.Thread(target=self._run, name=f"doctor {check.id}", daemon=True)
        self._thread.start()

    def findings(self, begin: float) -> list[Finding]:
        limit_s = self._check.limit_s
        self._thread.join(max(0.0, begin + limit_s - time.monotonic()))
        if self._found is not None:
            return self._found
        advice = "Look whether a disk, a network share or another system hangs, and ask again."
        return [fail(self._check.id, f"nothing was found out within {limit_s:g} s", advice)]

    def _run(self) -> None:
        try:
            self._found = list(self._check.look())
        except AinodeError as error:
            advice = "Mend what the error names, and ask again."
            self._found = [fail(self._check.id, f"{error.code}: {error.message}", advice)]
        except Exception as error:  # noqa: BLE001  a check that breaks is a finding, and stops no other
            advice = "Report this: a check should never break."
            self._found = [fail(self._check.id, f"the check broke: {type(error).__name__}", advice)]
