"""Which devices a node works on, found without torch: the parent of an inference child never loads it."""

from __future__ import annotations

from pathlib import Path

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


def resolve(device: str, gpus: Path = NVIDIA_GPUS) -> tuple[str, ...]:
    """``auto`` becomes one entry for each NVIDIA GPU that the driver shows, else ``cpu``; anything else stays."""
    if device != "auto":
        return (device,)
    count = len(list(gpus.iterdir())) if gpus.is_dir() else 0
    return tuple(f"cuda:{index}" for index in range(count)) or ("cpu",)
