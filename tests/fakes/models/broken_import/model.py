"""Cannot be imported."""

from __future__ import annotations

import a_library_that_nobody_has

from tests.fakes.models.steps import network, postprocess, preprocess

__all__ = ["a_library_that_nobody_has", "network", "postprocess", "preprocess"]
