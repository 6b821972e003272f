"""Ends its process with an exit code."""

from __future__ import annotations

import sys

from node.domain.study import Volume
from tests.fakes.models.steps import network, postprocess

__all__ = ["network", "postprocess", "preprocess"]


def preprocess(volume: Volume) -> object:
    sys.exit(3)
