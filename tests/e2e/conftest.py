"""Real parts for whole-node tests: Orthanc as the PACS, DCMTK as the scanners."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pacs import Pacs
from tests.orthanc import Orthanc
from tests.peers import free_port


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    """A running Orthanc that sends its commitment reports to the port kept for the node."""
    port = free_port()
    with Orthanc(tmp_path_factory.mktemp("orthanc"), node=("AINODE", "127.0.0.1", port)) as orthanc:
        yield Pacs(orthanc, port)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")
