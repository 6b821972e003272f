"""The same by a sliding window."""

from __future__ import annotations

from tests.fakes.models.steps import network, postprocess, preprocess

__all__ = ["network", "postprocess", "preprocess"]
