"""A folder as a destination: ``<Study Instance UID>/<Series Instance UID>/<SOP Instance UID>.dcm`` below it."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from node.deliver.identity import identity
from node.deliver.stored import read
from node.deliver.uncommitted import Uncommitted
from node.errors import AinodeError, DestinationFull, DestinationUnreachable
from node.ports import DeliveryOutcome, Outgoing

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_UNFINISHED = ".part"


class FolderDestination(Uncommitted):
    """``ports.Destination``. Whoever watches the folder sees whole files only: each is written beside its place under a
    name with a leading dot, flushed to the disk, and renamed.

    The folder itself must be there: one that is missing may be a share that is not mounted.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder

    @property
    def name(self) -> str:
        return self._name

    def send(self, objects: Sequence[Outgoing]) -> Sequence[DeliveryOutcome]:
        """
        Raises:
            DestinationUnreachable: the folder is not there, or cannot be looked at.
        """
        if not objects:
            return []
        self._require_folder()
        return [self._send_one(outgoing) for outgoing in objects]

    def echo(self) -> None:
        """Write a file, and take it away again.

        Raises:
            DestinationUnreachable, DestinationFull
        """
        self._require_folder()
        probe = self._folder / f".ainode-{secrets.token_hex(8)}{_UNFINISHED}"
        with _translated():
            try:
                _write(probe, b"ainode\n")
            finally:
                probe.unlink(missing_ok=True)

    def _require_folder(self) -> None:
        with _translated():
            there = self._folder.is_dir()
        if not there:
            raise DestinationUnreachable("the folder is not there")

    def _send_one(self, outgoing: Outgoing) -> DeliveryOutcome:
        try:
            file = read(outgoing.location)
            found = identity(file, outgoing)
            series = self._folder / found.study_instance_uid / found.series_instance_uid
            with _translated():
                self._keep(file, series, f"{found.sop_instance_uid}.dcm")
        except AinodeError as error:
            return DeliveryOutcome(outgoing.sop_instance_uid, None, error)
        return DeliveryOutcome(outgoing.sop_instance_uid, 0x0000)

    def _keep(self, file: bytes, series: Path, name: str) -> None:
        """``file`` as ``series / name``; on return it survives a power cut."""
        series.mkdir(parents=True, exist_ok=True)
        for left in series.glob(f".{name}.*{_UNFINISHED}"):  # by an attempt that was cut off
            left.unlink(missing_ok=True)
        unfinished = series / f".{name}.{secrets.token_hex(4)}{_UNFINISHED}"
        try:
            _write(unfinished, file)
            unfinished.replace(series / name)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        for folder in (series, series.parent, self._folder):
            _flush(folder)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """The names in it, too, are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system whose folders cannot be flushed, as those of some servers
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """
    Raises:
        DestinationFull, DestinationUnreachable
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DestinationFull("no room in the folder", errno=error.errno) from error
        raise DestinationUnreachable(f"the folder cannot be used: {error.strerror}", errno=error.errno) from error
