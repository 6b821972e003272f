from __future__ import annotations

from pathlib import Path

import pytest

from node.app.devices import resolve


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_a_named_device_stays(device: str, tmp_path: Path) -> None:
    assert resolve(device, tmp_path) == (device,)


def test_auto_is_the_cpu_without_a_driver(tmp_path: Path) -> None:
    assert resolve("auto", tmp_path / "absent") == ("cpu",)


def test_auto_is_every_gpu_the_driver_shows(tmp_path: Path) -> None:
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert resolve("auto", tmp_path) == ("cuda:0", "cuda:1")
