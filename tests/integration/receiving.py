"""A Storage SCP on loopback with a real store and an in-memory record, and what tests ask of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from node.config import ReceiveSection
from node.deliver.commitment import parse_report
from node.domain.delivery import CommitmentReport
from node.domain.study import Arrival, Value
from node.ports import Draft, Recording, StoredObject
from node.receive.intake import Intake, Room
from node.receive.part10 import data_set_offset
from node.receive.recording import RecordLater, RecordNow
from node.receive.services import Service
from node.receive.storage_scp import StorageScp
from node.store.files import FileStore
from node.store.incoming import IncomingFolder
from node.store.journal.disk import Disk
from node.store.journal.pool import JournalSettings
from node.store.journal.store import JournalStore
from node.store.space import Space
from tests.fakes.catalogue import FakeCatalogue
from tests.waiting import wait_for

AE_TITLE = "AINODE"
JOURNAL = JournalSettings(8 << 20, 0, 0, 3600.0)
ROOM = Space(free_bytes=1 << 40, watermark_bytes=1 << 30)


class FixedClock:
    def now(self) -> datetime:
        return datetime(2030, 1, 1, 12, tzinfo=UTC)


class WatchedDrafts:
    """A store that knows which of its drafts have not ended."""

    def __init__(self, store: FileStore | JournalStore) -> None:
        self._store = store
        self._drafts: list[Draft] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def begin(self, size_hint: int = 0) -> Draft:
        draft = self._store.begin(size_hint)
        ended = draft.discard

        def discard() -> None:
            ended()
            if draft in self._drafts:
                self._drafts.remove(draft)

        draft.discard = discard  # type: ignore[method-assign]
        self._drafts.append(draft)
        return draft

    def under_way(self) -> bool:
        return any(draft.size for draft in self._drafts)


class RecordBoth:
    """What a journal is told, with the rows at once, so that a test can ask for both."""

    def __init__(self, journal: JournalStore, catalogue: FakeCatalogue) -> None:
        self._journal = journal
        self._both = (RecordLater(journal, FixedClock()), RecordNow(catalogue))

    def instance(self, arrival: Arrival, stored: StoredObject, attributes: Callable[[], Mapping[str, Value]]) -> None:
        known = replace(stored, sha256=self._digest(stored.key, arrival.data_set_offset))
        for recording in self._both:
            recording.instance(arrival, known, attributes)

    def _digest(self, key: str, offset: int) -> str:
        found = sha256()
        with self._journal.open(key) as file:
            file.seek(offset)
            while piece := file.read(1 << 20):
                found.update(piece)
        return found.hexdigest()

    def association_ended(self, association_id: str, how: str) -> None:
        for recording in self._both:
            recording.association_ended(association_id, how)

    def receiver_started(self, receiver: str) -> None:
        for recording in self._both:
            recording.receiver_started(receiver)


@dataclass
class Site:
    """What a receiver keeps; ``root`` is the whole data folder."""

    root: Path
    kind: str
    store: WatchedDrafts
    catalogue: FakeCatalogue
    address: tuple[str, int] = ("", 0)
    stop: Callable[[float], None] = lambda drain_s: None
    reports: list[CommitmentReport] = field(default_factory=list)

    def bytes_of(self, key: str) -> bytes:
        with self.store.open(key) as file:
            data: bytes = file.read()
            return data

    def data_sets(self) -> dict[str, bytes]:
        """The data set bytes of everything recorded, by SOP Instance UID (variant 0)."""
        firsts = [each for each in self.catalogue.stored() if each.variant == 0]
        return {each.instance.sop_instance_uid: data_set_of(self.bytes_of(each.storage_key)) for each in firsts}

    def is_under_way(self) -> bool:
        """Whether some of an object has been written that is not stored."""
        return self.store.under_way() or self._incoming() != []

    def assert_tidy(self) -> None:
        """Nothing under way is left, and nothing lies in the data folder but the objects that are recorded.

        An association that has just broken may still have objects to serve: the condition is waited for.
        """
        wait_for(self.is_tidy, "nothing lies around but what is recorded", timeout_s=60.0)

    def is_tidy(self) -> bool:
        """Whether nothing is under way, and every file of the data folder belongs to a recorded object."""
        keys = {stored.storage_key for stored in self.catalogue.stored()}
        files = {path.relative_to(self.root).as_posix() for path in self._files()}
        if self.is_under_way():
            return False
        if self.kind == "files":
            return files == {f"store/objects/{key}" for key in keys}
        # A duplicate stays until whoever writes the rows has seen it.
        return keys <= set(self.store.keys()) and {name.split("/")[0] for name in files} == {"store"}

    def _incoming(self) -> list[Path]:
        return [path for path in self._files() if "incoming" in path.parts]

    def _files(self) -> list[Path]:
        """Every file of the data folder; ``os.walk`` bears folders that vanish under it."""
        return [Path(folder, name) for folder, _, names in os.walk(self.root) for name in names]

    def wait_for_ends(self, count: int) -> list[str | None]:
        """How the ``count`` recorded associations ended, when all of them have."""

        def ends() -> list[str | None]:
            ended = [each.ended for each in self.catalogue.associations.values()]
            return ended if len(ended) == count and None not in ended else []

        return wait_for(ends, f"{count} associations ended")


Serve = Callable[..., AbstractContextManager["Site"]]


@contextmanager
def serving(
    root: Path,
    config: ReceiveSection | None = None,
    room: Callable[[], Room] = lambda: ROOM,
    flush: Callable[[int], None] = os.fsync,
    *,
    fast: bool = True,
    kind: str = "files",
    listener: socket.socket | None = None,
    services: Sequence[Service] = (),
) -> Iterator[Site]:
    """A running Storage SCP. The process must be as it was when it has stopped."""
    catalogue = FakeCatalogue()
    incoming = IncomingFolder(root / "incoming")
    store, recording = _opened(root / "store", kind, flush, catalogue)
    site = Site(root, kind, WatchedDrafts(store), catalogue)
    intake = Intake(site.store, recording, FixedClock(), room)

    def on_commitment(information: Dataset) -> bool:
        report = parse_report(information)
        site.reports.append(report)
        return report.transaction_uid.startswith("2.25.")

    config = (config or ReceiveSection(host="127.0.0.1", port=0)).model_copy(update={"fast": fast})
    scp = StorageScp(config, AE_TITLE, intake, incoming.path, on_commitment, listener=listener, services=services)
    scp.start()
    site.address, site.stop = scp.address, scp.stop
    try:
        yield site
    finally:
        scp.stop(drain_s=5.0)
        store.close()
        incoming.close()


def _opened(
    root: Path, kind: str, flush: Callable[[int], None], catalogue: FakeCatalogue
) -> tuple[FileStore | JournalStore, Recording]:
    if kind == "files":
        return FileStore(root, flush), RecordNow(catalogue)
    journal = JournalStore(root, JOURNAL, "receiver", FixedClock(), lambda size: True, FlushingDisk(flush))
    return journal, RecordBoth(journal, catalogue)


class FlushingDisk(Disk):
    def __init__(self, flush: Callable[[int], None]) -> None:
        self.flush = flush  # type: ignore[method-assign,assignment]


def data_set_of(part10: bytes) -> bytes:
    """The encoded data set of a Part 10 file."""
    return part10[data_set_offset(part10) :]


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()
