"""The sample bundle of docs/air_capabilities.md: ``python -m tests.conformance.bundle FOLDER``.

A small study in ASCII with every kind of object that ainode writes, and the images that they refer to.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.golden import SCRIPTS, write_study


def main(arguments: Sequence[str]) -> None:
    """Write ``images/`` and a folder for each case.

    Raises:
        FileExistsError: the bundle, or part of one, is there already.
    """
    study = write_study(Path(arguments[0]), SCRIPTS["ASCII"])
    for one in study.objects:
        sys.stdout.write(f"{one.path}  {one.kind}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
