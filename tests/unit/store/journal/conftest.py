"""Journals of these tests number their segments from 1, and objects of more than 8 KiB are not small in them."""

from __future__ import annotations

import types
import uuid

import pytest


@pytest.fixture(autouse=True)
def _first_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    first = types.SimpleNamespace(UUID=uuid.UUID, uuid4=lambda: uuid.UUID(int=1))
    monkeypatch.setattr("node.store.journal.folder.uuid", first)


@pytest.fixture(autouse=True)
def _few_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.store.journal.draft.SMALL", 8192)


@pytest.fixture
def identities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Identities as they are outside of these tests."""
    monkeypatch.undo()
