"""A Storage SCP on loopback with a real store and an in-memory record, and what tests ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pydicom.dataset import Dataset

from node.config import ReceiveSection
from node.deliver.commitment import parse_report
from node.domain.delivery import CommitmentReport
from node.receive.intake import Intake, Room
from node.receive.part10 import data_set_offset
from node.receive.storage_scp import StorageScp
from node.store.files import FileStore
from node.store.layout import instance_key
from node.store.space import Space
from tests.fakes.catalogue import FakeCatalogue
from tests.waiting import wait_for

AE_TITLE = "AINODE"
ROOM = Space(free_bytes=1 << 40, watermark_bytes=1 << 30)


class FixedClock:
    def now(self) -> datetime:
        return datetime(2030, 1, 1, 12, tzinfo=UTC)


@dataclass
class Site:
    """What a receiver keeps; ``root`` is the whole data folder."""

    root: Path
    store: FileStore
    catalogue: FakeCatalogue
    address: tuple[str, int] = ("", 0)
    reports: list[CommitmentReport] = field(default_factory=list)

    def bytes_of(self, key: str) -> bytes:
        with self.store.open(key) as file:
            return file.read()

    def data_sets(self) -> dict[str, bytes]:
        """The data set bytes of everything recorded, by SOP Instance UID (variant 0)."""
        firsts = [each for each in self.catalogue.stored() if each.variant == 0]
        return {each.instance.sop_instance_uid: data_set_of(self.bytes_of(each.storage_key)) for each in firsts}

    def files_under_way(self) -> list[Path]:
        return [path for path in (self.root / "store" / "incoming").rglob("*") if path.is_file()]

    def assert_tidy(self) -> None:
        """Nothing under way is left, and nothing lies in the data folder but the objects that are recorded."""
        wait_for(lambda: not self.files_under_way(), "incoming/ is empty", timeout_s=10.0)
        keys = {stored.storage_key for stored in self.catalogue.stored()}
        found = {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}
        assert found == {f"store/objects/{key}" for key in keys}

    def wait_for_ends(self, count: int) -> list[str | None]:
        """How the ``count`` recorded associations ended, when all of them have."""

        def ends() -> list[str | None]:
            ended = [each.ended for each in self.catalogue.associations.values()]
            return ended if len(ended) == count and None not in ended else []

        return wait_for(ends, f"{count} associations ended")


@contextmanager
def serving(
    root: Path,
    config: ReceiveSection | None = None,
    room: Callable[[], Room] = lambda: ROOM,
    flush: Callable[[int], None] | None = None,
) -> Iterator[Site]:
    """A running Storage SCP. The process must be as it was when it has stopped."""
    store = FileStore(root / "store") if flush is None else FileStore(root / "store", flush)
    site = Site(root=root, store=store, catalogue=FakeCatalogue())
    intake = Intake(store, site.catalogue, FixedClock(), instance_key, room)

    def on_commitment(information: Dataset) -> bool:
        report = parse_report(information)
        site.reports.append(report)
        return report.transaction_uid.startswith("2.25.")

    config = config or ReceiveSection(host="127.0.0.1", port=0)
    scp = StorageScp(config, AE_TITLE, intake, site.catalogue, on_commitment)
    scp.start()
    site.address = scp.address
    try:
        yield site
    finally:
        scp.stop(drain_s=5.0)
        store.close()


def data_set_of(part10: bytes) -> bytes:
    """The encoded data set of a Part 10 file."""
    return part10[data_set_offset(part10) :]


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()
