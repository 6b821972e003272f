"""Transactions over both databases."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from node.database.engine import make_engine
from node.database.tables import setting
from node.database.unit_of_work import MAX_TRIES, UnitOfWork
from node.errors import StoreUnavailable
from tests.fakes.outbox import StandingClock
from tests.peers import free_port


@pytest.fixture
def work(engine: Engine) -> UnitOfWork:
    return UnitOfWork(engine)


def put(connection: Connection, name: str, clock: StandingClock, value: object = 0) -> None:
    connection.execute(insert(setting).values(name=name, value=value, set_at=clock.now()))


def names(work: UnitOfWork) -> list[str]:
    with work.read() as connection:
        return list(connection.execute(select(setting.c.name).order_by(setting.c.name)).scalars())


def test_a_step_that_raises_leaves_nothing(work: UnitOfWork, clock: StandingClock) -> None:
    def step(connection: Connection) -> None:
        put(connection, "a", clock)
        raise LookupError("on purpose")

    with pytest.raises(LookupError):
        work.write(step)
    assert names(work) == []


def test_writers_do_not_lose_each_others_work(work: UnitOfWork, clock: StandingClock) -> None:
    """Read, then write: what a deferred transaction of SQLite cannot do."""
    work.write(lambda connection: put(connection, "count", clock))

    calls = []

    def add(connection: Connection) -> None:
        calls.append(1)
        value = connection.execute(select(setting.c.value).with_for_update()).scalar_one()
        connection.execute(update(setting).values(value=value + 1))

    threads = [threading.Thread(target=lambda: [work.write(add) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with work.read() as connection:
        assert connection.execute(select(setting.c.value)).scalar_one() == 40
    assert len(calls) == 40, "a writer waits before it reads, so that no work is thrown away"


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)  # SQLite has one writer: nobody loses this race
def test_a_lost_race_is_run_again_from_the_start(work: UnitOfWork, engine: Engine, clock: StandingClock) -> None:
    tries = []

    def step(connection: Connection) -> None:
        tries.append(1)
        known = connection.execute(select(setting.c.name)).scalars().all()
        if not known:
            UnitOfWork(engine).write(lambda other: put(other, "a", clock))
            put(connection, "a", clock)

    work.write(step)
    assert len(tries) == 2


def test_a_race_that_is_always_lost_is_an_error(work: UnitOfWork, engine: Engine, clock: StandingClock) -> None:
    work.write(lambda connection: put(connection, "a", clock))
    tries = []

    def step(connection: Connection) -> None:
        tries.append(1)
        put(connection, "a", clock)

    with pytest.raises(DBAPIError):
        work.write(step)
    assert len(tries) == (MAX_TRIES if engine.dialect.name == "postgresql" else 1)


def test_a_wrong_statement_is_no_lost_database(work: UnitOfWork) -> None:
    with pytest.raises(DBAPIError):
        work.write(lambda connection: connection.execute(text("SELECT nothing FROM nowhere")))


def test_errors_never_repeat_values(work: UnitOfWork, clock: StandingClock) -> None:
    work.write(lambda connection: put(connection, "a", clock))
    with pytest.raises(DBAPIError) as caught:
        work.write(lambda connection: put(connection, "a", clock, "Doe^Jane"))
    assert "Doe^Jane" not in str(caught.value)


def test_no_server_is_an_error_of_ours() -> None:
    engine = make_engine(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none", "secret")
    work = UnitOfWork(engine)
    with pytest.raises(StoreUnavailable), work.read():
        pass
    with pytest.raises(StoreUnavailable):
        work.write(lambda connection: None)
    assert "secret" not in repr(engine)


def test_no_room_is_an_error_of_ours_and_nothing_is_written(tmp_path: Path, clock: StandingClock) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'small.db'}")
    work = UnitOfWork(engine)
    try:
        setting.create(engine)

        def fill(connection: Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            for number in range(1000):
                put(connection, f"row {number}", clock, "x" * 1000)

        with pytest.raises(StoreUnavailable, match="disk is full"):
            work.write(fill)
        assert names(work) == []
    finally:
        engine.dispose()


class Refusing:
    """A connection of SQLite whose statements that match ``what`` fail as the disk under it does."""

    def __init__(self, engine: Engine, what: str, code: int, message: str) -> None:
        self.what = what
        self.error: sqlite3.OperationalError | None = sqlite3.OperationalError(message)
        self.error.sqlite_errorcode = code
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "commit", self._commit)

    def _before(self, connection: Connection, cursor: object, statement: str, *_: object) -> None:
        if self.error is not None and statement.startswith(self.what):
            raise DBAPIError.instance(statement, None, self.error, sqlite3.Error)

    def _commit(self, connection: Connection) -> None:
        if self.error is not None and self.what == "COMMIT":
            connection.connection.driver_connection.rollback()
            raise DBAPIError.instance("COMMIT", None, self.error, sqlite3.Error)


@pytest.mark.parametrize("what", ["BEGIN IMMEDIATE", "INSERT", "UPDATE", "COMMIT"])
@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        (sqlite3.SQLITE_FULL, "database or disk is full", "disk is full"),
        (sqlite3.SQLITE_IOERR_WRITE, "disk I/O error", "disk failed"),
        (sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error", "disk failed"),
    ],
    ids=["full", "write", "flush"],
)
def test_a_disk_that_refuses_a_database_is_named_and_recovers(
    tmp_path: Path, clock: StandingClock, what: str, code: int, message: str, reason: str
) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'node.db'}")
    work = UnitOfWork(engine)
    try:
        setting.create(engine)
        work.write(lambda connection: put(connection, "before", clock))

        def change(connection: Connection) -> None:
            put(connection, "after", clock)
            connection.execute(update(setting).values(value=7))

        refusing = Refusing(engine, what, code, message)
        with pytest.raises(StoreUnavailable, match=reason):
            work.write(change)
        refusing.error = None
        assert names(work) == ["before"]
        work.write(change)
        assert names(work) == ["after", "before"]
    finally:
        engine.dispose()


def test_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'node.db'}")
    try:
        with engine.connect() as connection:
            found = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
        assert found == ["wal", 2, 1, 30000]
    finally:
        engine.dispose()
