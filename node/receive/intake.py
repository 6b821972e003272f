"""One received instance: read its header, check it, store it, record it. Knows nothing of the network.

The order is the promise: ``take`` returns only when the bytes are flushed and their row is committed. Whatever fails
before leaves nothing acknowledged; bytes that were stored while recording failed are found again under the same key
when the sender tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from node.domain.identity import require_uid
from node.domain.study import Instance, StoredInstance
from node.errors import DataSetMismatch, IncompleteDataSet, ObjectMissing, OutOfResources
from node.ports import Catalogue, Clock, ObjectStore, Recorded
from node.receive import header, part10

log = structlog.get_logger()

KeyOf = Callable[[str, str, str, str], str]


class Room(Protocol):
    """What the free-space watermark says; ``store.space.Space`` is one."""

    def has_room_for(self, size: int = 0) -> bool: ...


@dataclass(frozen=True, slots=True)
class Received:
    """A Part 10 file in ``ObjectStore.incoming()`` and what the C-STORE command said about it."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str
    association_id: str


class Intake:
    """``key_of`` maps (study, series, SOP instance UID, SHA-256) to a storage key; ``room`` measures free space.

    ``extra_keywords`` are the DICOM keywords that routes ask for besides those always kept.
    """

    def __init__(
        self,
        store: ObjectStore,
        catalogue: Catalogue,
        clock: Clock,
        key_of: KeyOf,
        room: Callable[[], Room],
        extra_keywords: Iterable[str] = (),
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._key_of = key_of
        self._room = room
        self._wanted = header.wanted_tags(extra_keywords)

    def incoming(self) -> Path:
        """Where the bytes of an instance may be collected before ``take``."""
        return self._store.incoming()

    def take(self, received: Received) -> Recorded:
        """Store and record one instance; the file ``received.path`` is gone afterwards in every case.

        Raises:
            ReceiveError: it is not accepted (``InvalidUid``, ``DataSetMismatch``, ``IncompleteDataSet``,
                ``UndecodableDataSet``, ``OutOfResources``).
            StoreUnavailable: it could not be written.
        """
        try:
            if not self._room().has_room_for():
                raise OutOfResources("free space is below the watermark")
            return self._take(received)
        finally:
            received.path.unlink(missing_ok=True)

    def _take(self, received: Received) -> Recorded:
        instance = self._instance(received)
        digest = part10.digest(received.path)
        key = self._key_of(
            instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid, digest.sha256
        )
        known = self._catalogue.classify(instance.sop_instance_uid, digest.sha256)
        if known is Recorded.DUPLICATE and self._holds(key):
            return known
        size = self._store.adopt(received.path, key).size
        recorded = self._catalogue.record(
            StoredInstance(
                instance=instance,
                storage_key=key,
                size=size,
                sha256=digest.sha256,
                calling_ae=received.calling_ae,
                received_at=self._clock.now(),
                association_id=received.association_id,
            )
        )
        if recorded is Recorded.CONFLICT:
            log.warning("receive.conflict", sop_instance_uid=instance.sop_instance_uid, storage_key=key)
        return recorded

    def _instance(self, received: Received) -> Instance:
        require_uid(received.sop_class_uid, "Affected SOP Class UID")
        require_uid(received.sop_instance_uid, "Affected SOP Instance UID")
        found = header.read(received.path, received.transfer_syntax_uid, self._wanted)
        uids = {keyword: self._uid(found, keyword) for keyword in header.UID_KEYWORDS}
        if uids["SOPClassUID"] != received.sop_class_uid:
            raise DataSetMismatch("SOP Class UID differs from the command")
        if uids["SOPInstanceUID"] != received.sop_instance_uid:
            raise DataSetMismatch("SOP Instance UID differs from the command")
        return Instance(
            study_instance_uid=uids["StudyInstanceUID"],
            series_instance_uid=uids["SeriesInstanceUID"],
            sop_class_uid=uids["SOPClassUID"],
            sop_instance_uid=uids["SOPInstanceUID"],
            transfer_syntax_uid=received.transfer_syntax_uid,
            attributes=found.attributes,
        )

    def _uid(self, found: header.Header, keyword: str) -> str:
        if not found.uids.get(keyword):
            raise IncompleteDataSet(f"{keyword} is absent or empty", attribute=keyword)
        return require_uid(found.uids[keyword], keyword)

    def _holds(self, key: str) -> bool:
        """Whether the bytes of a recorded instance are really there: a row alone is no reason for Success."""
        try:
            self._store.locate(key)
        except ObjectMissing:
            log.warning("receive.restored", storage_key=key)
            return False
        return True
