from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.errors import StoreUnavailable
from node.store.files import FileStore

KEY = "1.2/3.4/5.6.dcm"


class Flushes:
    """Remembers what was flushed, and whether the object was visible at that moment."""

    def __init__(self, root: Path) -> None:
        self.object = root / "objects" / KEY
        self.seen: list[tuple[str, bool]] = []

    def __call__(self, descriptor: int) -> None:
        self.seen.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), self.object.exists()))
        os.fsync(descriptor)


def refuse(error_number: int) -> Callable[[int], None]:
    def flush(descriptor: int) -> None:
        raise OSError(error_number, os.strerror(error_number))

    return flush


def test_adopt_flushes_the_file_before_it_is_visible_and_its_folders_after(tmp_path: Path) -> None:
    flushes = Flushes(tmp_path)
    store = FileStore(tmp_path, flushes)
    source = store.incoming() / "received"
    source.write_bytes(b"x")
    store.adopt(source, KEY)
    objects = tmp_path / "objects"
    assert flushes.seen == [
        (str(source), False),
        (str(tmp_path), False),
        (str(objects), False),
        (str(objects / "1.2"), False),
        (str(objects / "1.2/3.4"), True),
    ]


def test_known_folders_are_not_flushed_again(tmp_path: Path) -> None:
    flushes = Flushes(tmp_path)
    store = FileStore(tmp_path, flushes)
    store.put(b"x", KEY)
    flushes.seen.clear()
    store.put(b"x", "1.2/3.4/7.8.dcm")
    assert [Path(path).name for path, _ in flushes.seen[1:]] == ["3.4"]


def test_a_folder_made_by_another_process_is_flushed_once_by_us_too(tmp_path: Path) -> None:
    FileStore(tmp_path).put(b"x", KEY)
    flushes = Flushes(tmp_path)
    FileStore(tmp_path, flushes).put(b"x", "1.2/3.4/7.8.dcm")
    assert str(tmp_path / "objects" / "1.2") in [path for path, _ in flushes.seen]


@pytest.mark.parametrize(
    ("error_number", "words"), [(errno.ENOSPC, "full"), (errno.EDQUOT, "full"), (errno.EIO, "cannot")]
)
def test_a_failed_flush_stores_nothing(tmp_path: Path, error_number: int, words: str) -> None:
    store = FileStore(tmp_path, refuse(error_number))
    source = store.incoming() / "received"
    source.write_bytes(b"x")
    with pytest.raises(StoreUnavailable, match=words) as failure:
        store.adopt(source, KEY)
    assert failure.value.details["errno"] == error_number
    with pytest.raises(StoreUnavailable):
        store.put(b"x", KEY)
    assert list(store.keys()) == []
    assert list(store.incoming().iterdir()) == []


def test_a_source_that_vanished_is_a_store_error(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with pytest.raises(StoreUnavailable):
        store.adopt(store.incoming() / "absent", KEY)


def test_the_sweep_removes_what_the_dead_left_and_nothing_of_the_living(tmp_path: Path) -> None:
    dead = tmp_path / "incoming" / "dead"
    dead.mkdir(parents=True)
    (dead / "half").write_bytes(b"half")
    living = FileStore(tmp_path)
    mine = living.incoming() / "under-way"
    mine.write_bytes(b"x")
    assert not dead.exists()
    other = FileStore(tmp_path)
    assert other.incoming() != living.incoming()
    assert mine.exists()
    living.close()
    assert not mine.exists()
    FileStore(tmp_path).incoming()
    assert other.incoming().is_dir()


def test_incoming_lies_where_a_rename_to_the_objects_is_possible(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put(b"x", KEY)
    assert store.incoming().stat().st_dev == Path(store.locate(KEY).path).stat().st_dev
    assert store.incoming() == store.incoming()


def test_what_was_put_again_since_it_was_removed_stays(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put(b"x", KEY)
    store.put(b"y", "1.2/9.9/1.1.dcm")
    changed = datetime.fromtimestamp(Path(store.locate(KEY).path).stat().st_ctime, UTC)
    store.delete_older(KEY, changed - timedelta(microseconds=1))  # what is converted to a time is rounded
    assert set(store.keys()) == {KEY, "1.2/9.9/1.1.dcm"}
    store.delete_older(KEY, changed + timedelta(seconds=1))
    assert list(store.keys()) == ["1.2/9.9/1.1.dcm"]
    assert not (tmp_path / "objects" / "1.2" / "3.4").exists()
    assert (tmp_path / "objects" / "1.2" / "9.9").is_dir()
    store.delete_older(KEY, changed - timedelta(microseconds=1))  # what is converted to a time is rounded
    store.delete_older("../escape", changed)
    store.put(b"x", KEY)
    assert set(store.keys()) == {KEY, "1.2/9.9/1.1.dcm"}
