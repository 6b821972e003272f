"""Each thing that the file store asks of the system, refused: nothing is acknowledged, nothing half is left."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from node.domain.study import Arrival, AssociationFacts
from node.errors import StoreUnavailable
from node.store.files import FileStore

AT = datetime(2030, 1, 1, tzinfo=UTC)
ARRIVAL = Arrival("1.2", "1.2.3", "1.2.4", "1.2.5", "1.2.6", AssociationFacts("a", "A", "B", "h", "r", AT), AT, 4)
RESULT = "1.2/3.4/5.6.dcm"
CONTENT = b"DICMdata set"


class Disk:
    """Refuses the operation ``what`` as long as ``number`` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, what: str, number: int) -> None:
        self.what = what
        self.number: int | None = None
        self._error = number
        self._wrap(monkeypatch, tempfile, "mkstemp", "make")
        self._wrap(monkeypatch, Path, "replace", "rename")
        self._fdopen = os.fdopen
        monkeypatch.setattr(os, "fdopen", self._opened)

    def refuse(self) -> None:
        self.number = self._error

    def check(self, what: str) -> None:
        if what == self.what and self.number is not None:
            raise OSError(self.number, os.strerror(self.number))

    def flush(self, descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").resolve().is_dir()
        self.check("flush folder" if is_folder else "flush file")

    def _wrap(self, monkeypatch: pytest.MonkeyPatch, place: object, name: str, what: str) -> None:
        real: Callable[..., Any] = getattr(place, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            self.check(what)
            return real(*arguments, **keywords)

        monkeypatch.setattr(place, name, call)

    def _opened(self, *arguments: Any, **keywords: Any) -> Any:
        return RefusingFile(self, self._fdopen(*arguments, **keywords))


class RefusingFile:
    def __init__(self, disk: Disk, file: Any) -> None:
        self._disk = disk
        self._file = file

    def write(self, data: Any) -> int:
        self._disk.check("write")
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> RefusingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def receive(store: FileStore) -> str:
    draft = store.begin()
    try:
        draft.write([CONTENT])
        return draft.commit(ARRIVAL).key
    finally:
        draft.discard()


def put(store: FileStore) -> str:
    return store.put(CONTENT, RESULT).key


WAYS = {"receive": receive, "put": put}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("what", ["make", "write", "flush file", "rename", "flush folder"])
@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_refusal_acknowledges_nothing_and_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, what: str, number: int
) -> None:
    disk = Disk(monkeypatch, what, number)
    store = FileStore(tmp_path, disk.flush)
    store.incoming()
    disk.refuse()
    with pytest.raises(StoreUnavailable) as refused:
        WAYS[way](store)
    assert refused.value.details["errno"] == number
    assert ("full" in refused.value.message) is (number == errno.ENOSPC)
    assert list(store.incoming().iterdir()) == []
    for key in list(store.keys()):  # whole, where only its folder could not be flushed; never acknowledged
        with store.open(key) as file:
            assert file.read() == CONTENT
    disk.number = None
    key = WAYS[way](store)
    with store.open(key) as file:
        assert file.read() == CONTENT
    assert list(store.keys()) == [key]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("what", ["make", "write", "flush file", "rename"])
def test_a_result_that_is_there_stays_when_its_successor_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, number: int
) -> None:
    disk = Disk(monkeypatch, what, number)
    store = FileStore(tmp_path, disk.flush)
    store.put(b"the first", RESULT)
    disk.refuse()
    with pytest.raises(StoreUnavailable):
        store.put(CONTENT, RESULT)
    with store.open(RESULT) as file:
        assert file.read() == b"the first"
