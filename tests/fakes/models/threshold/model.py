"""Marks what is brighter than 100, and talks on stdout."""

from __future__ import annotations

import sys

from node.domain.result import InferenceResult
from node.domain.study import Volume
from tests.fakes.models.steps import postprocess as finish
from tests.fakes.models.steps import preprocess

from .network import network

__all__ = ["network", "postprocess", "preprocess"]


def postprocess(outputs: object, volume: Volume) -> InferenceResult:
    sys.stdout.write("a package that talks\n")
    return finish(outputs, volume)  # type: ignore[arg-type]
