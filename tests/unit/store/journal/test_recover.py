from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import structlog.testing

from node.errors import ObjectMissing
from node.ports import AssociationEnded, InstanceArrived, ReceiverStarted
from node.store.journal import JournalStore
from node.store.journal.format import ENTRY_SIZE, INDEX_OFFSET, STATE_OFFSET, State
from tests.unit.store.journal.arrivals import AT, arrival, content_of, journal, store
from tests.unit.store.journal.faulty import FaultyDisk

ROOT = Path(__file__).parents[4]


def abandon(where: JournalStore) -> None:
    """As if its process died: the lock is free, nothing is sealed."""
    segment = where._writing._current
    assert segment is not None
    os.close(segment._descriptor)
    where._writing._current = None


def change(root: Path, number: int, offset: int, content: bytes) -> None:
    with (root / "segments" / f"{number:08x}.seg").open("r+b") as file:
        file.seek(offset)
        file.write(content)


def entry_at(position: int) -> int:
    return INDEX_OFFSET + position * ENTRY_SIZE


def where_bytes_are(where: JournalStore, key: str) -> int:
    return where.locate(key).offset


@pytest.fixture
def dead(tmp_path: Path) -> tuple[Path, list[str]]:
    """A journal whose writer died after five objects."""
    where = journal(tmp_path)
    keys = [store(where, bytes((number,)) * 5000, number) for number in range(5)]
    abandon(where)
    return tmp_path, keys


def test_the_living_are_left_alone(tmp_path: Path) -> None:
    where = journal(tmp_path)
    key = store(where, b"x")
    assert journal(tmp_path).recover() == 0
    assert not where.facts(1).sealed  # type: ignore[union-attr]
    assert content_of(where, store(where, b"y")) == b"y"
    assert content_of(where, key) == b"x"


