"""The results step, wired."""

from __future__ import annotations

from node import __version__
from node.results.context import Maker
from node.results.writer import DicomResultWriter

MANUFACTURER = "ainode project"
MODEL_NAME = "ainode"


def result_writer() -> DicomResultWriter:
    return DicomResultWriter(Maker(MANUFACTURER, MODEL_NAME, __version__))
