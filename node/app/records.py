"""Everything that stands on the database and the store: what every role and every command shares."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from node.app.clock import SystemClock
from node.config import Config
from node.database.catalogue import SqlCatalogue
from node.database.engine import make_engine
from node.database.migrations import upgrade
from node.database.outbox import SqlOutbox
from node.database.roles import SqlRoleBoard
from node.jobs.queue import SqlJobQueue
from node.ports import Clock
from node.show.worklist import Worklist
from node.store.files import FileStore


@dataclass(frozen=True, slots=True)
class Records:
    """The node's memory, opened."""

    config: Config
    clock: Clock
    engine: Engine
    catalogue: SqlCatalogue
    queue: SqlJobQueue
    outbox: SqlOutbox
    roles: SqlRoleBoard
    worklist: Worklist
    instances: FileStore
    results: FileStore

    def close(self) -> None:
        self.engine.dispose()

    @property
    def host(self) -> str:
        return socket.gethostname()


def open_records(config: Config) -> Records:
    """Open database and stores, with the schema brought up to date.

    Raises:
        StoreUnavailable: a folder cannot be made.
    """
    data = config.node.data_dir
    data.mkdir(parents=True, exist_ok=True)
    if config.database.url.startswith("sqlite:///"):
        Path(config.database.url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    clock = SystemClock()
    engine = make_engine(config.database.url, database_password(config))
    upgrade(engine)
    delivery_attempts = {destination.name: destination.max_attempts for destination in config.destinations}
    return Records(
        config=config,
        clock=clock,
        engine=engine,
        catalogue=SqlCatalogue(engine, clock, config.work.max_attempts),
        queue=SqlJobQueue(engine, clock, config.work.max_attempts, delivery_attempts),
        outbox=SqlOutbox(engine, clock),
        roles=SqlRoleBoard(engine, clock),
        worklist=Worklist(engine, clock, [one.name for one in config.destinations if one.commitment]),
        instances=FileStore(data / "instances"),
        results=FileStore(data / "results"),
    )


def database_password(config: Config) -> str | None:
    """The database's password from the environment or its file; None where the URL needs none."""
    if config.database.password is not None:
        return config.database.password.get_secret_value()
    if config.database.password_file is not None:
        return config.database.password_file.read_text(encoding="utf-8").strip()
    return None
