"""The ways of receiving, as one fixture."""

from __future__ import annotations

import functools

import pytest

from tests.integration.receiving import Serve, serving


@pytest.fixture(params=["fast-files", "fast-journal", "stock-files", "stock-journal"])
def serve(request: pytest.FixtureRequest) -> Serve:
    """``receiving.serving`` by the fast path and by pynetdicom's own reception, into either store."""
    path, kind = request.param.split("-")
    return functools.partial(serving, fast=path == "fast", kind=kind)
