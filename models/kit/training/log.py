"""What a training says: to a person above the progress bar, and to a file beside the weights."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class _Stderr(logging.Handler):
    """Writes to whatever stands in for stderr now: a progress bar does, to stay below the lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        sys.stderr.write(self.format(record) + "\n")


@contextmanager
def logged(file: Path) -> Iterator[None]:
    """The log at level INFO on stderr and appended to ``file``, until the block ends."""
    root = logging.getLogger()
    level = root.level
    handlers: list[logging.Handler] = [_Stderr(), logging.FileHandler(file)]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
