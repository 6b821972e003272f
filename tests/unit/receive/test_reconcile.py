from __future__ import annotations

from pathlib import Path

import pytest

from node.receive import reconcile
from node.receive.reading import Reader
from node.receive.reconcile import Counts, Reconcile
from tests.fakes.journal import FakeJournal
from tests.unit.receive.test_recorder import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.recorder.start()
    return made


def run(desk: Desk) -> Counts:
    return Reconcile(desk.journal, desk.record, Reader()).run(desk.record.positions)


def test_tables_and_journal_that_agree(desk: Desk) -> None:
    desk.receive(1)
    desk.receive(2, segment=2)
    desk.catch_up()
    assert run(desk) == Counts(segments=2)
    assert (desk.record.missed, desk.record.freed) == ([], [])


def test_a_row_without_bytes_is_missed(desk: Desk) -> None:
    desk.receive(1)
    desk.receive(2)
    desk.catch_up()
    desk.journal.freed = {"00000001/000001"}
    assert run(desk) == Counts(segments=1, missing=1)
    assert desk.record.missed == ["00000001/000001"]


def test_what_is_moved_or_freed_meanwhile_is_not_missed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.receive(1)
    desk.catch_up()
    living = FakeJournal.living
    asked: list[int] = []

    def empty_at_first(journal: FakeJournal, segment: int) -> object:
        asked.append(segment)
        return living(journal, segment if len(asked) > 1 else 404)

    monkeypatch.setattr(FakeJournal, "living", empty_at_first)
    assert run(desk) == Counts(segments=1)
    assert (asked, desk.record.missed) == ([1, 1], [])


def test_bytes_that_need_no_row_are_freed_again(desk: Desk) -> None:
    """A duplicate: what says that it is deleted did not survive a power cut."""
    desk.receive(1)
    desk.receive(1)
    desk.catch_up()
    assert run(desk) == Counts(segments=1, freed=1)
    assert desk.record.freed == ["00000001/000001"]


def test_a_copy_without_a_row_is_not_ours_to_free(desk: Desk) -> None:
    desk.receive(1)
    desk.catch_up()
    desk.journal.copied[1] = {"00000001/000009"}
    assert run(desk) == Counts(segments=1)


def test_what_is_not_recorded_yet_waits_for_its_turn(desk: Desk) -> None:
    desk.receive(1)
    desk.catch_up()
    desk.receive(2)
    assert run(desk) == Counts(segments=1)
    assert desk.catch_up() == 1


def test_what_could_not_be_recorded_is_tried_again(desk: Desk) -> None:
    event = desk.receive(1)
    desk.receive(2)
    uid = event.arrival.sop_instance_uid
    desk.record.poison[uid] = ValueError()
    desk.catch_up()
    assert desk.keys() == ["00000001/000001"]
    assert run(desk) == Counts(segments=1)
    del desk.record.poison[uid]
    assert run(desk) == Counts(segments=1, recorded=1)
    assert desk.keys() == ["00000001/000000", "00000001/000001"]
    assert desk.record.positions == {1: 2}


def test_what_still_cannot_be_read_stays(desk: Desk) -> None:
    event = desk.receive(1)
    content = Path(event.location.path).read_bytes()
    Path(event.location.path).unlink()
    desk.catch_up()
    assert run(desk) == Counts(segments=1)
    assert (desk.record.freed, len(desk.record.alerts)) == ([], 1)
    Path(event.location.path).write_bytes(content)
    assert run(desk).recorded == 1


def test_only_the_newest_segments_are_looked_at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for segment in (1, 2, 3):
        desk.receive(segment, segment=segment)
    desk.catch_up()
    monkeypatch.setattr(reconcile, "NEWEST", 2)
    desk.journal.freed = {"00000001/000000", "00000003/000000"}
    assert run(desk) == Counts(segments=2, missing=1)
    assert desk.record.missed == ["00000003/000000"]
