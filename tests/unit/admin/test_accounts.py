"""Logging in: what is refused, and for how long."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from node.admin.accounts import FAILURES_IN, MOST_FAILURES, SESSION, Logins
from node.database.accounts import SqlAccounts
from node.database.engine import make_engine
from node.database.tables import account, metadata, web_session
from node.errors import AlreadyThere, InvalidAccount, LoginRefused, NotFound, TooManyAttempts
from tests.fakes.outbox import StandingClock

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
NAME, PASSWORD = "reader", "correct horse"


class Door:
    def __init__(self, folder: Path) -> None:
        self.clock = StandingClock()
        self.engine = make_engine(f"sqlite:///{folder / 'node.db'}")
        metadata.create_all(self.engine)
        with self.engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO audit_head (id, number, digest) VALUES (1, 0, '')")
        self.logins = self.opened(QUICK)

    def opened(self, hasher: PasswordHasher) -> Logins:
        return Logins(SqlAccounts(self.engine, self.clock, "test"), self.clock, hasher)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    made = Door(tmp_path)
    made.logins.add(NAME, PASSWORD)
    return made


def test_a_session_is_known_by_its_secret_until_it_is_over(door: Door) -> None:
    secret = door.logins.login(NAME, PASSWORD)
    assert door.logins.who(secret) == NAME
    assert door.logins.csrf(secret) != door.logins.csrf(secret + "x")
    for other in ("", "x", secret[:-1], secret + "x", "é" * 20, "x" * 10_000):
        assert door.logins.who(other) is None
    door.clock.advance(SESSION.total_seconds())
    assert door.logins.who(secret) is None
    again = door.logins.login(NAME, PASSWORD)
    door.logins.logout(again)
    assert door.logins.who(again) is None


def test_nothing_that_is_kept_lets_anybody_in(door: Door) -> None:
    secret = door.logins.login(NAME, PASSWORD)
    with door.engine.connect() as connection:
        kept = str([*connection.execute(select(account)).all(), *connection.execute(select(web_session)).all()])
    assert "$argon2id$" in kept
    assert PASSWORD not in kept
    assert secret not in kept


@pytest.mark.parametrize(("name", "password"), [(NAME, "wrong"), ("nobody", PASSWORD), ("", ""), (NAME, "x" * 10_000)])
def test_it_is_not_told_what_is_wrong(door: Door, name: str, password: str) -> None:
    with pytest.raises(LoginRefused, match="no account with this name and password"):
        door.logins.login(name, password)


def test_who_guesses_must_wait(door: Door) -> None:
    for _ in range(MOST_FAILURES):
        with pytest.raises(LoginRefused):
            door.logins.login(NAME, "a guess")
    with pytest.raises(TooManyAttempts):
        door.logins.login(NAME, PASSWORD)
    door.clock.advance((FAILURES_IN + timedelta(seconds=1)).total_seconds())
    assert door.logins.login(NAME, PASSWORD)


def test_a_disabled_account_does_nothing(door: Door) -> None:
    secret = door.logins.login(NAME, PASSWORD)
    door.logins.disable(NAME)
    assert door.logins.who(secret) is None
    with pytest.raises(LoginRefused):
        door.logins.login(NAME, PASSWORD)
    with pytest.raises(AlreadyThere):
        door.logins.add(NAME, PASSWORD)
    with pytest.raises(NotFound):
        door.logins.disable("nobody")
    assert [(one.name, one.disabled_at is None) for one in door.logins.all()] == [(NAME, False)]


@pytest.mark.parametrize(
    ("name", "password"),
    [
        *(("Reader", PASSWORD), ("-x", PASSWORD), ("", PASSWORD), ("a b", PASSWORD), ("x" * 65, PASSWORD)),
        *(("other", "short"), ("other", "x" * 257), ("othername", "OtherName")),
    ],
)
def test_names_and_passwords_have_limits(door: Door, name: str, password: str) -> None:
    with pytest.raises(InvalidAccount):
        door.logins.add(name, password)


def test_an_older_digest_becomes_a_stronger_one(door: Door) -> None:
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    assert door.opened(stronger).login(NAME, PASSWORD)
    with door.engine.connect() as connection:
        digest: str = connection.execute(select(account.c.password_digest)).scalar_one()
    assert not stronger.check_needs_rehash(digest)
    assert door.logins.login(NAME, PASSWORD)
