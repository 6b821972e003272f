"""``ports.Destination`` in memory, with the faults of real ones as switches; and an ``ObjectStore`` of plain files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from node.domain.delivery import CommitmentReport
from node.domain.study import ByteRange, SopRef
from node.errors import AinodeError, ObjectMissing
from node.ports import DeliveryOutcome, Outgoing, StoredObject


@dataclass
class MemoryDestination:
    """Keeps what it is sent. ``unreachable`` is raised by every call while set; ``refusals`` are per SOP Instance UID.

    ``report`` makes the answer to a request for commitment; without it the report comes another way.
    """

    name: str = "pacs"
    commits: bool = False
    unreachable: BaseException | None = None
    refusals: Mapping[str, AinodeError] = field(default_factory=dict)
    report: Callable[[str, Sequence[SopRef]], CommitmentReport] | None = None
    received: list[str] = field(default_factory=list)
    requests: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    while_sending: Callable[[], None] = lambda: None

    def send(self, objects: Sequence[Outgoing]) -> Sequence[DeliveryOutcome]:
        if self.unreachable is not None:
            raise self.unreachable
        self.while_sending()
        return [self._take(outgoing) for outgoing in objects]

    def request_commitment(self, transaction_uid: str, refs: Sequence[SopRef]) -> CommitmentReport | None:
        if self.unreachable is not None:
            raise self.unreachable
        self.requests.append((transaction_uid, tuple(ref.sop_instance_uid for ref in refs)))
        return None if self.report is None else self.report(transaction_uid, refs)

    def echo(self) -> None:
        if self.unreachable is not None:
            raise self.unreachable

    def _take(self, outgoing: Outgoing) -> DeliveryOutcome:
        error = self.refusals.get(outgoing.sop_instance_uid)
        if error is not None:
            return DeliveryOutcome(outgoing.sop_instance_uid, None, error)
        self.received.append(outgoing.sop_instance_uid)
        return DeliveryOutcome(outgoing.sop_instance_uid, 0x0000)


@dataclass
class FolderStore:
    """``ports.ObjectStore`` over a folder, keys being file names."""

    folder: Path

    def incoming(self) -> Path:
        return self.folder

    def adopt(self, source: Path, key: str) -> StoredObject:
        return self.put(source.read_bytes(), key)

    def put(self, data: bytes, key: str) -> StoredObject:
        (self.folder / key).write_bytes(data)
        return StoredObject(key, len(data))

    def locate(self, key: str) -> ByteRange:
        path = self.folder / key
        if not path.is_file():
            raise ObjectMissing("the object is not in the store")
        return ByteRange(str(path), 0, path.stat().st_size)

    def open(self, key: str) -> BinaryIO:
        return (self.folder / key).open("rb")

    def delete(self, key: str) -> None:
        (self.folder / key).unlink(missing_ok=True)

    def keys(self) -> Iterator[str]:
        return (path.name for path in self.folder.iterdir())
