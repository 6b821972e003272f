from __future__ import annotations

from datetime import UTC, datetime, timedelta

from node.domain.study import Arrival, AssociationFacts
from node.errors import StoreUnavailable
from node.ports import StoredObject
from node.receive.recording import RecordLater, RecordNow
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.outbox import StandingClock

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FACTS = AssociationFacts("association-1", "CT1", "AINODE", "10.0.0.7", "host/receive-0", NOW)
ARRIVAL = Arrival("1.2.3", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5", "1.2.840.10008.1.2", FACTS, NOW, 2)
STORED = StoredObject("a/key", 7, "ab" * 32)


class Journal:
    """``room``: for so many notes more."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.notes: list[tuple[str, ...]] = []
        self.times: list[datetime] = []

    def association_ended(self, association_id: str, how: str, at: datetime) -> None:
        self._note(at, association_id, how)

    def receiver_started(self, receiver: str, at: datetime) -> None:
        self._note(at, receiver)

    def _note(self, at: datetime, *words: str) -> None:
        if not self.room:
            raise StoreUnavailable("no room")
        self.room -= 1
        self.notes.append(words)
        self.times.append(at)


def never() -> dict[str, str]:
    raise AssertionError("nobody looks at the header before Success")


def test_behind_a_journal_only_ends_and_starts_are_noted() -> None:
    journal = Journal()
    recording = RecordLater(journal, StandingClock(NOW))
    recording.receiver_started("host/receive-0")
    recording.instance(ARRIVAL, STORED, never)
    recording.association_ended("association-1", "released")
    assert journal.notes == [("host/receive-0",), ("association-1", "released")]


def test_an_association_that_brought_nothing_is_not_noted() -> None:
    journal = Journal()
    recording = RecordLater(journal, StandingClock(NOW))
    recording.association_ended("association-1", "released")
    recording.instance(ARRIVAL, STORED, never)
    recording.association_ended("association-1", "aborted")
    recording.association_ended("association-1", "aborted")
    assert journal.notes == [("association-1", "aborted")]


def test_on_a_full_disk_a_note_waits_for_the_next_instance() -> None:
    """It keeps its time: what began after it is not ended by it."""
    journal, clock = Journal(room=0), StandingClock(NOW)
    recording = RecordLater(journal, clock)
    recording.receiver_started("host/receive-0")
    clock.advance(60)
    recording.instance(ARRIVAL, STORED, never)
    assert journal.notes == []
    recording.association_ended("association-1", "aborted")
    journal.room = 1
    clock.advance(60)
    recording.instance(ARRIVAL, STORED, never)
    assert journal.notes == [("host/receive-0",)]
    journal.room = 100
    recording.association_ended("association-1", "released")
    assert journal.notes == [
        ("host/receive-0",), ("association-1", "aborted"), ("association-1", "released"),
    ]  # fmt: skip
    assert journal.times == [NOW, NOW + timedelta(seconds=60), NOW + timedelta(seconds=120)]


def test_without_a_journal_there_is_a_row_before_success() -> None:
    catalogue = FakeCatalogue()
    recording = RecordNow(catalogue)
    recording.instance(ARRIVAL, STORED, lambda: {"Modality": "CT"})
    recording.instance(ARRIVAL, STORED, lambda: {"Modality": "CT"})
    (stored,) = catalogue.stored()
    assert (stored.storage_key, stored.sha256, stored.calling_ae) == ("a/key", "ab" * 32, "CT1")
    assert stored.instance.attributes == {"Modality": "CT"}
    recording.association_ended("unheard of", "released")
    recording.association_ended("association-1", "released")
    assert {name: one.ended for name, one in catalogue.associations.items()} == {"association-1": "released"}
    recording.instance(ARRIVAL, STORED, lambda: {})
    recording.receiver_started("host/receive-0")
    assert catalogue.associations["association-1"].ended == "lost"
