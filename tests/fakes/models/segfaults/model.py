"""Reads from address zero."""

from __future__ import annotations

import ctypes

from node.domain.study import Volume
from tests.fakes.models.steps import network, postprocess

__all__ = ["network", "postprocess", "preprocess"]


def preprocess(volume: Volume) -> object:
    return ctypes.string_at(0)
