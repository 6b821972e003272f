"""The same numbers from the same seed on a GPU, too: PyTorch chooses the fastest algorithm there unless it is told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# What cuBLAS needs to add up in one order (NVIDIA, "cuBLAS Library", section "Results Reproducibility").
WORKSPACE, ORDERED = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Choose algorithms that repeat themselves until the block ends.

    An operation that has none warns and runs. Processors repeat themselves as they are, with one number of threads.
    """
    if device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    os.environ.setdefault(WORKSPACE, ORDERED)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
