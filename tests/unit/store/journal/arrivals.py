"""Arrivals and journals for the tests of the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from node.domain.study import Arrival, AssociationFacts
from node.store.journal import JournalSettings, JournalStore
from node.store.journal.disk import Disk

AT = datetime(2024, 5, 17, 12, 30, 15, 250, tzinfo=UTC)
BLOCK = 4096


class StillClock:
    def now(self) -> datetime:
        return AT


def arrival(number: int = 1, association: str = "a1", receiver: str = "receive-0") -> Arrival:
    return Arrival(
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"1.2.3.4.{number}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        association=AssociationFacts(association, "CT1", "AINODE", "127.0.0.1", receiver, AT),
        received_at=AT,
        data_set_offset=132,
    )


def journal(
    root: Path,
    disk: Disk | None = None,
    segment_bytes: int = 1 << 20,
    spares: int = 0,
    max_bytes: int = 0,
    free_bytes: int = 1 << 40,
) -> JournalStore:
    settings = JournalSettings(segment_bytes, spares, max_bytes)
    return JournalStore(root, settings, "receive-0", StillClock(), lambda size: size <= free_bytes, disk)


def store(where: JournalStore, content: bytes, number: int = 1, association: str = "a1") -> str:
    """The key of a new object."""
    draft = where.begin(len(content))
    try:
        draft.write([content])
        return draft.commit(arrival(number, association)).key
    finally:
        draft.discard()


def content_of(where: JournalStore, key: str) -> bytes:
    with where.open(key) as file:
        return file.read()
