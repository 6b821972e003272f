"""An object far larger than the memory that may be used for it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.receive.status import Status
from tests.integration.raw_scu import ASSOCIATE_AC, MR_STORAGE, P_DATA, RawScu, pdv, store_request
from tests.integration.receiving import data_set_of
from tests.objects import data_set, part10
from tests.peers import REPOSITORY

# AINODE_LARGE_MB=2000 for the size that the standard's lengths still allow in one pixel data element.
SIZE = int(os.environ.get("AINODE_LARGE_MB", "300")) << 20
PIECE = 1 << 20
MAX_GROWTH_KIB = 64 * 1024

# What is logged meanwhile, by another thread, must not come between what is printed here.
RECEIVER = """
import sys
from pathlib import Path
import structlog
from tests.integration.receiving import serving
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
with serving(Path(sys.argv[1]), fast=sys.argv[2] == "fast", kind=sys.argv[3]) as site:
    print(site.address[1], flush=True)
    sys.stdin.readline()
    (row,) = site.catalogue.stored()
    place = site.store.locate(row.storage_key)
    print(row.sha256, place.path, place.offset, place.length, flush=True)
    sys.stdin.read()
"""


def anonymous_kib(process: int) -> int:
    """Memory that is the process's own, without the pages of files that it maps."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon:")))


def head_of(made: Dataset) -> bytes:
    """The data set up to its pixels: explicit VR, a length of 32 bits."""
    data = data_set_of(part10(made))
    return data[: data.index(b"\xe0\x7f\x10\x00OW")] + b"\xe0\x7f\x10\x00OW\0\0" + SIZE.to_bytes(4, "little")


@pytest.mark.parametrize(("way", "kind"), [("fast", "files"), ("fast", "journal"), ("stock", "files")])
def test_memory_does_not_grow_with_the_object(tmp_path: Path, way: str, kind: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RECEIVER, str(tmp_path), way, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(next(line for line in process.stdout if line.strip().isdigit()))
        made, digest = data_set(), hashlib.sha256()
        grown = 0
        with RawScu(("127.0.0.1", port), timeout_s=300) as scu:
            assert scu.associate()[0] == ASSOCIATE_AC
            before = anonymous_kib(process.pid)
            scu.send(P_DATA, pdv(store_request(MR_STORAGE, made.SOPInstanceUID), command=True, last=True))
            scu.send(P_DATA, pdv(head_of(made), command=False, last=False))
            digest.update(head_of(made))
            for at in range(0, SIZE, PIECE):
                piece = (at // PIECE).to_bytes(4, "little") * (PIECE // 4)
                digest.update(piece)
                for begin in range(0, PIECE, PIECE // 4):
                    last = at + begin + PIECE // 4 == SIZE
                    scu.send(P_DATA, pdv(piece[begin : begin + PIECE // 4], command=False, last=last))
                grown = max(grown, anonymous_kib(process.pid) - before)
            assert scu.status() == Status.SUCCESS
        grown = max(grown, anonymous_kib(process.pid) - before)
        assert grown < MAX_GROWTH_KIB
        process.stdin.write("\n")
        process.stdin.flush()
        found = next(line.split() for line in process.stdout if len(line.split()) == 4 and len(line.split()[0]) == 64)
        if kind == "files":
            assert found[0] == digest.hexdigest()
        assert _digest_of(found[1], int(found[2]), int(found[3]), made) == digest.hexdigest()
    finally:
        process.kill()
        process.communicate(timeout=30)


def _digest_of(path: str, offset: int, length: int, made: Dataset) -> str:
    """Over the last bytes of the object, as many as were sent."""
    digest = hashlib.sha256()
    rest = len(head_of(made)) + SIZE
    with Path(path).open("rb") as file:
        file.seek(offset + length - rest)
        while rest:
            piece = file.read(min(PIECE, rest))
            digest.update(piece)
            rest -= len(piece)
    return digest.hexdigest()
