"""A folder as a destination: whole files only, under names made of checked UIDs."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from node.deliver.folder import FolderDestination
from node.errors import DestinationFull, DestinationUnreachable
from node.ports import Outgoing
from tests.objects import MR, data_set, outgoing


@pytest.fixture
def share(tmp_path: Path) -> Path:
    made = tmp_path / "share"
    made.mkdir()
    return made


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_layout_is_study_series_instance(share: Path, tmp_path: Path) -> None:
    made = data_set(MR, 1)
    sent = outgoing(tmp_path, made)
    assert FolderDestination("f", share).send([sent])[0].status == 0x0000
    assert everything(share) == [f"{made.StudyInstanceUID}/{made.SeriesInstanceUID}/{made.SOPInstanceUID}.dcm"]
    assert (share / everything(share)[0]).read_bytes() == Path(sent.location.path).read_bytes()


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("value", ["../..", "/etc", "1.2/3", "", "1..2"])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_uid_that_is_none_is_never_a_path(share: Path, tmp_path: Path, keyword: str, value: str) -> None:
    made = data_set(MR, 1)
    setattr(made, keyword, value)
    (outcome,) = FolderDestination("f", share).send([outgoing(tmp_path, made)])
    assert outcome.error is not None
    assert outcome.error.code == "InvalidUid"
    assert everything(share) == []


def test_a_file_that_holds_another_object_than_its_row_says(share: Path, tmp_path: Path) -> None:
    sent = outgoing(tmp_path, data_set(MR, 1))
    (outcome,) = FolderDestination("f", share).send([Outgoing(MR, "1.2.3", sent.location)])
    assert outcome.error is not None
    assert outcome.error.code == "DataSetMismatch"


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, DestinationFull), (errno.EDQUOT, DestinationFull), (errno.EIO, DestinationUnreachable)],
)
def test_a_disk_that_fails_leaves_nothing_half_written(
    share: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    destination = FolderDestination("f", share)
    sent = outgoing(tmp_path, data_set(MR, 1))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        (outcome,) = destination.send([sent])
        with pytest.raises(kind):
            destination.echo()
    assert type(outcome.error) is kind
    assert outcome.error.retryable
    assert everything(share) == []
    assert destination.send([sent])[0].error is None


def test_what_a_cut_off_attempt_left_is_taken_away(share: Path, tmp_path: Path) -> None:
    made = data_set(MR, 1)
    series = share / made.StudyInstanceUID / made.SeriesInstanceUID
    series.mkdir(parents=True)
    (series / f".{made.SOPInstanceUID}.dcm.0123.part").write_bytes(b"half")
    FolderDestination("f", share).send([outgoing(tmp_path, made)])
    assert [path.name for path in series.iterdir()] == [f"{made.SOPInstanceUID}.dcm"]


def test_nobody_sees_an_unfinished_file(share: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is flushed it has a name that begins with a dot."""
    seen: list[str] = []
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        seen.extend(Path(path).name for path in everything(share))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    FolderDestination("f", share).send([outgoing(tmp_path, data_set(MR, 1))])
    assert seen[0].startswith(".")
    assert seen[0].endswith(".part")


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    absent = tmp_path / "not mounted"
    destination = FolderDestination("f", absent)
    with pytest.raises(DestinationUnreachable):
        destination.send([outgoing(tmp_path, data_set(MR, 1))])
    with pytest.raises(DestinationUnreachable):
        destination.echo()
    assert not absent.exists()


def test_the_probe_leaves_nothing(share: Path) -> None:
    FolderDestination("f", share).echo()
    assert list(share.iterdir()) == []
