"""One received instance: write it down, read its header, check it, make it durable, record it.

Knows nothing of the network. The order is the promise: ``finish`` returns only when the bytes are flushed and their
row is committed, or, behind a journal, sure to come. Whatever fails before leaves nothing acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from node.domain.identity import require_uid
from node.domain.study import Arrival, AssociationFacts, Value
from node.errors import DataSetMismatch, IncompleteDataSet, OutOfResources
from node.ports import Clock, Draft, InstanceStore, Recording, StoredObject, View
from node.receive import header, part10
from node.receive.familiar import UidCheck


class Room(Protocol):
    """What the free-space watermark says; ``store.space.Space`` is one."""

    def has_room_for(self, size: int = 0) -> bool: ...


@dataclass(frozen=True, slots=True)
class Command:
    """What the C-STORE command and its presentation context say."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class Intake:
    """``room`` measures free space. ``extra_keywords`` are those that routes ask for besides those always kept."""

    def __init__(
        self,
        store: InstanceStore,
        recording: Recording,
        clock: Clock,
        room: Callable[[], Room],
        extra_keywords: Iterable[str] = (),
    ) -> None:
        self._store = store
        self.recording = recording
        self.clock = clock
        self._room = room
        self._wanted = header.wanted_tags(extra_keywords)
        self._uids = UidCheck()

    def begin(self, size_hint: int = 0) -> Draft:
        """A place for the next instance; asked for before anything of it is written.

        Raises:
            OutOfResources: free space is below the watermark.
            StoreUnavailable: the store does not answer.
        """
        if not self.has_room(size_hint):
            raise OutOfResources("free space is below the watermark")
        return self._store.begin(size_hint)

    def has_room(self, size: int = 0) -> bool:
        """Whether ``size`` more bytes leave the watermark untouched."""
        return self._room().has_room_for(size)

    def finish(self, draft: Draft, command: Command, association: AssociationFacts, data_set_offset: int) -> None:
        """Success may be answered when this returns. ``draft`` holds the Part 10 file; it is ended in every case.

        Raises:
            ReceiveError: it is not accepted (``InvalidUid``, ``DataSetMismatch``, ``IncompleteDataSet``,
                ``UndecodableDataSet``).
            StoreUnavailable: it could not be made durable.
        """
        try:
            with draft.view() as view:
                arrival = self._judge(view, command, association, data_set_offset)
            stored = draft.commit(arrival)
        finally:
            draft.discard()
        self.recording.instance(arrival, stored, lambda: self._attributes(arrival, stored))

    def _judge(self, view: View, command: Command, association: AssociationFacts, data_set_offset: int) -> Arrival:
        require_uid(command.sop_class_uid, "Affected SOP Class UID")
        require_uid(command.sop_instance_uid, "Affected SOP Instance UID")
        found = self._uids.check(view, command.transfer_syntax_uid, data_set_offset)
        uids = {keyword: _uid(found, keyword) for keyword in header.UID_KEYWORDS}
        if uids["SOPClassUID"] != command.sop_class_uid:
            raise DataSetMismatch("SOP Class UID differs from the command")
        if uids["SOPInstanceUID"] != command.sop_instance_uid:
            raise DataSetMismatch("SOP Instance UID differs from the command")
        return Arrival(
            study_instance_uid=uids["StudyInstanceUID"],
            series_instance_uid=uids["SeriesInstanceUID"],
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=command.sop_instance_uid,
            transfer_syntax_uid=command.transfer_syntax_uid,
            association=association,
            received_at=self.clock.now(),
            data_set_offset=data_set_offset,
        )

    def _attributes(self, arrival: Arrival, stored: StoredObject) -> Mapping[str, Value]:
        with part10.mapped(self._store.locate(stored.key)) as view:
            return header.read(view, arrival.transfer_syntax_uid, self._wanted).attributes


def _uid(found: Mapping[str, str], keyword: str) -> str:
    if not found.get(keyword):
        raise IncompleteDataSet(f"{keyword} is absent or empty", attribute=keyword)
    return require_uid(found[keyword], keyword)
