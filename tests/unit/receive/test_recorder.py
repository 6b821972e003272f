from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.domain.study import Arrival, AssociationFacts, ByteRange
from node.errors import StoreUnavailable
from node.ports import AssociationEnded, InstanceArrived, ReceiverStarted
from node.receive import reading, recorder
from node.receive.part10 import data_set_offset
from node.receive.reading import Reader
from node.receive.recorder import Recorder
from tests.fakes.journal import FakeJournal, FakeRecord
from tests.objects import data_set, part10
from tests.waiting import wait_for

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FACTS = AssociationFacts("association-1", "CT1", "AINODE", "10.0.0.7", "host/receive-0", NOW)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.journal = FakeJournal(folder)
        self.record = FakeRecord()
        self.recorder = Recorder(self.journal, self.record, Reader(["DeviceSerialNumber"]))
        self.stop = threading.Event()

    def receive(self, number: int, segment: int = 1, at: datetime = NOW, data: bytes | None = None) -> InstanceArrived:
        made = data_set(number=number)
        made.DeviceSerialNumber = "4711"
        written = part10(made)
        arrival = Arrival(
            study_instance_uid=made.StudyInstanceUID,
            series_instance_uid=made.SeriesInstanceUID,
            sop_class_uid=made.SOPClassUID,
            sop_instance_uid=made.SOPInstanceUID,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            association=FACTS,
            received_at=at,
            data_set_offset=data_set_offset(written),
        )
        return self.journal.add(segment, arrival, data or written)

    def catch_up(self) -> int:
        return self.recorder.catch_up(self.stop)

    def keys(self) -> list[str]:
        return sorted(self.record.rows)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.recorder.start()
    return made


def test_what_was_received_gets_its_row_with_digest_and_header(desk: Desk) -> None:
    event = desk.receive(1)
    assert desk.catch_up() == 1
    (row,) = desk.record.rows.values()
    written = Path(event.location.path).read_bytes()[event.location.offset :][: event.location.length]
    assert row.sha256 == hashlib.sha256(written[event.arrival.data_set_offset :]).hexdigest()
    assert (row.storage_key, row.size, row.calling_ae) == ("00000001/000000", len(written), "CT1")
    assert (row.received_at, row.association_id) == (NOW, "association-1")
    assert row.instance.attributes["DeviceSerialNumber"] == "4711"
    assert row.instance.attributes["Rows"] == 16
    assert desk.catch_up() == 0
    assert len(desk.record.batches) == 1


def test_a_large_object_is_read_in_pieces_and_means_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.receive(1)
    desk.catch_up()
    monkeypatch.setattr(reading, "SMALL", 0)
    monkeypatch.setattr(reading, "PIECE", 7)
    desk.record.rows, whole = {}, dict(desk.record.rows)
    desk.record.positions.clear()
    desk.recorder.start()
    desk.catch_up()
    assert desk.record.rows == whole


def test_segments_come_in_order_and_batches_have_a_limit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "BATCH", 2)
    desk.receive(4, segment=3)
    for number in range(3):
        desk.receive(number, segment=2)
    ended = AssociationEnded("association-1", "released", NOW)
    started = ReceiverStarted("host/receive-0", NOW)
    desk.journal.note(2, ended)
    desk.journal.note(3, None)
    desk.journal.note(3, started)
    assert desk.catch_up() == 7
    assert [(each.segment, each.after, each.upto) for each in desk.record.batches] == [
        (2, 0, 2), (2, 2, 4), (3, 0, 2), (3, 2, 3),
    ]  # fmt: skip
    assert desk.record.others == [ended, started]
    assert len(desk.record.rows) == 4


def test_after_a_restart_it_goes_on_where_it_was(desk: Desk) -> None:
    desk.receive(1)
    desk.catch_up()
    desk.receive(2)
    after = Recorder(desk.journal, desk.record, Reader())
    after.start()
    assert after.catch_up(desk.stop) == 1
    assert [(each.after, each.upto) for each in desk.record.batches] == [(0, 1), (1, 2)]
    assert desk.journal.recoveries == 2


def test_where_another_follower_was_faster_it_goes_on_behind_it(desk: Desk) -> None:
    for number in range(3):
        desk.receive(number)
    desk.record.positions[1] = 2
    desk.catch_up()
    assert desk.keys() == ["00000001/000002"]


@pytest.mark.parametrize("damage", ["gone", "short", "no dicom"])
def test_what_cannot_be_read_is_an_alert_and_no_error_of_another(desk: Desk, damage: str) -> None:
    desk.receive(1)
    bad = desk.receive(2, data=b"no DICOM" * 100 if damage == "no dicom" else None)
    desk.receive(3)
    if damage == "gone":
        Path(bad.location.path).unlink()
    if damage == "short":
        Path(bad.location.path).write_bytes(b"short")
    assert desk.catch_up() == 3
    assert desk.keys() == ["00000001/000000", "00000001/000002"]
    (alert,) = desk.record.alerts
    assert (alert.kind, alert.stored.key) == ("instance_unreadable", "00000001/000001")
    assert desk.record.positions == {1: 3}


