"""Packages that are broken, devices that are not there, libraries that are missing, zones that nobody knows."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from node.app.doctor import machine
from node.config import Config, ModelsSection, WorkSection


def test_a_broken_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.toml").write_text("id = 7")
    found = list(machine.models(Config(models=ModelsSection(path=(tmp_path,), enabled=("broken",)))))
    assert [(one.id, str(one.status)) for one in found] == [("models.broken", "FAIL"), ("models", "WARN")]
    (whole,) = machine.models(Config(models=ModelsSection(enabled=("hippocampus_mr",))))
    assert (str(whole.status), whole.found.split()[0]) == ("OK", "hippocampus_mr")


def test_a_device_that_is_not_there_is_a_failure() -> None:
    (found,) = machine.devices(Config(work=WorkSection(device="cuda:63")))
    assert (found.id, str(found.status)) == ("device.cuda:63", "FAIL")
    assert found.found.startswith("cuda:63: ")


def test_what_is_required_and_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    required = ["pydicom<4,>=3.0.1", "no-such-library[extra]>=1; python_version >= '3'", "numpy; extra == 'train'"]
    monkeypatch.setattr(metadata, "requires", lambda name: required)
    found = {one.id: one for one in machine.libraries()}
    assert str(found["libraries"].status) == "FAIL"
    assert "no-such-library" in found["libraries"].found
    assert str(found["libraries.train"].status) == "OK"
    required[1:] = ["no-such-library; extra == 'train'", "numpy; extra == 'train'"]
    found = {one.id: one for one in machine.libraries()}
    assert (str(found["libraries"].status), str(found["libraries.train"].status)) == ("OK", "WARN")


def test_a_zone_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, status in (("Atlantis/Capital", "WARN"), ("Europe/Berlin", "OK"), ("", "OK"), ("CET-1", "OK")):
        monkeypatch.setenv("TZ", zone)
        assert str(next(machine.time_zone()).status) == status, zone
