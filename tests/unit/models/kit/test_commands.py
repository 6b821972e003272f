"""The kit's commands on tasks that are known, and what they say where they cannot."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from models.kit import commands
from models.kit.commands import Where
from node.errors import KitRefused, LibraryMissing, NotFound
from tests.unit.models.kit import evaluated
from tests.unit.models.kit.evaluated import CLASSIFICATION


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Where:
    """The known task in the place of a package's own, its data written."""
    evaluated.write_classification(tmp_path / "data", patients=24)
    monkeypatch.setattr(commands, "load_task", lambda package: CLASSIFICATION)
    return Where("breast_us", tmp_path / "data", tmp_path / "out", device="cpu")


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The programs that would have been run."""
    run: list[list[str]] = []

    def note(command: Sequence[str], **_: Any) -> CompletedProcess[str]:
        run.append(list(command))
        return CompletedProcess(command, 0)

    monkeypatch.setattr(commands.subprocess, "run", note)
    return run


def test_prepare_counts_cases_and_lists_problems(known: Where) -> None:
    (known.data / "set" / "p99_0_0.png").write_bytes(b"\x89PNG and no more")
    found = commands.prepare(known)
    assert sum(found["cases"].values()) == 48
    assert [one["path"] for one in found["problems"]] == ["p99_0_0"]
    assert (known.out / "split.json").is_file()


def test_evaluate_takes_what_was_trained_first(known: Where) -> None:
    own = Where("hippocampus_mr", known.data, known.out)
    assert own.weights_file().parent.name == "hippocampus_mr"
    known.out.mkdir()
    trained = evaluated.weights_of(CLASSIFICATION, known.out / "weights.safetensors")
    found = commands.evaluate(known, "validation", baselines=False)
    assert found["weights"] == str(trained)
    assert (known.out / "evaluation" / "report.html").is_file()
    assert found["part"] == "validation"


def test_what_the_kit_refuses_has_a_name(known: Where) -> None:
    known.out.mkdir()
    evaluated.weights_of(CLASSIFICATION, known.out / "weights.safetensors")
    with pytest.raises(KitRefused, match="no part that can be measured"):
        commands.evaluate(known, "train", baselines=False)
    with pytest.raises(KitRefused, match="not there"):
        commands.evaluate(Where("breast_us", known.data / "nothing", known.out, device="cpu"), baselines=False)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(KitRefused, match="no weights yet: ainode models train hippocampus_mr"):
        Where("hippocampus_mr", tmp_path, tmp_path, tmp_path / "none").weights_file()


def test_an_unknown_package_and_a_package_without_the_verb(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no built-in package nothing"):
        commands.prepare(Where("nothing", tmp_path, tmp_path))
    with pytest.raises(NotFound):
        commands.prepare(Where("kit", tmp_path, tmp_path))
    with pytest.raises(NotFound):
        commands.train(Where("../secrets", tmp_path, tmp_path))
    with pytest.raises(KitRefused, match="not trained by the kit"):
        commands.explain(Where("organ_ct", tmp_path, tmp_path))
    with pytest.raises(KitRefused, match="not trained by the kit"):
        commands.evaluate(Where("organ_ct", tmp_path, tmp_path))


@pytest.mark.parametrize("verb", ["prepare", "train", "evaluate", "explain", "tune"])
def test_without_a_training_library_the_extra_is_named(
    verb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(commands, "LIBRARIES", ("sklearn", "a_library_that_nobody_has"))
    with pytest.raises(LibraryMissing, match=r"a_library_that_nobody_has: not installed.*ainode\[train\]") as raised:
        getattr(commands, verb)(Where("breast_us", tmp_path, tmp_path, device="cpu"))
    assert "sklearn" not in raised.value.message


def test_train_runs_the_packages_own_program(programs: list[list[str]], tmp_path: Path) -> None:
    found = commands.train(Where("breast_us", tmp_path, tmp_path / "out", device="cpu", limit=3), epochs=2, seed=7)
    (command,) = programs
    assert command[:3] == [sys.executable, "-m", "models.breast_us.train"]
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options == {
        "--data": str(tmp_path),
        "--out": str(tmp_path / "out"),
        "--device": "cpu",
        "--limit": "3",
        "--epochs": "2",
        "--seed": "7",
    }
    assert found["weights"] == str(tmp_path / "out" / "weights.safetensors")


def test_a_program_that_fails_fails_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands.subprocess, "run", lambda command, **_: CompletedProcess(command, 1))
    with pytest.raises(KitRefused, match="exit code 1"):
        commands.train(Where("breast_us", tmp_path, tmp_path / "out", device="cpu"))