def test_a_disk_error_is_an_alert(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    desk.receive(1)
    monkeypatch.setattr("os.pread", broken)
    assert desk.catch_up() == 1
    assert [(alert.kind, alert.detail["error"]) for alert in desk.record.alerts] == [("instance_unreadable", "errno 5")]


def test_an_instance_that_the_record_does_not_take_costs_its_own_row(desk: Desk) -> None:
    events = [desk.receive(number) for number in range(7)]
    desk.record.poison[events[4].arrival.sop_instance_uid] = ValueError("Doe^John")
    assert desk.catch_up() == 7
    assert desk.keys() == [f"00000001/00000{number}" for number in (0, 1, 2, 3, 5, 6)]
    (alert,) = desk.record.alerts
    assert (alert.kind, alert.stored.key, alert.detail["error"]) == (
        "instance_not_recorded", "00000001/000004", "ValueError",
    )  # fmt: skip
    assert desk.record.positions == {1: 7}


def test_a_record_that_does_not_answer_is_nobody_s_fault(desk: Desk) -> None:
    desk.receive(1)
    desk.record.errors = [StoreUnavailable("the database does not answer")]
    with pytest.raises(StoreUnavailable):
        desk.catch_up()
    assert (desk.record.alerts, desk.record.positions) == ([], {})
    assert desk.catch_up() == 1


def test_while_much_waits_nobody_may_conclude_that_a_sender_is_quiet(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.record.held, "from the start until it has caught up"
    desk.catch_up()
    assert not desk.record.held
    monkeypatch.setattr(recorder, "BATCH", 2)
    desk.record.holds.clear()
    desk.receive(1)
    desk.receive(2)
    desk.catch_up()
    assert desk.record.holds == []
    for number in range(3, 6):
        desk.receive(number, segment=2, at=NOW + timedelta(seconds=number))
    desk.receive(9, segment=4, at=NOW + timedelta(seconds=9))
    desk.catch_up()
    assert (desk.record.holds, desk.record.held) == ([NOW + timedelta(seconds=3)], False)


def test_an_unknown_time_holds_everything(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.catch_up()
    monkeypatch.setattr(recorder, "BATCH", 2)
    monkeypatch.setattr(recorder, "FIRST_EVENTS", 1)
    desk.record.holds.clear()
    for _ in range(3):
        desk.journal.note(1, None)
    desk.catch_up()
    assert (desk.record.holds, desk.record.held) == ([None], False)


def test_a_long_hold_is_said_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "BATCH", 1)
    monkeypatch.setattr(recorder, "HOLD_AGAIN_S", -1.0)
    desk.record.holds.clear()
    desk.receive(1)
    desk.receive(2)
    desk.catch_up()
    assert desk.record.holds == [NOW, NOW, NOW]


def test_a_recycled_segment_is_forgotten(desk: Desk) -> None:
    desk.receive(1)
    desk.catch_up()
    desk.record.rows.clear()
    del desk.journal.events[1]
    desk.catch_up()
    assert (desk.record.positions, desk.record.missed) == ({}, [])


def test_a_lost_segment_is_told(desk: Desk) -> None:
    desk.receive(1)
    desk.catch_up()
    del desk.journal.events[1]
    desk.catch_up()
    assert (desk.record.positions, desk.record.missed) == ({}, ["00000001/000000"])


def test_a_segment_that_the_disk_does_not_give_holds_up_no_other(desk: Desk) -> None:
    desk.receive(1, segment=1)
    desk.receive(2, segment=2)
    desk.journal.broken = {1}
    assert desk.catch_up() == 1
    assert (desk.keys(), desk.catch_up(), desk.recorder.waiting) == (["00000002/000000"], 0, 1)
    desk.recorder.reconcile(1)
    desk.journal.broken.clear()
    assert desk.catch_up() == 1
    assert desk.keys() == ["00000001/000000", "00000002/000000"]


def test_running(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It follows, survives a database that goes away and comes back, and stops when it is told to."""
    monkeypatch.setattr(recorder, "RETRY_BASE_S", 0.001)
    desk.record.errors = [StoreUnavailable("away"), StoreUnavailable("still away")]
    desk.receive(1)
    running = threading.Thread(target=desk.recorder.run, args=(desk.stop,))
    running.start()
    try:
        wait_for(lambda: len(desk.record.rows) == 1, "the first row")
        desk.receive(2)
        wait_for(lambda: len(desk.record.rows) == 2, "the second row")
        wait_for(lambda: not desk.record.held, "caught up")
    finally:
        desk.stop.set()
        running.join(10)
    assert not running.is_alive()
    assert desk.recorder.waiting == 0


@pytest.mark.parametrize("together", [1, recorder.MANY - 1, recorder.MANY])
def test_the_more_comes_at_once_the_longer_entries_gather(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    monkeypatch.setattr(recorder, "GATHER_S", 10_000.0)
    monkeypatch.setattr(recorder, "GATHER_MANY_S", 20_000.0)
    pauses: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0.0)
            self.set()
            return True

    def wait(timeout_s: float) -> None:
        if timeout_s:
            for number in range(together):
                desk.receive(number)

    monkeypatch.setattr(desk.journal, "wait", wait)
    desk.recorder.run(Stop())
    assert len(desk.record.rows) == together
    assert [round(pause, -4) for pause in pauses] == [20_000.0 if together == recorder.MANY else 10_000.0]


def test_an_entry_beyond_a_whole_journal_of_unknown_things(desk: Desk) -> None:
    """Entries that need no row move the position, and nothing else."""
    for _ in range(3):
        desk.journal.note(1, None)
    event = desk.receive(1)
    desk.journal.events[1][-1] = replace(event, location=ByteRange(event.location.path, event.location.offset, 10))
    assert desk.catch_up() == 4
    assert (desk.record.positions, len(desk.record.alerts)) == ({1: 4}, 1)
