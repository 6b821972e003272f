"""What can be chosen in the filters of the worklist: the modalities and models that its lines have."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, func, select

from node.database.tables import worklist_term
from node.database.unit_of_work import UnitOfWork
from node.ports import Clock
from node.show import terms

FRESH_FOR = timedelta(seconds=10)
# More is no choice any more.
AT_MOST = 100


@dataclass(frozen=True, slots=True)
class Found:
    modalities: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


class Choices:
    """Looked for at most every ten seconds. Of several threads."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._work = UnitOfWork(engine)
        self._clock = clock
        self._lock = threading.Lock()
        self._made_at: datetime | None = None
        self._found = Found()

    def found(self) -> Found:
        with self._lock:
            now = self._clock.now()
            if self._made_at is None or now - self._made_at >= FRESH_FOR:
                with self._work.read() as connection:
                    self._found = Found(_values(connection, terms.MODALITY), _values(connection, terms.MODEL))
                self._made_at = now
            return self._found


def _values(connection: Connection, kind: str) -> tuple[str, ...]:
    """From one to the next along the index: as many steps as there are values, however many lines have them."""
    found: list[str] = []
    last: str | None = kind
    while last is not None and len(found) < AT_MOST:
        following = select(func.min(worklist_term.c.term)).where(
            worklist_term.c.term > last, worklist_term.c.term < kind + terms.BEHIND
        )
        last = connection.execute(following).scalar()
        if last is not None:
            found.append(terms.value_of(last))
    return tuple(found)
