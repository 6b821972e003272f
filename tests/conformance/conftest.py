"""The golden study in ASCII, written once for all who look at what stands in its objects."""

from __future__ import annotations

import pytest

from tests.conformance.golden import SCRIPTS, Study, write_study


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("golden-ascii") / "study", SCRIPTS["ASCII"])
