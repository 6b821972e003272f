"""What every ``ObjectStore`` keeps to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from node.errors import ObjectMissing, StoreError
from node.ports import ObjectStore, StoredObject
from node.store.files import FileStore

KEY = "1.2.3/4.5.6/7.8.9.0123456789abcdef.dcm"

Factory = Callable[[], ObjectStore]


@pytest.fixture(params=["files"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Factory:
    """Opens the same store, again and again, as other processes would."""
    return {"files": lambda: FileStore(tmp_path / "store")}[request.param]


@pytest.fixture
def store(reopen: Factory) -> ObjectStore:
    return reopen()


def received(store: ObjectStore, data: bytes, name: str = "received") -> Path:
    path = store.incoming() / name
    path.write_bytes(data)
    return path


def content(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()


def test_adopt_makes_a_received_file_an_object(store: ObjectStore, reopen: Factory) -> None:
    source = received(store, b"bytes")
    assert store.adopt(source, KEY) == StoredObject(key=KEY, size=5)
    assert not source.exists()
    assert content(reopen(), KEY) == b"bytes"


def test_put_stores_bytes_and_replaces_what_was_there(store: ObjectStore) -> None:
    assert store.put(b"first", KEY).size == 5
    assert store.put(b"second!", KEY).size == 7
    assert content(store, KEY) == b"second!"
    assert list(store.keys()) == [KEY]


def test_an_open_object_keeps_its_bytes_while_it_is_replaced(store: ObjectStore) -> None:
    store.put(b"first", KEY)
    with store.open(KEY) as file:
        store.put(b"other", KEY)
        assert file.read() == b"first"


def test_locate_says_where_the_bytes_lie(store: ObjectStore) -> None:
    store.put(b"located", KEY)
    place = store.locate(KEY)
    with Path(place.path).open("rb") as file:
        file.seek(place.offset)
        assert file.read(place.length) == b"located"


def test_keys_names_every_object_and_nothing_under_way(store: ObjectStore) -> None:
    assert list(store.keys()) == []
    received(store, b"under way")
    keys = {f"1.2/3.4/5.{number}.dcm" for number in range(5)}
    for key in keys:
        store.put(b"x", key)
    assert set(store.keys()) == keys


def test_delete_removes_and_is_quiet_about_what_is_absent(store: ObjectStore) -> None:
    store.put(b"x", KEY)
    store.delete(KEY)
    store.delete(KEY)
    assert list(store.keys()) == []
    store.put(b"again", KEY)
    assert content(store, KEY) == b"again"


def test_what_is_absent_is_object_missing(store: ObjectStore) -> None:
    for ask in (store.locate, store.open):
        with pytest.raises(ObjectMissing):
            ask(KEY)


@pytest.mark.parametrize(
    "key", ["../outside", "/etc/passwd", "a/../../b", "", "a//b", ".", "a/.hidden", "a\0b", "a/" * 9]
)
def test_no_key_leads_outside(store: ObjectStore, key: str) -> None:
    with pytest.raises(StoreError):
        store.put(b"x", key)
    source = received(store, b"x")
    with pytest.raises(StoreError):
        store.adopt(source, key)
    assert not source.exists()
    for ask in (store.locate, store.open):
        with pytest.raises(ObjectMissing):
            ask(key)
    store.delete(key)
    assert list(store.keys()) == []
