"""The objects that rows name (``ports.Inventory``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select

from node.database.tables import alert, instance, journal_segment, removal, result
from node.database.unit_of_work import UnitOfWork
from node.domain.result import report_key_of
from node.ports.inventory import Known
from node.ports.retention import Kept


class SqlInventory:
    def __init__(self, engine: Engine) -> None:
        self._work = UnitOfWork(engine)

    def rows(self, kept: Kept, after: int, limit: int) -> Sequence[Known]:
        table = _TABLES[kept]
        wanted = _SELECTS[kept].where(table.c.id > after).order_by(table.c.id).limit(limit)
        with self._work.read() as connection:
            return _known(connection, wanted)

    def row(self, kept: Kept, row: int) -> Known | None:
        with self._work.read() as connection:
            found = _known(connection, _SELECTS[kept].where(_TABLES[kept].c.id == row))
        return found[0] if found else None

    def named(self, kept: Kept, keys: Sequence[str]) -> Mapping[str, Known]:
        with self._work.read() as connection:
            found = _known(connection, _SELECTS[kept].where(_TABLES[kept].c.storage_key.in_(keys)))
        return {known.key: known for known in found}

    def excused(self, kept: Kept, keys: Sequence[str]) -> frozenset[str]:
        waiting = select(removal.c.storage_key).where(removal.c.kept == kept, removal.c.storage_key.in_(keys))
        told = alert.c.detail["storage_key"].as_string()
        with self._work.read() as connection:
            found = set(connection.execute(waiting).scalars())
            found |= set(connection.execute(select(told).where(told.in_(keys))).scalars())
            found |= _beside_reports(connection, keys) if kept is Kept.RESULTS else set()
        return frozenset(found)

    def to_be_freed(self) -> int:
        """How many objects wait for that."""
        with self._work.read() as connection:
            return connection.execute(select(func.count()).select_from(removal)).scalar_one()

    def recorded(self, journal_id: str) -> Mapping[int, int]:
        columns = (journal_segment.c.segment, journal_segment.c.recorded)
        wanted = select(*columns).where(journal_segment.c.journal_id == journal_id)
        with self._work.read() as connection:
            return {row.segment: row.recorded for row in connection.execute(wanted)}


_TABLES = {Kept.INSTANCES: instance, Kept.RESULTS: result}
_SELECTS: Mapping[Kept, Select[*tuple[Any, ...]]] = {
    Kept.INSTANCES: select(
        instance.c.id, instance.c.storage_key, instance.c.size, instance.c.sha256, instance.c.sop_instance_uid
    ).where(instance.c.removed_at.is_(None)),
    Kept.RESULTS: select(result.c.id, result.c.storage_key, result.c.size, result.c.sha256, result.c.sop_instance_uid),
}


def _beside_reports(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Heat maps of reports that are there: they have no row of their own."""
    beside = {report: key for key in keys if (report := report_key_of(key)) is not None}
    named = select(result.c.storage_key).where(result.c.storage_key.in_(beside))
    return {beside[report] for report in connection.execute(named).scalars()}


def _known(connection: Connection, statement: Select[*tuple[Any, ...]]) -> list[Known]:
    return [Known(*row) for row in connection.execute(statement)]
