"""Training on a GPU asks for algorithms that repeat themselves, and leaves the process as it was."""

from __future__ import annotations

import os

import pytest
import torch

from models.kit.training.determinism import ORDERED, WORKSPACE, deterministic


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process begins; the settings need no GPU."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    # Set and taken away again, so that what the test adds goes, too.
    monkeypatch.setenv(WORKSPACE, "")
    monkeypatch.delenv(WORKSPACE)


def state() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark


def test_a_gpu_repeats_itself_within_the_block() -> None:
    assert state() == (False, True)
    with deterministic(torch.device("cuda")):
        assert state() == (True, False)
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ[WORKSPACE] == ORDERED
    assert state() == (False, True)


def test_a_failure_leaves_nothing_behind() -> None:
    def fails() -> None:
        with deterministic(torch.device("cuda", 1)):
            raise RuntimeError("x")

    with pytest.raises(RuntimeError):
        fails()
    assert state() == (False, True)


def test_a_processor_is_left_as_it_is() -> None:
    with deterministic(torch.device("cpu")):
        assert state() == (False, True)
        assert WORKSPACE not in os.environ
