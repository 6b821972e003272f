from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from node.domain.study import StoredInstance
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
from node.receive.intake import Intake, Received
from node.receive.part10 import data_set_offset
from node.store.files import FileStore
from node.store.layout import instance_key
from node.store.space import Space
from tests.fakes.catalogue import FakeCatalogue
from tests.objects import data_set, part10

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
EXPLICIT = "1.2.840.10008.1.2.1"


class FixedClock:
    def now(self) -> datetime:
        return NOW


class Desk:
    """An intake with its store and its record."""

    def __init__(self, root: Path) -> None:
        self.store = FileStore(root)
        self.catalogue = FakeCatalogue()
        self.space = Space(free_bytes=100, watermark_bytes=50)
        self.intake = Intake(
            self.store, self.catalogue, FixedClock(), instance_key, lambda: self.space, ["DeviceSerialNumber"]
        )

    def received(self, data: bytes, sop_class_uid: str, sop_instance_uid: str) -> Received:
        path = self.store.incoming() / "received.dcm"
        path.write_bytes(data)
        return Received(path, sop_class_uid, sop_instance_uid, EXPLICIT, "CT1", "association-1")

    def take(self, made: Dataset) -> Recorded:
        return self.intake.take(self.received(part10(made), made.SOPClassUID, made.SOPInstanceUID))

    def refuse(self, kind: type[AinodeError], made: Dataset, uid: str = "", data: bytes | None = None) -> AinodeError:
        """``take`` must raise ``kind``, and leave nothing behind."""
        received = self.received(data or part10(made), made.SOPClassUID, uid or made.SOPInstanceUID)
        with pytest.raises(kind) as refusal:
            self.intake.take(received)
        assert list(self.store.incoming().iterdir()) == []
        assert list(self.store.keys()) == []
        assert self.catalogue.stored() == []
        return refusal.value


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_instance_is_stored_and_recorded_with_its_header(desk: Desk) -> None:
    made = data_set()
    made.DeviceSerialNumber = "4711"
    assert desk.take(made) is Recorded.NEW
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


def test_an_identical_duplicate_is_no_second_copy(desk: Desk) -> None:
    assert [desk.take(data_set()), desk.take(data_set())] == [Recorded.NEW, Recorded.DUPLICATE]
    assert len(desk.catalogue.stored()) == len(list(desk.store.keys())) == 1


def test_a_duplicate_whose_bytes_are_gone_is_stored_again(desk: Desk) -> None:
    desk.take(data_set())
    (stored,) = desk.catalogue.stored()
    desk.store.delete(stored.storage_key)
    assert desk.take(data_set()) is Recorded.DUPLICATE
    assert list(desk.store.keys()) == [stored.storage_key]


def test_other_bytes_under_the_same_uid_are_kept_beside(desk: Desk) -> None:
    other = data_set()
    other.SeriesDescription = "other"
    assert [desk.take(data_set()), desk.take(other)] == [Recorded.NEW, Recorded.CONFLICT]
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
    received = desk.received(part10(made), made.SOPClassUID, uid)
    with pytest.raises(InvalidUid):
        desk.intake.take(received)
    assert desk.catalogue.stored() == []


def test_the_data_set_must_be_the_one_of_the_command(desk: Desk) -> None:
    error = desk.refuse(DataSetMismatch, data_set(), uid="1.2.3")
    assert error.message == "SOP Instance UID differs from the command"


def test_bytes_that_are_no_data_set(desk: Desk) -> None:
    desk.refuse(UndecodableDataSet, data_set(), data=b"no DICOM" * 100)


def test_below_the_watermark_nothing_is_written(desk: Desk) -> None:
    desk.space = Space(free_bytes=49, watermark_bytes=50)
    desk.refuse(OutOfResources, data_set())


def test_a_store_that_cannot_write_records_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def adopt(source: Path, key: str) -> StoredObject:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(desk.store, "adopt", adopt)
    desk.refuse(StoreUnavailable, data_set())


def test_a_row_that_cannot_be_written_is_no_success_and_the_next_try_is(desk: Desk) -> None:
    desk.catalogue.fail_with = RuntimeError("no database")
    with pytest.raises(RuntimeError):
        desk.take(data_set())
    assert list(desk.store.incoming().iterdir()) == []
    desk.catalogue.fail_with = None
    assert desk.take(data_set()) is Recorded.NEW
    assert len(list(desk.store.keys())) == 1


def test_bytes_are_stored_before_they_are_recorded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    record: Callable[[StoredInstance], Recorded] = desk.catalogue.record

    def checked(stored: StoredInstance) -> Recorded:
        assert list(desk.store.keys()) == [stored.storage_key]
        return record(stored)

    monkeypatch.setattr(desk.catalogue, "record", checked)
    assert desk.take(data_set()) is Recorded.NEW
