"""Accounts and who is logged in, as they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from node.domain.account import Account


class Accounts(Protocol):
    """Digests alone: neither a password nor what a browser holds can be read out of what is kept."""

    def add(self, name: str, password_digest: str) -> None:
        """
        Raises:
            AlreadyThere: there is an account of this name, perhaps a disabled one.
        """
        ...

    def all(self) -> Sequence[Account]: ...

    def disable(self, name: str) -> None:
        """It can do nothing any more, and is logged out everywhere; what it did stays under its name.

        Raises:
            NotFound: there is no account of this name.
        """
        ...

    def password_digest(self, name: str) -> str | None:
        """None where there is no such account that may log in."""
        ...

    def renew_digest(self, name: str, password_digest: str) -> None:
        """The same password under a stronger digest."""
        ...

    def open_session(self, name: str, digest: str, expires_at: datetime) -> None: ...

    def session(self, digest: str) -> str | None:
        """Whose session that is; None where it is over."""
        ...

    def close_session(self, digest: str) -> None: ...
