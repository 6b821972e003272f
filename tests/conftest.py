"""Settings of the whole suite."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# No timed assertions: these machines are noisy. In CI the same examples come in every run.
settings.register_profile("ainode", deadline=None, derandomize=os.environ.get("CI") == "true", database=None)
settings.load_profile("ainode")


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """For tests of what configures logging: the next test finds it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
