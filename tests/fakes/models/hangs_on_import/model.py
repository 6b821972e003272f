"""Never comes back from its import."""

from __future__ import annotations

import threading

from tests.fakes.models.steps import network, postprocess, preprocess

__all__ = ["network", "postprocess", "preprocess"]

threading.Event().wait()
