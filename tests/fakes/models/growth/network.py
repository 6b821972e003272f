"""The network of the package, reached by a relative import."""

from __future__ import annotations

from tests.fakes.models.steps import network

__all__ = ["network"]
