"""A synthetic axial MR series of five images, and the writer."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from node.results.writer import DicomResultWriter
from tests.unit.results.runs import MAKER, header, save


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    return save([header(number) for number in range(5)], tmp_path)


@pytest.fixture
def writer() -> DicomResultWriter:
    return DicomResultWriter(MAKER, zone=UTC)
