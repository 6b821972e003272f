"""Never comes back, and never lets go of the interpreter."""

from __future__ import annotations

import re
import sys

from node.domain.study import Volume
from tests.fakes.models.steps import network, postprocess

__all__ = ["network", "postprocess", "preprocess"]


def preprocess(volume: Volume) -> None:
    sys.stdout.write("now it hangs\n")
    sys.stdout.flush()
    # Catastrophic backtracking in C: no other thread of this process runs while it lasts.
    re.match(r"(a|aa)+$", "a" * 200 + "b")
