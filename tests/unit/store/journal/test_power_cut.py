"""Whatever was acknowledged is there after a power cut at any moment; nothing torn ever shows."""

from __future__ import annotations

import itertools
import random
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.errors import StoreUnavailable
from node.ports import AssociationEnded, InstanceArrived
from node.store.journal import JournalStore
from node.store.journal.draft import JournalDraft
from tests.unit.store.journal.arrivals import arrival, content_of, journal, store
from tests.unit.store.journal.power import RecordingDisk, image_after

SEGMENT = 1 << 17  # small: histories cross from one to the next


@dataclass
class Acknowledged:
    """``at``: how many events had happened on the disk when its commit returned."""

    at: int
    key: str
    number: int


@dataclass
class History:
    """Runs a journal and remembers what it promised."""

    root: Path
    disk: RecordingDisk = field(default_factory=RecordingDisk)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)
    drafts: list[tuple[int, JournalDraft]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.journal = journal(self.root, self.disk, SEGMENT)

    def begin(self, size: int, hint: int) -> None:
        number = next(self.numbers)
        self.contents[number] = random.Random(number).randbytes(size)
        try:
            draft = self.journal.begin(hint)
            draft.write([self.contents[number][: size // 2]])
            draft.write([self.contents[number][size // 2 :]])
        except StoreUnavailable:
            return
        self.drafts.append((number, draft))

    def commit(self, which: int) -> None:
        if self.drafts:
            number, draft = self.drafts.pop(which % len(self.drafts))
            try:
                key = draft.commit(arrival(number)).key
                self.acknowledged.append(Acknowledged(len(self.disk.events), key, number))
            except StoreUnavailable:
                pass
            finally:
                draft.discard()

    def discard(self, which: int) -> None:
        if self.drafts:
            self.drafts.pop(which % len(self.drafts))[1].discard()

    def note(self) -> None:
        with suppress(StoreUnavailable):
            self.journal.association_ended("a1", "released")

    def delete(self, which: int) -> None:
        if self.acknowledged:
            key = self.acknowledged[which % len(self.acknowledged)].key
            self.deleted.setdefault(key, len(self.disk.events))
            self.journal.delete(key)

    def fail(self) -> None:
        self.disk.fail_flush = True

    def restart(self) -> None:
        self.end()
        self.journal = journal(self.root, self.disk, SEGMENT)

    def recycle(self) -> None:
        for number in self.journal.segments():
            facts = self.journal.facts(number)
            if facts and facts.sealed and not facts.live:
                with suppress(StoreUnavailable):  # a broken one, with drafts under way in it
                    self.journal.recycle(number)

    def end(self) -> None:
        self.disk.fail_flush = False
        while self.drafts:
            self.discard(0)
        self.journal.close()


Step = Callable[[History], None]
SIZES = st.sampled_from([0, 1, 100, 2048, 5000, 20_000, 70_000])
WHICH = st.integers(0, 9)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(SIZES, SIZES).map(lambda both: lambda history: history.begin(*both)),
    st.tuples(SIZES, SIZES).map(lambda both: lambda history: history.begin(*both)),
    WHICH.map(lambda which: lambda history: history.commit(which)),
    WHICH.map(lambda which: lambda history: history.commit(which)),
    WHICH.map(lambda which: lambda history: history.discard(which)),
    WHICH.map(lambda which: lambda history: history.delete(which)),
    st.just(lambda history: history.note()),
    st.just(lambda history: history.fail()),
    st.just(lambda history: history.restart()),
    st.just(lambda history: history.recycle()),
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=4, max_size=25), seed=st.integers(0, 1 << 32))
def test_what_was_acknowledged_survives(steps: list[Step], seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "old")
        for step in steps:
            step(history)
        while history.drafts:
            history.commit(0)
        history.end()
        chance = random.Random(seed)
        events = len(history.disk.events)
        for cut in [events, *(chance.randint(0, events) for _ in range(6))]:
            check_after_cut(history, cut, chance)


@pytest.mark.parametrize("seed", range(3))
def test_many_threads(tmp_path: Path, seed: int) -> None:
    history = History(tmp_path / "old")

    def send(sender: int) -> None:
        for index in range(12):
            number = sender * 100 + index
            content = random.Random(number).randbytes(500 * (1 + number % 9) ** 2)
            history.contents[number] = content
            key = store(history.journal, content, number)
            history.acknowledged.append(Acknowledged(len(history.disk.events), key, number))

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history.end()
    assert len(history.acknowledged) == 48
    chance = random.Random(seed)
    for _ in range(12):
        check_after_cut(history, chance.randint(0, len(history.disk.events)), chance)


def check_after_cut(history: History, cut: int, chance: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "new"
        image_after(history.disk.events[:cut], chance, history.root, root)
        after = journal(root, segment_bytes=SEGMENT)
        after.recover()
        promised = [each for each in history.acknowledged if each.at <= cut]
        check_objects(history, after, promised, cut)
        check_arrivals(after, promised)
        check_it_goes_on(after)


def check_objects(history: History, after: JournalStore, promised: list[Acknowledged], cut: int) -> None:
    keys = set(after.keys())
    for each in promised:
        if history.deleted.get(each.key, cut + 1) > cut:
            assert each.key in keys
        if each.key in keys:
            assert content_of(after, each.key) == history.contents[each.number]
    whole = {bytes(content) for content in history.contents.values()}
    for key in keys:
        assert content_of(after, key) in whole


def check_arrivals(after: JournalStore, promised: list[Acknowledged]) -> None:
    """Where a segment still exists, each promised position tells of the very instance."""
    told = {}
    segments = after.segments()
    for segment in segments:
        for entry in after.entries(segment, 0, 1000):
            if isinstance(entry.event, InstanceArrived):
                told[entry.event.stored.key] = entry.event.arrival
            else:
                assert entry.event is None or isinstance(entry.event, AssociationEnded)
    for each in promised:
        if int(each.key[:8], 16) in segments:
            assert told[each.key] == arrival(each.number)


def check_it_goes_on(after: JournalStore) -> None:
    before = list(after.keys())
    assert after.recover() == 0
    key = store(after, b"afterwards", 5000)
    assert key not in before
    assert all(int(key[:8], 16) > int(each[:8], 16) for each in before)
    after.close()
    assert content_of(after, key) == b"afterwards"
