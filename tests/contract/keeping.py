"""A journal with its rows, and what becomes of both: for the tests of reuse and of the comparison."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, func, select, update

from node.database.arrivals import SqlArrivalRecord
from node.database.inventory import SqlInventory
from node.database.removals import SqlRelocation, SqlRemovals, to_be_freed
from node.database.tables import instance, metadata
from node.domain.study import Arrival, AssociationFacts, Instance, StoredInstance
from node.ports import Batch, InstanceArrived
from node.ports.retention import Kept, Relocation
from node.store.file_shelf import FileShelf
from node.store.files import FileStore
from node.store.journal import JournalSettings, JournalStore
from node.store.journal.disk import Disk
from node.store.journal.pool import Pool
from node.store.journal.reuse import Reuse
from node.store.journal.shelf import JournalShelf
from node.store.space import Space
from node.store.verify import Report, Verify
from tests.objects import data_set, part10

IDLE_S = 60.0
OFFSET = 340  # any will do: nothing here reads a header by it


class MovableClock:
    """Files carry the real time, so this one is the real one, moved."""

    def __init__(self) -> None:
        self.moved = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.moved


class Keeping:
    """One node's store and tables. ``relocation`` may be replaced by one that fails."""

    def __init__(self, root: Path, engine: Engine, segment_bytes: int = 1 << 18, max_bytes: int = 0) -> None:
        self.root = root
        self.engine = engine
        self.clock = MovableClock()
        self.settings = JournalSettings(segment_bytes, 0, max_bytes, IDLE_S)
        self.journal = self.open_journal("receive-0")
        self.copies = self.open_journal("timers")
        self.results = FileStore(root / "results")
        self.record = SqlArrivalRecord(engine, self.clock)
        self.relocation: Relocation = SqlRelocation(engine, self.clock)
        self.space = Space(free_bytes=1 << 40, watermark_bytes=0)
        self.pool = Pool(root / "journal", self.settings, lambda _: True, Disk())
        self.shelf = JournalShelf(self.copies, self.pool.folder, settled_wait_s=1.0)

    def open_journal(self, writer: str) -> JournalStore:
        return JournalStore(self.root / "journal", self.settings, writer, self.clock, lambda _: True)

    def reuse(self) -> Reuse:
        """A fresh one, as after a restart."""
        return Reuse(self.copies, self.pool, self.record, self.relocation, self.clock, lambda: self.space)

    def store(self, number: int, size: int = 64, journal: JournalStore | None = None) -> tuple[str, bytes]:
        """One object of ``size`` x ``size`` pixels, by the receiver that has ``journal``; key and bytes."""
        made = data_set(number=number, size=size)
        content = part10(made)
        draft = (journal or self.journal).begin(len(content))
        try:
            draft.write([content])
            key = draft.commit(arrival(str(made.SOPInstanceUID), self.clock.now())).key
        finally:
            draft.discard()
        return key, content

    def seal(self) -> None:
        """What receivers wrote so far is over; the next object begins another segment."""
        self.journal.close()
        self.journal = self.open_journal("receive-0")

    def catch_up(self) -> None:
        """Every entry gets its row."""
        recorded = self.record.recorded(self.journal.id)
        for segment in sorted(self.journal.segments()):
            after = recorded.get(segment, 0)
            while entries := self.journal.entries(segment, after, 100):
                arrived = [each.event for each in entries if isinstance(each.event, InstanceArrived)]
                rows = [(one.arrival, self._row(one)) for one in arrived]
                self.record.record_batch(Batch(self.journal.id, segment, after, after + len(entries), rows, ()))
                after += len(entries)

    def _row(self, one: InstanceArrived) -> StoredInstance:
        with Path(one.location.path).open("rb") as file:
            file.seek(one.location.offset)
            content = file.read(one.location.length)
        meta = int.from_bytes(content[140:144], "little")
        known = Instance(
            one.arrival.study_instance_uid,
            one.arrival.series_instance_uid,
            one.arrival.sop_class_uid,
            one.arrival.sop_instance_uid,
            one.arrival.transfer_syntax_uid,
        )
        digest = hashlib.sha256(content[144 + meta :]).hexdigest()
        return StoredInstance(known, one.stored.key, one.stored.size, digest, "CT1", one.arrival.received_at, "a1")

    def remove(self, *keys: str, freed: bool = True) -> None:
        """As retention does."""
        with self.engine.begin() as connection:
            marked = update(instance).where(instance.c.storage_key.in_(keys))
            connection.execute(marked.values(removed_at=self.clock.now()))
            to_be_freed(connection, Kept.INSTANCES, keys, self.clock.now())
        if freed:
            self.free()

    def free(self) -> int:
        return SqlRemovals(self.engine).free(Kept.INSTANCES, lambda key, _: self.copies.delete(key), 1000).freed

    def pass_time(self) -> None:
        self.clock.moved += timedelta(seconds=IDLE_S + 1)

    def content(self, key: str) -> bytes:
        with self.journal.open(key) as file:
            return file.read()

    def keys(self) -> dict[str, str]:
        """SOP Instance UID to storage key, by the rows."""
        columns = (instance.c.sop_instance_uid, instance.c.storage_key)
        with self.engine.connect() as connection:
            rows = connection.execute(select(*columns).where(instance.c.removed_at.is_(None)))
            return {row.sop_instance_uid: row.storage_key for row in rows}

    def rows(self, table: str) -> int:
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one()

    def verify(self, deep: bool = True, repair: bool = False) -> Report:
        opens = {Kept.INSTANCES: self.journal.open, Kept.RESULTS: self.results.open}
        check = Verify(SqlInventory(self.engine), opens, deep, repair, pause=lambda: None)
        return check.run([self.shelf, FileShelf(self.results, Kept.RESULTS, due_after_s=0.0)])

    def found(self, **how: bool) -> list[tuple[str, str]]:
        return [(one.problem.value, one.key) for one in self.verify(**how).findings]

    def segments(self) -> list[int]:
        return self.pool.folder.numbers()

    def close(self) -> None:
        self.journal.close()
        self.copies.close()


def arrival(sop_instance_uid: str, at: datetime) -> Arrival:
    facts = AssociationFacts("a1", "CT1", "AINODE", "127.0.0.1", "receive-0", at)
    made = data_set()
    uids = (str(made.StudyInstanceUID), str(made.SeriesInstanceUID), str(made.SOPClassUID))
    return Arrival(*uids, sop_instance_uid, "1.2.840.10008.1.2.1", facts, at, OFFSET)
