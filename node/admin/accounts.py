"""Logging in: passwords as Argon2id digests (RFC 9106), sessions as secrets that only the browser holds.

The command line and the pages call the same functions.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from node.domain.account import LONGEST_PASSWORD, Account, problem_of
from node.errors import InvalidAccount, LoginRefused, TooManyAttempts
from node.ports import Clock
from node.ports.accounts import Accounts

# A day of work.
SESSION = timedelta(hours=12)
# Of one name: so many wrong passwords in so long, then none is looked at for as long.
MOST_FAILURES, FAILURES_IN = 10, timedelta(minutes=15)
# Names are remembered for that; somebody who tries many names shall not fill the memory.
MOST_NAMES = 10_000
SECRET_BYTES = 32


class Logins:
    """Of several threads. ``hasher`` is argon2-cffi's: RFC 9106's low-memory profile by default."""

    def __init__(self, accounts: Accounts, clock: Clock, hasher: PasswordHasher | None = None) -> None:
        self._accounts = accounts
        self._clock = clock
        self._hasher = hasher or PasswordHasher()
        self._nobodys = self._hasher.hash(secrets.token_hex(16))
        self._failures: dict[str, deque[datetime]] = {}
        self._lock = threading.Lock()
        # One digest takes 64 MiB: a crowd at the door shall not take all memory.
        self._at_once = threading.BoundedSemaphore(2)

    def add(self, name: str, password: str) -> None:
        """
        Raises:
            InvalidAccount: name or password are not as they should be.
            AlreadyThere: there is one of this name.
        """
        problem = problem_of(name, password)
        if problem is not None:
            raise InvalidAccount(problem)
        self._accounts.add(name, self._hasher.hash(password))

    def all(self) -> Sequence[Account]:
        return self._accounts.all()

    def disable(self, name: str) -> None:
        """
        Raises:
            NotFound: there is no such account.
        """
        self._accounts.disable(name)

    def login(self, name: str, password: str) -> str:
        """The secret of a new session, for the browser alone.

        Raises:
            LoginRefused: no such account may log in, or the password is wrong: which, is not told.
            TooManyAttempts: wrong passwords were given for this name again and again.
        """
        self._require_patience(name)
        with self._at_once:
            right = len(password) <= LONGEST_PASSWORD and self._verified(name, password)
        if not right:
            self._failed(name)
            raise LoginRefused("no account with this name and password")
        with self._lock:
            self._failures.pop(name, None)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        self._accounts.open_session(name, _digest(secret), self._clock.now() + SESSION)
        return secret

    def who(self, secret: str) -> str | None:
        """Whose session it is; None where it is nobody's (any more)."""
        return self._accounts.session(_digest(secret)) if 0 < len(secret) <= 2 * SECRET_BYTES else None

    @staticmethod
    def csrf(secret: str) -> str:
        """What every form of a session holds: only who knows the session's secret can make it."""
        return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()

    def logout(self, secret: str) -> None:
        self._accounts.close_session(_digest(secret))

    def _verified(self, name: str, password: str) -> bool:
        known = self._accounts.password_digest(name)
        try:
            # As long for a name that there is not.
            self._hasher.verify(known or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return False
        if known is not None and self._hasher.check_needs_rehash(known):
            self._accounts.renew_digest(name, self._hasher.hash(password))
        return known is not None

    def _require_patience(self, name: str) -> None:
        with self._lock:
            failures = self._failures.get(name, deque())
            while failures and failures[0] <= self._clock.now() - FAILURES_IN:
                failures.popleft()
            if len(failures) >= MOST_FAILURES:
                raise TooManyAttempts("too many wrong passwords for this name: try again in a quarter of an hour")

    def _failed(self, name: str) -> None:
        with self._lock:
            if len(self._failures) >= MOST_NAMES:
                self._failures.pop(next(iter(self._failures)))
            self._failures.setdefault(name, deque(maxlen=MOST_FAILURES)).append(self._clock.now())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
