"""The stock path: a file that pynetdicom has collected becomes a draft."""

from __future__ import annotations

from pathlib import Path

from node.ports import Draft
from node.receive.part10 import data_set_offset

PIECE = 1 << 20
META_AT_MOST = 64 * 1024


def copy_received(path: Path, draft: Draft) -> int:
    """Write the Part 10 file at ``path`` to ``draft``; where its data set begins.

    Raises:
        UndecodableDataSet: it is no Part 10 file.
        StoreUnavailable: no room, or the disk failed.
    """
    with path.open("rb") as file:
        offset = data_set_offset(file.read(META_AT_MOST))
        file.seek(0)
        while piece := file.read(PIECE):
            draft.write([piece])
    return offset
