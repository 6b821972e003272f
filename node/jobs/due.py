"""Claiming the first of what is due: of documents, and of what persons said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select

from node.database.unit_of_work import UnitOfWork

T = TypeVar("T")


def claim_first(
    work: UnitOfWork,
    due: Select[*tuple[Any, ...]],
    locks: bool,
    take: Callable[[Connection, Row[*tuple[Any, ...]]], T],
) -> T | None:
    """What ``take`` makes of the first row of ``due``, in one transaction; None where there is none.

    It is looked at first without the right to write: most of the time nothing is due. Where the database ``locks``
    rows, one that somebody else claims just now is passed over.
    """
    with work.read() as connection:
        if connection.execute(due).first() is None:
            return None
    chosen = due.with_for_update(skip_locked=True) if locks else due

    def step(connection: Connection) -> T | None:
        found = connection.execute(chosen).first()
        return None if found is None else take(connection, found)

    return work.write(step)
