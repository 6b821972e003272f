"""What a validator may remark: nothing but the warnings of ``allowed_warnings.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ALLOWED = Path(__file__).with_name("allowed_warnings.toml")
REMARKS = ("Error", "Warning", "E:", "F:", "W:")


@dataclass(frozen=True, slots=True)
class Allowance:
    """Lines of one validator that match ``pattern`` as a whole are no fault, for this ``reason``."""

    validator: str
    pattern: re.Pattern[str]
    reason: str

    def covers(self, validator: str, line: str) -> bool:
        return validator == self.validator and self.pattern.fullmatch(line) is not None


def allowances() -> Sequence[Allowance]:
    entries = tomllib.loads(ALLOWED.read_text(encoding="utf-8"))["warning"]
    return [Allowance(entry["validator"], re.compile(entry["pattern"]), entry["reason"]) for entry in entries]


def complaints(validator: str, lines: Iterable[str], allowed: Sequence[Allowance]) -> list[str]:
    """Errors, and the warnings that are not allowed."""
    remarks = [line for line in lines if line.startswith(REMARKS)]
    return [line for line in remarks if not any(one.covers(validator, line) for one in allowed)]
