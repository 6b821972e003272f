"""An input is decoded once, and again when its picture, its package or its code is another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.kit.cases import Case
from models.kit.data import cache
from models.kit.data.cache import cached, cached_image
from models.kit.task import Array
from node.errors import UndecodablePixelData
from tests.unit.models.kit.pictures import save, textured
from tests.unit.models.kit.tiny_task import image, tiny_task


class Counted:
    """The image function, with a count of its calls."""

    __module__ = image.__module__

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, case: Case) -> Array:
        self.calls += 1
        return image(case)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case("a", save(textured(0), tmp_path / "a.png"), 0, "a")


def test_the_second_look_is_the_stored_one(tmp_path: Path, case: Case) -> None:
    counted = Counted()
    task = cached(tiny_task(counted), tmp_path / "cache")
    first, second = task.image(case), task.image(case)
    assert counted.calls == 1
    assert isinstance(second, np.memmap)
    assert not second.flags.writeable
    np.testing.assert_array_equal(first, image(case))
    np.testing.assert_array_equal(second, image(case))
    np.testing.assert_array_equal(cached_image(tiny_task(counted), case, tmp_path / "cache"), image(case))
    assert counted.calls == 1


def test_another_picture_task_or_code_is_another_entry(
    tmp_path: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, folder = Counted(), tmp_path / "cache"
    task = tiny_task(counted)
    cached_image(task, case, folder)
    save(textured(1), case.image)
    np.testing.assert_array_equal(cached_image(task, case, folder), image(case))
    cached_image(replace(task, id="other"), case, folder)
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("VERSION = 1\n")
    monkeypatch.setattr(cache.preprocess, "__file__", str(package / "__init__.py"))
    cached_image(task, case, folder)
    (package / "__init__.py").write_text("VERSION = 2\n")
    cached_image(task, case, folder)
    assert counted.calls == 5
    assert len(list(folder.iterdir())) == 5


def test_a_series_in_a_folder_is_one_picture(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    save(textured(0), folder / "1.png")
    series = Case("s", folder, 0, "s")
    calls: list[str] = []

    def first_of(case: Case) -> Array:
        calls.append(case.id)
        return image(replace(case, image=case.image / "1.png"))

    task = tiny_task(first_of)
    for _ in range(2):
        cached_image(task, series, tmp_path / "cache")
    save(textured(1), folder / "2.png")
    cached_image(task, series, tmp_path / "cache")
    assert len(calls) == 2


def test_what_fails_leaves_nothing_behind(tmp_path: Path, case: Case) -> None:
    case.image.write_bytes(b"")
    task = cached(tiny_task(), tmp_path / "cache")
    with pytest.raises(UndecodablePixelData):
        task.image(case)
    assert not (tmp_path / "cache").exists()
