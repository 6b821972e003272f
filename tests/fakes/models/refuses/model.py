"""Refuses every input, with an error class of its own."""

from __future__ import annotations

from node.domain.study import Volume
from node.errors import UnsupportedImage
from tests.fakes.models.steps import network, postprocess

__all__ = ["network", "postprocess", "preprocess"]


class NotMyImageError(UnsupportedImage):
    pass


def preprocess(volume: Volume) -> object:
    raise NotMyImageError("the model reads knees only")
