"""Whether a store still has what a row names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from node.app.stores import holding
from node.domain.study import Arrival, AssociationFacts
from node.errors import StoreUnavailable
from node.ports import InstanceStore
from node.store.either import EitherStore
from node.store.files import FileStore
from node.store.journal.store import JournalStore
from tests.integration.receiving import JOURNAL, FixedClock

FACTS = AssociationFacts("association-1", "CT1", "AINODE", "10.0.0.7", "host/receive-0", FixedClock().now())


def stored(store: InstanceStore) -> str:
    draft = store.begin()
    draft.write([bytes(1000)])
    with draft.view():
        pass
    return draft.commit(Arrival("1.2", "1.3", "1.4", "1.5", "1.2.840.10008.1.2.1", FACTS, FACTS.opened_at, 400)).key


@pytest.mark.parametrize("kind", ["journal", "files"])
def test_a_store_holds_what_was_not_deleted(kind: str, tmp_path: Path) -> None:
    files = FileStore(tmp_path / "files")
    journal = JournalStore(tmp_path / "journal", JOURNAL, "test", FixedClock(), lambda size: True)
    store = EitherStore(files, journal, journal if kind == "journal" else files)
    holds, key = holding(store), stored(store)
    assert holds(key)
    assert not holds(hashlib.sha256(b"another").hexdigest())
    store.delete(key)
    assert not holds(key)
    files.close()
    journal.close()


def test_a_disk_that_does_not_answer_says_neither(tmp_path: Path) -> None:
    class Deaf:
        def locate(self, key: str) -> None:
            raise StoreUnavailable("no answer")

    with pytest.raises(StoreUnavailable):
        holding(Deaf())("key")  # type: ignore[arg-type]
