"""The instance stores: what is received goes to the configured one, what was received is read from both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from node.app.room import room
from node.config import Config
from node.errors import ObjectMissing
from node.ports import Clock, ObjectStore
from node.store.files import FileStore
from node.store.journal.disk import Disk
from node.store.journal.pool import JournalSettings, Pool
from node.store.journal.store import JournalStore


def open_files(config: Config) -> FileStore:
    return FileStore(config.node.data_dir / "instances")


def open_journal(config: Config, clock: Clock, writer: str) -> JournalStore:
    """``writer`` names this process in the segments that it writes. Nothing is made on disk before it is needed."""
    return JournalStore(journal_folder(config), journal_settings(config), writer, clock, room_for(config))


def holding(store: ObjectStore) -> Callable[[str], bool]:
    """Whether the store has the bytes of a key. A disk that does not answer says neither, and raises."""

    def holds(key: str) -> bool:
        try:
            store.locate(key)
        except ObjectMissing:
            return False
        return True

    return holds


def journal_folder(config: Config) -> Path:
    return config.node.data_dir / "journal"


def has_journal(config: Config) -> bool:
    """Whether one is written, or there is one from when it was: what stands in it must get its rows."""
    return config.store.kind == "journal" or journal_folder(config).is_dir()


def journal_pool(config: Config) -> Pool:
    """The journal's folder, without a writer."""
    return Pool(journal_folder(config), journal_settings(config), room_for(config), Disk())


def journal_settings(config: Config) -> JournalSettings:
    store = config.store
    return JournalSettings(
        segment_bytes=store.journal_segment_bytes,
        spare_segments=store.journal_spare_segments,
        max_bytes=store.journal_max_bytes,
        recycle_after_s=store.recycle_after_s,
    )


def room_for(config: Config) -> Callable[[int], bool]:
    """Whether so many bytes more leave the watermark untouched."""
    return lambda size: room(config).has_room_for(size)
