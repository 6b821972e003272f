"""The HL7 listener's process, as the tests see it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hl7

from tests.peers import REPOSITORY


class Hl7Peer:
    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self.port = port

    def messages(self) -> list[Any]:
        """Parsed by the library, in the order in which they came."""
        return [hl7.parse(path.read_bytes().decode()) for path in sorted(self._folder.glob("*.hl7"))]

    def forget(self) -> None:
        for path in self._folder.glob("*.hl7"):
            path.unlink()


@contextmanager
def hl7_peer(folder: Path) -> Iterator[Hl7Peer]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fakes.hl7_listener", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY)
    assert process.stdout is not None
    try:
        port = process.stdout.readline()
        assert port, "the listener does not start"
        yield Hl7Peer(folder, int(port))
    finally:
        process.kill()
        process.wait(60)
        process.stdout.close()
