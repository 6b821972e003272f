from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.app import running
from node.app.stores import has_journal, journal_folder
from node.config.sections import Config, NodeSection, StoreSection


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def config(folder: Path, kind: str = "journal") -> Config:
    return Config(node=NodeSection(data_dir=folder), store=StoreSection.model_validate({"kind": kind}))


def instances(made: Config, listening: socket.socket | None) -> list[str]:
    recording = listening is not None and has_journal(made)
    return [process.instance for process in running.processes(made, ("receive", "timers"), listening, recording)]


def test_a_recorder_goes_with_the_receivers(tmp_path: Path, listening: socket.socket) -> None:
    assert instances(config(tmp_path), listening) == ["receive-0", "receive-1", "record-0", "timers"]
    assert instances(config(tmp_path), None) == ["timers"]


def test_files_need_no_recorder(tmp_path: Path, listening: socket.socket) -> None:
    assert instances(config(tmp_path, "files"), listening) == ["receive-0", "receive-1", "timers"]


def test_what_an_older_journal_holds_gets_its_rows(tmp_path: Path, listening: socket.socket) -> None:
    made = config(tmp_path, "files")
    journal_folder(made).mkdir()
    assert "record-0" in instances(made, listening)
