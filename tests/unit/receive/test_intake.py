from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from node.domain.study import Arrival, AssociationFacts, StoredInstance
from node.errors import (
    AinodeError,
    DataSetMismatch,
    IncompleteDataSet,
    InvalidUid,
    OutOfResources,
    StoreUnavailable,
    UndecodableDataSet,
)
from node.ports import Recorded, StoredObject
from node.receive.intake import Command, Intake
from node.receive.part10 import data_set_offset
from node.receive.recording import RecordNow
from node.store.file_draft import FileDraft
from node.store.files import FileStore
from node.store.space import Space
from tests.fakes.catalogue import FakeCatalogue
from tests.objects import data_set, part10

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
EXPLICIT = "1.2.840.10008.1.2.1"
FACTS = AssociationFacts("association-1", "CT1", "AINODE", "10.0.0.1", "receiver-1", NOW)


class FixedClock:
    def now(self) -> datetime:
        return NOW


class Desk:
    """An intake with its store and its record."""

    def __init__(self, root: Path) -> None:
        self.store = FileStore(root)
        self.catalogue = FakeCatalogue()
        self.space = Space(free_bytes=1 << 30, watermark_bytes=50)
        self.intake = Intake(
            self.store, RecordNow(self.catalogue), FixedClock(), lambda: self.space, ["DeviceSerialNumber"]
        )

    def take_bytes(self, data: bytes, sop_class_uid: str, sop_instance_uid: str) -> None:
        draft = self.intake.begin(len(data))
        draft.write([data[:100], data[100:]])
        self.intake.finish(draft, Command(sop_class_uid, sop_instance_uid, EXPLICIT), FACTS, offset_in(data))

    def take(self, made: Dataset) -> None:
        self.take_bytes(part10(made), made.SOPClassUID, made.SOPInstanceUID)

    def refuse(self, kind: type[AinodeError], made: Dataset, uid: str = "", data: bytes | None = None) -> AinodeError:
        """It must raise ``kind``, and leave nothing behind."""
        with pytest.raises(kind) as refusal:
            self.take_bytes(data or part10(made), made.SOPClassUID, uid or made.SOPInstanceUID)
        self.assert_nothing_kept()
        return refusal.value

    def assert_nothing_kept(self) -> None:
        assert list(self.store.incoming().iterdir()) == []
        assert list(self.store.keys()) == []
        assert self.catalogue.stored() == []


def offset_in(data: bytes) -> int:
    return data_set_offset(data) if data[128:132] == b"DICM" else 0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_instance_is_stored_and_recorded_with_its_header(desk: Desk) -> None:
    made = data_set()
    made.DeviceSerialNumber = "4711"
    desk.take(made)
    (stored,) = desk.catalogue.stored()
    written = part10(made)
    assert stored == StoredInstance(
        instance=stored.instance,
        storage_key=f"{made.StudyInstanceUID}/{made.SeriesInstanceUID}/{made.SOPInstanceUID}.{stored.sha256[:16]}.dcm",
        size=len(written),
        sha256=hashlib.sha256(written[data_set_offset(written) :]).hexdigest(),
        calling_ae="CT1",
        received_at=NOW,
        association_id="association-1",
    )
    assert stored.instance.transfer_syntax_uid == EXPLICIT
    assert stored.instance.attributes["Modality"] == "MR"
    assert stored.instance.attributes["DeviceSerialNumber"] == "4711"
    with desk.store.open(stored.storage_key) as file:
        assert file.read() == written
    assert list(desk.store.incoming().iterdir()) == []
    (association,) = desk.catalogue.associations.values()
    assert (association.calling_ae, association.receiver, association.ended) == ("CT1", "receiver-1", None)


def test_an_identical_duplicate_is_no_second_copy(desk: Desk) -> None:
    desk.take(data_set())
    desk.take(data_set())
    assert len(desk.catalogue.stored()) == len(list(desk.store.keys())) == 1


def test_a_duplicate_whose_bytes_are_gone_is_stored_again(desk: Desk) -> None:
    desk.take(data_set())
    (stored,) = desk.catalogue.stored()
    desk.store.delete(stored.storage_key)
    desk.take(data_set())
    assert list(desk.store.keys()) == [stored.storage_key]


def test_other_bytes_under_the_same_uid_are_kept_beside(desk: Desk) -> None:
    other = data_set()
    other.SeriesDescription = "other"
    desk.take(data_set())
    desk.take(other)
    assert [stored.variant for stored in desk.catalogue.stored()] == [0, 1]
    assert len(set(desk.store.keys())) == 2


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_missing_uid_is_named(desk: Desk, keyword: str) -> None:
    made = data_set()
    written = part10(made)
    with_out = data_set()
    del with_out[keyword]
    meta_end = data_set_offset(written)
    bare = part10_of_bare(with_out, written[:meta_end])
    error = desk.refuse(IncompleteDataSet, made, data=bare)
    assert error.details["attribute"] == keyword


def part10_of_bare(made: Dataset, meta: bytes) -> bytes:
    body = BytesIO()
    dcmwrite(body, made, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return meta + body.getvalue()


@pytest.mark.parametrize("uid", ["../../x", "1" * 65, "", "1.2\\3"])
def test_a_uid_of_the_command_that_is_none(desk: Desk, uid: str) -> None:
    made = data_set()
    with pytest.raises(InvalidUid):
        desk.take_bytes(part10(made), made.SOPClassUID, uid)
    desk.assert_nothing_kept()


def test_the_data_set_must_be_the_one_of_the_command(desk: Desk) -> None:
    error = desk.refuse(DataSetMismatch, data_set(), uid="1.2.3")
    assert error.message == "SOP Instance UID differs from the command"


def test_bytes_that_are_no_data_set(desk: Desk) -> None:
    desk.refuse(UndecodableDataSet, data_set(), data=b"no DICOM" * 100)


def test_below_the_watermark_nothing_is_begun(desk: Desk) -> None:
    desk.space = Space(free_bytes=149, watermark_bytes=50)
    with pytest.raises(OutOfResources):
        desk.intake.begin(100)
    desk.intake.begin(99).discard()
    desk.assert_nothing_kept()


def test_a_store_that_cannot_write_records_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def commit(draft: FileDraft, arrival: Arrival) -> StoredObject:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(FileDraft, "commit", commit)
    desk.refuse(StoreUnavailable, data_set())


def test_a_row_that_cannot_be_written_is_no_success_and_the_next_try_is(desk: Desk) -> None:
    desk.catalogue.fail_with = RuntimeError("no database")
    with pytest.raises(RuntimeError):
        desk.take(data_set())
    assert list(desk.store.incoming().iterdir()) == []
    desk.catalogue.fail_with = None
    desk.take(data_set())
    assert len(list(desk.store.keys())) == 1


def test_bytes_are_stored_before_they_are_recorded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    record: Callable[[StoredInstance], Recorded] = desk.catalogue.record

    def checked(stored: StoredInstance) -> Recorded:
        assert list(desk.store.keys()) == [stored.storage_key]
        return record(stored)

    monkeypatch.setattr(desk.catalogue, "record", checked)
    desk.take(data_set())
    assert len(desk.catalogue.stored()) == 1
