"""Local accounts: who may act on the pages. Names of people that work here, never of patients."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
# NIST SP 800-63B 5.1.1.2: at least eight characters, and at least 64 allowed. A bound, for a digest of more costs time.
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 256


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    created_at: datetime
    disabled_at: datetime | None = None


def problem_of(name: str, password: str) -> str | None:
    """Why there can be no such account; None where there can."""
    if not NAME.fullmatch(name):
        return "a name has 1 to 64 lower-case letters, digits, '.', '-' and '_', and begins with a letter or a digit"
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        return f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
    if password.casefold() == name:
        return "a password is not the name"
    return None
