"""Accounts and sessions as rows (``ports.accounts``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, insert, select, update

from node.database import audit
from node.database.statements import insert_new
from node.database.tables import account, web_session
from node.database.unit_of_work import UnitOfWork
from node.domain.account import Account
from node.domain.audit import Action, Use
from node.errors import AlreadyThere, NotFound
from node.ports import Clock


class SqlAccounts:
    """``actor`` is who adds and disables, for the log of uses."""

    def __init__(self, engine: Engine, clock: Clock, actor: str) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._actor = actor

    def add(self, name: str, password_digest: str) -> None:
        now = self._clock.now()
        values = {"name": name, "password_digest": password_digest, "created_at": now}

        def step(connection: Connection) -> None:
            if not insert_new(connection, account, ("name",), values):
                raise AlreadyThere(f"there is an account {name} already")
            audit.append(connection, self._actor, now, [Use(Action.ACCOUNT_ADDED, _subject(name))])

        self._work.write(step)

    def all(self) -> Sequence[Account]:
        columns = (account.c.name, account.c.created_at, account.c.disabled_at)
        with self._work.read() as connection:
            return [Account(*row) for row in connection.execute(select(*columns).order_by(account.c.name)).all()]

    def disable(self, name: str) -> None:
        now = self._clock.now()

        def step(connection: Connection) -> None:
            disabled = update(account).where(account.c.name == name).values(disabled_at=now)
            if not connection.execute(disabled).rowcount:
                raise NotFound(f"no account {name}")
            connection.execute(delete(web_session).where(web_session.c.account == name))
            audit.append(connection, self._actor, now, [Use(Action.ACCOUNT_DISABLED, _subject(name))])

        self._work.write(step)

    def password_digest(self, name: str) -> str | None:
        wanted = select(account.c.password_digest).where(account.c.name == name, account.c.disabled_at.is_(None))
        with self._work.read() as connection:
            digest: str | None = connection.execute(wanted).scalar()
        return digest

    def renew_digest(self, name: str, password_digest: str) -> None:
        renewed = update(account).where(account.c.name == name).values(password_digest=password_digest)
        self._work.write(lambda connection: connection.execute(renewed))

    def open_session(self, name: str, digest: str, expires_at: datetime) -> None:
        now = self._clock.now()

        def step(connection: Connection) -> None:
            connection.execute(delete(web_session).where(web_session.c.expires_at <= now))
            values = {"digest": digest, "account": name, "created_at": now, "expires_at": expires_at}
            connection.execute(insert(web_session).values(**values))

        self._work.write(step)

    def session(self, digest: str) -> str | None:
        wanted = (
            select(account.c.name)
            .join(web_session, web_session.c.account == account.c.name)
            .where(web_session.c.digest == digest, web_session.c.expires_at > self._clock.now())
            .where(account.c.disabled_at.is_(None))
        )
        with self._work.read() as connection:
            name: str | None = connection.execute(wanted).scalar()
        return name

    def close_session(self, digest: str) -> None:
        self._work.write(
            lambda connection: connection.execute(delete(web_session).where(web_session.c.digest == digest))
        )


def _subject(name: str) -> str:
    return f"account {name}"
