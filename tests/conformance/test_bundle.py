"""docs/air_capabilities.md: each primitive is in the sample bundle as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pydicom
import pytest

from tests.conformance import bundle
from tests.peers import REPOSITORY

PAGE = REPOSITORY / "docs" / "air_capabilities.md"
ROW = re.compile(r"^\| ([^|]+) \| [^|]+ \| (\w+) \| `([^`]+)` \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "bundle"
    bundle.main([str(made)])
    return made


def test_every_primitive_is_in_its_example(folder: Path) -> None:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(rows) == 15
    for primitive, code, example in rows:
        dataset = pydicom.dcmread(folder / example)
        codes = {str(element.value) for element in dataset.iterall() if element.keyword == "CodeValue"}
        assert code in codes, primitive


def test_every_folder_that_the_page_names_is_there(folder: Path) -> None:
    named = re.findall(r"`([a-z ]+)/`", PAGE.read_text(encoding="utf-8"))
    assert {"mixed", "negative", "failed", "not evaluable", "successor"} == set(named)
    assert all((folder / name).is_dir() for name in named)


def test_every_object_is_reached_from_the_root(folder: Path) -> None:
    objects = {pydicom.dcmread(path).SOPInstanceUID: path for path in (folder / "mixed").glob("*.dcm")}
    root = pydicom.dcmread(folder / "mixed" / "08-SR.dcm")
    referred = {element.value for element in root.iterall() if element.keyword == "ReferencedSOPInstanceUID"}
    # Pictures are for some destinations only: the report that goes to all does not count on them.
    drawn = {uid for uid, path in objects.items() if path.name in ("01-PR.dcm", "02-OT.dcm")}
    assert set(objects) - drawn - {root.SOPInstanceUID} <= referred
