from __future__ import annotations

from pathlib import Path

import pytest

from node.errors import StoreUnavailable
from node.store.space import Space, measure


@pytest.mark.parametrize(
    ("free", "watermark", "size", "room"),
    [(10, 10, 0, True), (9, 10, 0, False), (10, 10, 1, False), (11, 10, 1, True), (0, 0, 0, True), (0, 0, 1, False)],
)
def test_the_watermark_is_never_touched(free: int, watermark: int, size: int, room: bool) -> None:
    assert Space(free, watermark).has_room_for(size) is room


def test_free_space_is_measured(tmp_path: Path) -> None:
    space = measure(tmp_path, 5)
    assert space.free_bytes > 0
    assert space.watermark_bytes == 5


def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        measure(tmp_path / "absent", 0)
