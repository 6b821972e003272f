"""Sends DICOM files to the node, one association for each study, as a modality would."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import MediaStorageDirectoryStorage

from node.deliver.association import Peer
from node.deliver.storage_scu import DimseDestination
from node.demo.holdings import raw_uid
from node.domain.study import ByteRange
from node.errors import DeliveryError
from node.ports import Outgoing

MODALITY_AE_TITLE = "DEMOMODALITY"
TIMEOUT_S = 60.0
_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the files.

    Attributes:
        studies: for every study of which the node took an instance: when its last one was answered.
        instances: how many instances the node took.
        problems: files that were passed over or not taken, with the reason.
    """

    studies: Mapping[str, datetime]
    instances: int
    problems: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The instances among some files, by study, and the files that hold none, with the reason."""

    studies: Mapping[str, Sequence[tuple[Path, Outgoing]]]
    problems: tuple[tuple[Path, str], ...]


class _Unsuitable(Exception):
    """A file that is not sent; the message says why."""


def send(sources: Iterable[Path], address: tuple[str, int], ae_title: str, progress: Progress) -> Sent:
    """C-STORE every instance under ``sources`` as it is, in its own transfer syntax.

    Nothing is fatal: what cannot be read is no DICOM instance, and what the node does not take is listed among the
    problems. ``progress`` is told (done, of) after every instance.
    """
    found = find(sources)
    total = sum(len(files) for files in found.studies.values())
    problems = list(found.problems)
    finished: dict[str, datetime] = {}
    done = 0
    taken = 0

    def count(_: object) -> None:
        nonlocal done
        done += 1
        progress(done, total)

    node = DimseDestination("node", Peer(ae_title, *address, MODALITY_AE_TITLE, TIMEOUT_S), observe=count)
    for study, files in found.studies.items():
        refused = _send_study(node, files)
        problems += refused
        taken += len(files) - len(refused)
        if len(refused) < len(files):
            finished[study] = datetime.now(UTC)
    return Sent(finished, taken, tuple(problems))


def find(sources: Iterable[Path]) -> Found:
    """Look at every file under ``sources``. Never raises for a file's sake."""
    studies: dict[str, list[tuple[Path, Outgoing]]] = {}
    problems: list[tuple[Path, str]] = []
    for path in _files(sources):
        try:
            study, outgoing = _look(path)
        except _Unsuitable as reason:
            problems.append((path, str(reason)))
        else:
            studies.setdefault(study, []).append((path, outgoing))
    return Found(studies, tuple(problems))


def _send_study(node: DimseDestination, files: Sequence[tuple[Path, Outgoing]]) -> list[tuple[Path, str]]:
    """One association; what was not taken, with the reason."""
    try:
        outcomes = node.send([outgoing for _, outgoing in files])
    except DeliveryError as error:
        return [(path, error.message) for path, _ in files]
    pairs = zip(files, outcomes, strict=True)
    return [(path, outcome.error.message) for (path, _), outcome in pairs if outcome.error is not None]


def _files(sources: Iterable[Path]) -> Iterator[Path]:
    for path in sources:
        if path.is_dir():
            yield from sorted(inner for inner in path.rglob("*") if inner.is_file())
        else:
            yield path


def _look(path: Path) -> tuple[str, Outgoing]:
    """The study and the instance that a file holds.

    Raises:
        _Unsuitable: it holds none.
    """
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[Tag(keyword) for keyword in _UIDS])
        uids = {keyword: raw_uid(header, keyword) for keyword in _UIDS}
        length = path.stat().st_size
    except InvalidDicomError as error:
        raise _Unsuitable("not a DICOM file") from error
    except OSError as error:
        raise _Unsuitable(error.strerror or "cannot be read") from error
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, NotImplementedError) as error:
        raise _Unsuitable(f"cannot be parsed: {type(error).__name__}") from error
    if raw_uid(header.file_meta, "MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        raise _Unsuitable("a DICOMDIR, no instance")
    for keyword, uid in uids.items():
        if not uid:
            raise _Unsuitable(f"{keyword} is absent")
    outgoing = Outgoing(uids["SOPClassUID"], uids["SOPInstanceUID"], ByteRange(str(path), 0, length))
    return uids["StudyInstanceUID"], outgoing
