from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.domain.study import Arrival, AssociationFacts
from node.errors import ObjectMissing
from node.ports import InstanceStore
from node.store.either import EitherStore
from node.store.files import FileStore
from node.store.journal import JournalSettings, JournalStore
from tests.fakes.outbox import StandingClock

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FACTS = AssociationFacts("association-1", "CT1", "AINODE", "10.0.0.7", "host/receive-0", NOW)
ARRIVAL = Arrival("1.2.3", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5", "1.2.840.10008.1.2", FACTS, NOW, 2)
SETTINGS = JournalSettings(segment_bytes=1 << 20, spare_segments=0)


class Site:
    def __init__(self, root: Path) -> None:
        self.files = FileStore(root / "instances")
        self.journal = JournalStore(root / "journal", SETTINGS, "writer", StandingClock(), lambda size: True)
        self.before = EitherStore(self.files, self.journal, self.files)
        self.now = EitherStore(self.files, self.journal, self.journal)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.journal.close()
    made.files.close()


def keep(store: InstanceStore, content: bytes) -> str:
    draft = store.begin(len(content))
    draft.write([content])
    key = draft.commit(ARRIVAL).key
    draft.discard()
    return key


def content(store: EitherStore, key: str) -> bytes:
    place = store.locate(key)
    with store.open(key) as opened, Path(place.path).open("rb") as file:
        file.seek(place.offset)
        read = opened.read()
        assert file.read(place.length) == read
    return read


def test_a_site_that_changes_its_store_keeps_what_it_has(site: Site) -> None:
    keys = {b"as a file": keep(site.before, b"as a file"), b"in the journal": keep(site.now, b"in the journal")}
    for store in (site.before, site.now):
        assert set(store.keys()) == set(keys.values())
        for stored, key in keys.items():
            assert content(store, key) == stored
    assert list(site.files.keys()) == [keys[b"as a file"]]
    assert list(site.journal.keys()) == [keys[b"in the journal"]]


def test_each_key_is_deleted_where_it_is(site: Site) -> None:
    keys = [keep(site.before, b"as a file"), keep(site.now, b"in the journal")]
    for key in keys:
        site.now.delete(key)
        for ask in (site.now.locate, site.now.open):
            with pytest.raises(ObjectMissing):
                ask(key)
    assert list(site.now.keys()) == []


def test_a_file_that_is_newer_than_its_removal_stays(site: Site) -> None:
    file, entry = keep(site.before, b"as a file"), keep(site.now, b"in the journal")
    long_ago = datetime.now(UTC) - timedelta(days=1)
    for key in (file, entry):
        site.now.delete_older(key, long_ago)
    assert list(site.now.keys()) == [file]
    site.now.delete_older(file, datetime.now(UTC) + timedelta(days=1))
    assert list(site.now.keys()) == []


def test_without_a_journal_there_is_nothing_in_it(site: Site, tmp_path: Path) -> None:
    keep(site.before, b"as a file")
    assert len(list(site.before.keys())) == 1
    with pytest.raises(ObjectMissing):
        site.before.locate("00000001/000000")
    site.before.delete("00000001/000000")
    assert not (tmp_path / "journal").exists()
