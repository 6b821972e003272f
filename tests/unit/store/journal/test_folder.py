from __future__ import annotations

from pathlib import Path

import pytest

from node.store.journal.disk import Disk
from node.store.journal.folder import Folder


@pytest.mark.usefixtures("identities")
def test_journals_number_their_segments_apart(tmp_path: Path) -> None:
    """Hosts that share a database have keys of one another: such a key may name nothing here."""
    firsts = []
    for number in range(8):
        folder = Folder(tmp_path / str(number), Disk())
        firsts.append(folder.before_first())
        assert Folder(tmp_path / str(number), Disk()).before_first() == firsts[-1]
    assert len(set(firsts)) > 4  # they are random: most of eight differ
    assert all(0 <= first < 2**31 - 2**16 + 1 and first % 2**16 == 0 for first in firsts)
