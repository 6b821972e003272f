"""Whether the database is there, its tables are those of this version, and its clock is ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from node.app.doctor.finding import Finding, fail, ok, warn
from node.app.records import database_password
from node.config import Config
from node.database.engine import make_engine
from node.database.soundness import SqlSoundness
from node.errors import StoreUnavailable

_SQLITE = "sqlite:///"
# Leases are of seconds: hosts that are further apart take work from each other.
SKEW_NOTED, SKEW_BORNE = timedelta(seconds=1), timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Memory:
    """``engine`` is None where nothing can be read from the database, for ``reason``; ``made`` is False where there is
    none yet, and that is why.
    """

    engine: Engine | None
    made: bool
    reason: str


class Database:
    """Looked at before everything that stands on it. Nothing is made and no migration is run."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.memory = Memory(None, True, "the database did not answer in time")

    def look(self) -> Iterator[Finding]:
        url = self._config.database.url
        if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).exists():
            self.memory = Memory(None, False, "there is no database yet")
            yield ok("database", f"{url} is made when the node starts")
            return
        try:
            engine = make_engine(url, database_password(self._config))
            current, head = SqlSoundness(engine).revisions()
            at, told = datetime.now(UTC), SqlSoundness(engine).now()
        except (StoreUnavailable, SQLAlchemyError, OSError) as error:
            self.memory = Memory(None, True, "the database does not answer")
            advice = "Start the database, and look at database.url, the password and the network between."
            yield fail("database", _reason(error), advice)
            return
        yield ok("database", f"{engine.dialect.name} answers")
        yield from self._schema(engine, current, head)
        yield _clock(at, told)

    def _schema(self, engine: Engine, current: str | None, head: str) -> Iterator[Finding]:
        if current == head:
            self.memory = Memory(engine, True, "")
            yield ok("migrations", f"at {head}, the newest")
        elif current is None:
            self.memory = Memory(None, False, "the database has no tables yet")
            yield ok("migrations", "no tables yet: they are made when the node starts")
        else:
            self.memory = Memory(None, True, "the tables are not those of this version")
            advice = "Stop every process of another version, and start the node: it migrates by itself."
            yield fail("migrations", f"at {current}, this version knows {head}", advice)


def _reason(error: Exception) -> str:
    """Without what a driver tells of the connection: its text names hosts and accounts."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return f"{error}" if isinstance(error, StoreUnavailable | OSError) else f"refused: {type(cause).__name__}"


def _clock(at: datetime, told: datetime | None) -> Finding:
    if told is None:
        return ok("clock", "the database has this machine's clock")
    apart = abs(told - at)
    found = f"the database's clock is {apart.total_seconds():.1f} s away from this machine's"
    advice = "Keep both hosts' clocks with NTP: leases, timings and times in results rest on them."
    if apart >= SKEW_BORNE:
        return fail("clock", found, advice)
    return warn("clock", found, advice) if apart >= SKEW_NOTED else ok("clock", found)
