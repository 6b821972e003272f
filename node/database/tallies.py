"""How many jobs and deliveries there are in each state, without counting them.

Triggers (migration 0003) add a row for every change: inserting waits for no other writer, as updating one counter for
all would. What stands in the table is always exact; folding only keeps it short.
"""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, Engine, delete, func, insert, select

from node.database.tables import tally
from node.database.unit_of_work import UnitOfWork

# A sum over so few rows costs nothing.
FOLDED_FROM = 200


def counts(connection: Connection) -> Counter[tuple[str, str]]:
    """By table and state."""
    total = func.sum(tally.c.amount)
    statement = select(tally.c.kind, tally.c.state, total).group_by(tally.c.kind, tally.c.state)
    return Counter({(kind, state): int(amount) for kind, state, amount in connection.execute(statement)})


def fold(engine: Engine) -> int:
    """One row for each table and state instead of many; how many rows are gone. Called by a timer."""
    work = UnitOfWork(engine)
    with work.read() as connection:
        rows: int = connection.execute(select(func.count()).select_from(tally)).scalar_one()
    return work.write(fold_rows) if rows >= FOLDED_FROM else 0


def fold_rows(connection: Connection) -> int:
    """Exact beside any writer and beside another fold: what is put back is what this statement took away."""
    gone = connection.execute(delete(tally).returning(tally.c.kind, tally.c.state, tally.c.amount)).all()
    sums: Counter[tuple[str, str]] = Counter()
    for kind, state, amount in gone:
        sums[kind, state] += amount
    kept = [{"kind": kind, "state": state, "amount": amount} for (kind, state), amount in sums.items() if amount]
    if kept:
        connection.execute(insert(tally), kept)
    return len(gone) - len(kept)
