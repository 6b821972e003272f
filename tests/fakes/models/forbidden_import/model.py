"""Reaches for the database."""

from __future__ import annotations

import sqlalchemy

from tests.fakes.models.steps import network, postprocess, preprocess

__all__ = ["network", "postprocess", "preprocess", "sqlalchemy"]
