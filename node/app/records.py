"""Everything that stands on the database and the store: what every role and every command shares."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from node.app.clock import SystemClock
from node.app.stores import holding, open_files, open_journal
from node.app.wishes import FittedWishes
from node.config import Config, commits, reads_back
from node.database.arrivals import SqlArrivalRecord
from node.database.audit import SqlAudit
from node.database.catalogue import SqlCatalogue
from node.database.destination_rows import SqlDestinations
from node.database.engine import make_engine
from node.database.migrations import upgrade
from node.database.outbox import SqlOutbox
from node.database.result_rows import SqlResults
from node.database.roles import SqlRoleBoard
from node.domain.audit import SYSTEM
from node.domain.retry import RetryPolicy
from node.jobs.assessments import SqlAssessments
from node.jobs.documents import SqlDueDocuments
from node.jobs.queue import SqlJobQueue
from node.jobs.withdrawals import SqlWithdrawals
from node.ports import Clock
from node.show.worklist import Worklist
from node.store.either import EitherStore
from node.store.files import FileStore
from node.store.journal.store import JournalStore


@dataclass(frozen=True, slots=True)
class Records:
    """The node's memory, opened. ``instances`` is ``journal`` and ``files`` together."""

    config: Config
    clock: Clock
    engine: Engine
    catalogue: SqlCatalogue
    queue: SqlJobQueue
    outbox: SqlOutbox
    roles: SqlRoleBoard
    destinations: SqlDestinations
    wishes: FittedWishes
    worklist: Worklist
    instances: EitherStore
    journal: JournalStore
    files: FileStore
    arrivals: SqlArrivalRecord
    results: FileStore
    documents: SqlDueDocuments
    assessments: SqlAssessments
    withdrawals: SqlWithdrawals
    written: SqlResults
    audit: SqlAudit

    def close(self) -> None:
        self.journal.close()
        self.files.close()
        self.results.close()
        self.engine.dispose()

    @property
    def host(self) -> str:
        return socket.gethostname()


def open_records(config: Config, instance: str = "command", actor: str | None = None) -> Records:
    """Open database and stores, with the schema brought up to date. ``instance`` names this process.

    ``actor`` is who does what is done with them, for the log of uses: the process itself where it is nobody else.

    Raises:
        StoreUnavailable: a folder cannot be made.
    """
    data = config.node.data_dir
    data.mkdir(parents=True, exist_ok=True)
    if config.database.url.startswith("sqlite:///"):
        Path(config.database.url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    clock = SystemClock()
    by = actor or f"{SYSTEM}:{socket.gethostname()}/{instance}"
    engine = make_engine(config.database.url, database_password(config))
    upgrade(engine)
    files, journal = open_files(config), open_journal(config, clock, f"{socket.gethostname()}/{instance}")
    instances = EitherStore(files, journal, files if config.store.kind == "files" else journal)
    delivery_attempts = {destination.name: destination.max_attempts for destination in config.destinations}
    destinations = SqlDestinations(engine, clock)
    wishes = FittedWishes(config, destinations, clock)
    looked_at = [one.name for one in config.destinations if reads_back(one)]
    return Records(
        config=config,
        clock=clock,
        engine=engine,
        catalogue=SqlCatalogue(engine, clock, config.work.max_attempts, holding(instances), by),
        queue=SqlJobQueue(
            engine,
            clock,
            config.work.max_attempts,
            delivery_attempts,
            config.work.max_wait_s,
            RetryPolicy(config.work.max_attempts, config.work.retry_base_s, config.work.retry_cap_s),
            wishes=wishes,
            actor=by,
            ae_title=config.node.ae_title,
        ),
        outbox=SqlOutbox(engine, clock, actor=by, reading_back=looked_at),
        roles=SqlRoleBoard(engine, clock),
        destinations=destinations,
        wishes=wishes,
        worklist=Worklist(engine, clock, [one.name for one in config.destinations if commits(one)], looked_at),
        instances=instances,
        journal=journal,
        files=files,
        arrivals=SqlArrivalRecord(engine, clock, holding(instances)),
        results=FileStore(data / "results"),
        documents=SqlDueDocuments(engine, clock, delivery_attempts, wishes, by),
        assessments=SqlAssessments(engine, clock, delivery_attempts, wishes, by),
        withdrawals=SqlWithdrawals(engine, by),
        written=SqlResults(engine),
        audit=SqlAudit(engine, clock, by),
    )


def database_password(config: Config) -> str | None:
    """The database's password from the environment or its file; None where the URL needs none."""
    if config.database.password is not None:
        return config.database.password.get_secret_value()
    if config.database.password_file is not None:
        return config.database.password_file.read_text(encoding="utf-8").strip()
    return None
