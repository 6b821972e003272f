"""Folders, file systems, room and segments: what is wrong with each is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.app.doctor import disk
from node.app.doctor.finding import Finding, Status
from node.app.room import room
from node.config import Config, DatabaseSection, NodeSection
from node.config.sections import StoreSection


def config(folder: Path, watermark: int = 0, kind: str = "journal") -> Config:
    return Config(
        node=NodeSection(data_dir=folder, free_space_watermark_bytes=watermark),
        database=DatabaseSection(url=f"sqlite:///{folder}/ainode.db"),
        store=StoreSection(kind=kind),
    )


def statuses(found: list[Finding]) -> dict[str, str]:
    return {one.id: str(one.status) for one in found}


def test_folders(tmp_path: Path) -> None:
    assert statuses(list(disk.folders(config(tmp_path)))) == {"folder": "OK"}
    assert statuses(list(disk.folders(config(tmp_path / "later" / "var")))) == {"folder": "OK"}
    assert not (tmp_path / "later").exists(), "nothing is made by looking"
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "var"):
        (found,) = disk.folders(config(wrong))
        assert found.status is Status.FAIL
        assert str(wrong) in found.found


def test_room_above_the_watermark(tmp_path: Path) -> None:
    free = room(config(tmp_path)).free_bytes
    expected = [(0, "OK"), (int(free * 0.75), "WARN"), (free * 4, "FAIL")]
    assert [str(next(disk.space(config(tmp_path, watermark))).status) for watermark, _ in expected] == [
        status for _, status in expected
    ]
    assert statuses(list(disk.space(config(tmp_path / "absent")))) == {"space": "OK"}


@pytest.mark.parametrize(
    ("kind", "data", "database"),
    [
        ("ext4", "OK", "OK"),
        ("xfs", "OK", "OK"),
        ("nfs4", "WARN", "FAIL"),
        ("cifs", "WARN", "FAIL"),
        ("fuse.sshfs", "WARN", "FAIL"),
        ("tmpfs", "WARN", "WARN"),
        ("overlay", "WARN", "WARN"),
    ],
)
def test_file_systems(tmp_path: Path, kind: str, data: str, database: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path.resolve()} {kind} rw 0 0\n")
    found = statuses(list(disk.file_systems(config(tmp_path / "var"), mounts)))
    assert found == {"file-system.data": data, "file-system.database": database}


def test_the_deepest_and_last_mount_decides() -> None:
    mounts = [
        ["a", "/", "overlay"],
        ["b", "/srv/my\\040data", "ext4"],
        ["c", "/srv/my\\040data", "xfs"],
        ["d", "/sr", "nfs"],
    ]
    assert disk.kind_of(Path("/srv/my data/x"), mounts) == "xfs"
    assert disk.kind_of(Path("/srv/other"), mounts) == "overlay"
    assert disk.kind_of(Path("/srv"), []) == "unknown"


def test_segments_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    assert next(disk.journal(config(tmp_path))).found == "0 segments"
    assert "files" in next(disk.journal(config(tmp_path, kind="files"))).found
    segments = tmp_path / "journal" / "segments"
    segments.mkdir(parents=True)
    (segments / "0000002a.seg").write_bytes(b"no segment" * 1000)
    (found,) = disk.journal(config(tmp_path))
    assert (found.status, found.found) == (Status.FAIL, "1 of 1 segments cannot be read: 0000002a.seg")
    assert "store verify" in found.advice
