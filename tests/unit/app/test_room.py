from __future__ import annotations

from pathlib import Path

import pytest

from node.app.room import measuring, room, written_folders
from node.config import Config, DatabaseSection, NodeSection
from node.errors import StoreUnavailable


def config(folder: Path, url: str) -> Config:
    return Config(node=NodeSection(data_dir=folder, free_space_watermark_bytes=7), database=DatabaseSection(url=url))


def test_the_database_s_disk_counts_where_it_is_ours(tmp_path: Path) -> None:
    assert written_folders(config(tmp_path, "sqlite:////srv/db/node.db")) == [tmp_path, Path("/srv/db")]
    assert written_folders(config(tmp_path, "postgresql+psycopg://node@db/node")) == [tmp_path]


def test_the_tightest_file_system_counts(tmp_path: Path) -> None:
    small = Path("/dev/shm")
    both = [measuring(config(folder, f"sqlite:///{folder}/node.db"))().free_bytes for folder in (tmp_path, small)]
    found = room(config(tmp_path, f"sqlite:///{small}/node.db"))
    assert found.watermark_bytes == 7
    assert abs(found.free_bytes - min(both)) < 1 << 28


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        room(config(tmp_path / "absent", "sqlite:////absent/node.db"))