def test_what_a_dead_writer_published_is_sealed_and_trimmed(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    where = journal(root)
    assert where.recover() == 0
    facts = where.facts(1)
    assert facts is not None
    assert facts.sealed
    assert (facts.entries, facts.live) == (5, 5)
    assert facts.size < 1 << 20
    assert list(where.keys()) == keys
    assert [content_of(where, key)[0] for key in keys] == list(range(5))


def test_what_was_written_and_not_published_counts_as_new(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    for position in (3, 4):
        change(root, 1, entry_at(position) + STATE_OFFSET, bytes((State.WRITTEN,)))
    where = journal(root)
    where.segments()
    assert len(where.entries(1, 0, 100)) == 3
    assert where.recover() == 2
    where.segments()
    assert len(where.entries(1, 0, 100)) == 5
    assert list(where.keys()) == keys


def test_a_torn_object_that_nobody_was_told_of_is_dropped_for_good(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    where = journal(root)
    offset = where_bytes_are(where, keys[3])
    change(root, 1, offset + 4999, b"\xff")
    for position in (3, 4):
        change(root, 1, entry_at(position) + STATE_OFFSET, bytes((State.WRITTEN,)))
    with structlog.testing.capture_logs() as logs:
        assert where.recover() == 1
    assert [line["event"] for line in logs] == ["journal.recovered"]
    assert list(where.keys()) == [*keys[:3], keys[4]]
    with pytest.raises(ObjectMissing):
        where.open(keys[3])
    where.segments()
    events = [entry.event for entry in where.entries(1, 0, 100)]
    assert events[3] is None
    assert all(isinstance(event, InstanceArrived) for event in (*events[:3], events[4]))


def test_an_object_that_rotted_is_named_in_the_log_and_those_behind_it_are_kept(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    where = journal(root)
    change(root, 1, where_bytes_are(where, keys[1]), b"\xff")
    with structlog.testing.capture_logs() as logs:
        where.recover()
    damaged = [line for line in logs if line["event"] == "journal.damaged"]
    assert [(line["segment"], line["position"]) for line in damaged] == [(1, 1)]
    assert list(where.keys()) == [keys[0], *keys[2:]]


def test_an_entry_that_rotted_costs_itself_alone(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    change(root, 1, entry_at(2), b"\xff" * 8)
    where = journal(root)
    where.recover()
    assert list(where.keys()) == [*keys[:2], *keys[3:]]
    where.segments()
    assert [entry.event is None for entry in where.entries(1, 0, 100)] == [False, False, True, False, False]


def test_a_record_that_rotted_is_not_told(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    where = journal(root)
    change(root, 1, where_bytes_are(where, keys[4]) - 2048, b"\xff")
    where.recover()
    assert list(where.keys()) == keys[:4]


def test_the_dropped_are_durable_before_the_seal_is(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    disk = FaultyDisk()
    change(root, 1, where_bytes_are(journal(root), keys[3]), b"\xff")
    change(root, 1, entry_at(3) + STATE_OFFSET, bytes((State.WRITTEN,)))
    journal(root, disk).recover()
    assert disk.calls == ["open", "flush", "write", "flush", "write", "truncate", "flush"]


def test_recovering_twice_finds_nothing_new(dead: tuple[Path, list[str]]) -> None:
    root, _ = dead
    change(root, 1, entry_at(4) + STATE_OFFSET, bytes((State.WRITTEN,)))
    assert [journal(root).recover() for _ in range(3)] == [1, 0, 0]


def test_freed_objects_stay_freed(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    where = journal(root)
    where.delete(keys[4])
    where.delete(keys[1])
    where.recover()
    assert list(where.keys()) == [keys[0], keys[2], keys[3]]
    where.segments()
    assert len(where.entries(1, 0, 100)) == 5


def test_a_disk_that_fails_leaves_the_segment_for_the_next_time(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    disk = FaultyDisk()
    disk.arm(1)
    where = journal(root, disk)
    with structlog.testing.capture_logs() as logs:
        where.recover()
    assert [line["event"] for line in logs] == ["journal.not_recovered"]
    facts = where.facts(1)
    assert facts is not None
    assert not facts.sealed
    where.recover()
    facts = where.facts(1)
    assert facts is not None
    assert facts.sealed
    assert list(where.keys()) == keys


@pytest.mark.parametrize("content", [b"", b"x", b"AINODEJ\x01" + bytes(5000), bytes(1 << 16), b"\xff" * 4096])
def test_what_is_no_segment_is_named_and_passed_over(dead: tuple[Path, list[str]], content: bytes) -> None:
    root, keys = dead
    (root / "segments" / "00000007.seg").write_bytes(content)
    (root / "segments" / "notes.txt").write_bytes(content)
    (root / "segments" / "00000008.seg").symlink_to("nowhere")
    (root / "segments" / "00000009.seg").mkdir()
    (root / "free" / "notes.txt").write_bytes(content)
    (root / "free" / "deadbeef.seg").write_bytes(content)
    where = journal(root)
    with structlog.testing.capture_logs() as logs:
        where.recover()
        where.segments()
    named = [(line["event"], line.get("segment"), line.get("name")) for line in logs]
    assert ("journal.unreadable_segment", 7, None) in named
    assert named.count(("journal.foreign_file", None, "notes.txt")) == 1
    assert list(where.keys()) == keys
    assert list(where.entries(7, 0, 10)) == []
    assert where.facts(7) is None
    key = store(where, b"next")
    assert int(key[:8], 16) == 10
    where.close()


def test_a_segment_under_another_number_is_none(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    journal(root).recover()
    (root / "segments" / "00000001.seg").rename(root / "segments" / "00000002.seg")
    where = journal(root)
    with structlog.testing.capture_logs() as logs:
        where.recover()
    assert [line["event"] for line in logs] == ["journal.unreadable_segment"]
    assert list(where.keys()) == []
    for key in (*keys, keys[0].replace("00000001", "00000002")):
        with pytest.raises(ObjectMissing):
            where.locate(key)


def test_a_receiver_that_starts_writes_behind_what_its_forerunner_left(dead: tuple[Path, list[str]]) -> None:
    root, keys = dead
    change(root, 1, entry_at(4) + STATE_OFFSET, bytes((State.WRITTEN,)))
    where = journal(root)
    where.receiver_started("receive-0")
    told = [entry for segment in where.segments() for entry in where.entries(segment, 0, 100)]
    assert [entry.segment for entry in told] == [1] * 5 + [2]
    assert told[5].event == ReceiverStarted("receive-0", AT)
    assert list(where.keys()) == keys
    where.close()


WRITER = """
import sys
from pathlib import Path
from tests.unit.store.journal.arrivals import journal, store
where = journal(Path(sys.argv[1]))
for number in range(100000):
    print(store(where, bytes((number % 256,)) * (1000 + 37 * (number % 100)), number), flush=True)
"""


@pytest.mark.parametrize("after", [1, 40, 300])
def test_kill_9(tmp_path: Path, after: int) -> None:
    """Every key that a killed process had time to say is there."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    keys = [line.strip() for line in said if line.endswith("\n")]
    where = journal(tmp_path)
    assert where.recover() <= 1
    assert list(where.keys())[: len(keys)] == keys
    for number, key in enumerate(keys):
        assert content_of(where, key) == bytes((number % 256,)) * (1000 + 37 * (number % 100))
    told = [entry.event for segment in where.segments() for entry in where.entries(segment, 0, 100_000)]
    assert [event.arrival for event in told if isinstance(event, InstanceArrived)][: len(keys)] == [
        arrival(number) for number in range(len(keys))
    ]
    assert not any(isinstance(event, AssociationEnded) for event in told)
