"""What dead writers left: their segments are taken over, checked entry by entry, and sealed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from node.store.journal.disk import Disk, write_all
from node.store.journal.folder import Folder, lock_now
from node.store.journal.format import (
    SEAL_OFFSET,
    STATE_OFFSET,
    Entry,
    State,
    data_start,
    entry_offset,
    pack_seal,
    state_of,
)
from node.store.journal.reader import SegmentReader, reader_of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Slot:
    """``whole``: record and data are what was written; ``entry`` None: nothing readable stands at this position."""

    position: int
    state: State
    entry: Entry | None
    whole: bool

    @property
    def was_told(self) -> bool:
        """Somebody has the key of it, or had."""
        return self.entry is not None and self.state in (State.PUBLISHED, State.FREED)

    @property
    def is_kept(self) -> bool:
        return self.whole and self.state is not State.DROPPED


def recover(folder: Folder, disk: Disk) -> int:
    """How many entries are new: whole, and not known to be durable before.

    All slots of the index are looked at: an acknowledged entry is kept even behind one whose sector is rotten. What was
    never acknowledged is kept where it is whole (its sender sends it again, and the second is a duplicate) and dropped
    where it is torn.

    A segment that the disk does not let us read or flush is named in the log, and left for the next time.

    Raises:
        StoreUnavailable: the journal cannot be listed.
    """
    new = 0
    for number in folder.numbers():
        try:
            new += _recover(folder.segment(number), number, disk)
        except OSError as error:
            log.error("journal.not_recovered", segment=number, errno=error.errno)
    return new


def _recover(path: Path, number: int, disk: Disk) -> int:
    with _orphan(path, number, disk) as segment:
        if segment is None:
            return 0
        disk.flush(segment.descriptor)  # what is judged is what a power cut leaves
        slots = list(_slots(segment))
        count = 1 + max((slot.position for slot in slots if slot.is_kept or slot.was_told), default=-1)
        _drop_torn(segment, slots, number, disk)
        write_all(disk, segment.descriptor, [pack_seal(count, segment.header.nonce)], SEAL_OFFSET)
        _trim(segment, slots[:count], disk)
        disk.flush(segment.descriptor)
    new = sum(1 for slot in slots if slot.is_kept and not slot.was_told)
    log.info("journal.recovered", segment=number, entries=count, new=new)
    return new


@contextmanager
def _orphan(path: Path, number: int, disk: Disk) -> Iterator[SegmentReader | None]:
    """None: it is sealed, somebody writes it, it is gone, or it is no segment."""
    try:
        descriptor = disk.open(path)
    except FileNotFoundError:
        yield None
        return
    try:
        segment = reader_of(descriptor, number) if lock_now(descriptor) else None
        if segment is None and lock_now(descriptor):
            log.error("journal.unreadable_segment", segment=number)
        yield segment if segment is not None and segment.sealed is None else None
    finally:
        os.close(descriptor)


def _slots(segment: SegmentReader) -> Iterator[Slot]:
    for position, raw in enumerate(segment.raw_entries(0, segment.header.capacity)):
        entry, state = segment.entry(raw, position), state_of(raw)
        whole = entry is not None and (state is State.FREED or segment.is_whole(entry))
        if entry is not None or any(raw):
            yield Slot(position, state, entry, whole)


def _drop_torn(segment: SegmentReader, slots: list[Slot], number: int, disk: Disk) -> None:
    """Durable before the seal is: a sealed segment's entries are believed."""
    torn = [slot for slot in slots if not slot.whole and slot.state is not State.DROPPED]
    for slot in torn:
        if slot.was_told:
            log.error("journal.damaged", segment=number, position=slot.position)
        write_all(disk, segment.descriptor, [bytes((State.DROPPED,))], entry_offset(slot.position) + STATE_OFFSET)
    if torn:
        disk.flush(segment.descriptor)


def _trim(segment: SegmentReader, slots: list[Slot], disk: Disk) -> None:
    """What lies behind the last object goes back to the file system."""
    used = max((slot.entry.end for slot in slots if slot.entry is not None), default=0)
    disk.truncate(segment.descriptor, max(used, data_start(segment.header.capacity)))
