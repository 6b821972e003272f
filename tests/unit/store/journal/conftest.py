"""Journals of these tests number their segments from 1."""

from __future__ import annotations

import types
import uuid

import pytest


@pytest.fixture(autouse=True)
def _first_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    first = types.SimpleNamespace(UUID=uuid.UUID, uuid4=lambda: uuid.UUID(int=1))
    monkeypatch.setattr("node.store.journal.folder.uuid", first)


@pytest.fixture
def identities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Identities as they are outside of these tests."""
    monkeypatch.undo()
