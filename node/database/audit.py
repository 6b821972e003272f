"""The log of uses as rows (``domain.audit``): appended within the transaction that does what they tell of.

The head is one row. Who appends locks it until the transaction ends, so that entries are numbered and sealed one after
the other by however many processes; therefore it is the last thing that a transaction does, and who waits for it holds
nothing that its holder still needs.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, true, update

from node.database.tables import audit_entry, audit_head
from node.database.types import storable_text
from node.database.unit_of_work import UnitOfWork
from node.domain.audit import Entry, Examination, Head, Use, examine, seal
from node.errors import StoreUnavailable
from node.ports import Clock

# The one row of ``audit_head``.
THE_HEAD = 1
AT_ONCE = 1000
_HEAD = select(audit_head.c.number, audit_head.c.digest).where(audit_head.c.id == THE_HEAD)
_LOCKED_HEAD = _HEAD.with_for_update()
# One statement, so that head and entries are those of one moment in either database.
_ENTRIES_AND_HEAD = (
    select(audit_entry, audit_head.c.number.label("head_number"), audit_head.c.digest.label("head_digest"))
    .select_from(audit_head.outerjoin(audit_entry, true()))
    .where(audit_head.c.id == THE_HEAD)
    .order_by(audit_entry.c.number)
)


def append(connection: Connection, actor: str, now: datetime, uses: Sequence[Use]) -> None:
    """Seal ``uses`` into the chain; nothing may follow in this transaction.

    Raises:
        StoreUnavailable: the head is gone; nothing is done that could not be logged.
    """
    if not uses:
        return
    row = connection.execute(_LOCKED_HEAD).first()
    if row is None:
        raise StoreUnavailable("the head of the audit log is gone: ainode audit verify")
    entries = seal(Head(row.number, row.digest), storable_text(actor), now, uses)
    for one in entries:
        connection.execute(insert(audit_entry), asdict(one))
    moved = update(audit_head).where(audit_head.c.id == THE_HEAD)
    connection.execute(moved.values(number=entries[-1].number, digest=entries[-1].digest))


class SqlAudit:
    """The log as it is read; ``actor`` is who does what ``record`` writes."""

    def __init__(self, engine: Engine, clock: Clock, actor: str) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._actor = actor

    def record(self, use: Use) -> None:
        """An entry for what changes no other row."""
        self._work.write(lambda connection: append(connection, self._actor, self._clock.now(), [use]))

    def record_all(self, noted: Sequence[tuple[datetime, str, Use]]) -> None:
        """Entries for what was done at these times, by these actors, in one transaction."""

        def step(connection: Connection) -> None:
            for at, actor, use in noted:
                append(connection, actor, at, [use])

        self._work.write(step)

    def newest(self, limit: int) -> list[Entry]:
        """The newest first."""
        statement = select(audit_entry).order_by(audit_entry.c.number.desc()).limit(limit)
        with self._work.read() as connection:
            return [Entry(**row) for row in connection.execute(statement).mappings()]

    def head(self) -> Head | None:
        """None: somebody took it away."""
        with self._work.read() as connection:
            row = connection.execute(_HEAD).first()
        return None if row is None else Head(row.number, row.digest)

    def verify(self, noted: str | None = None) -> Examination:
        """Read the whole chain; ``noted`` is as for ``domain.audit.examine``."""
        with self._work.read() as connection:
            reading = connection.execution_options(yield_per=AT_ONCE)
            with contextlib.closing(reading.execute(_ENTRIES_AND_HEAD)) as rows:
                first = next(rows, None)
                if first is None:
                    return examine((), None, noted)
                return examine(_entries(first, rows), Head(first.head_number, first.head_digest), noted)


def _entries(first: Row[*tuple[Any, ...]], rest: Iterator[Row[*tuple[Any, ...]]]) -> Iterator[Entry]:
    """Without an entry the head stands in a row by itself."""
    names = [column.name for column in audit_entry.columns]
    for row in itertools.chain([first], rest) if first.number is not None else ():
        yield Entry(**{name: row._mapping[name] for name in names})
