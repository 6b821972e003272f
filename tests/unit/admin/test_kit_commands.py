"""The model kit on the command line: options reach the kit, documents are printed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.kit import commands
from node.admin.cli.root import cli
from node.errors import LibraryMissing

pytestmark = pytest.mark.usefixtures("logging_restored")
RUNNER = CliRunner()


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the kit was asked for."""
    asked: list[tuple[Any, ...]] = []
    documents: dict[str, dict[str, Any]] = {
        "prepare": {"cases": {"train": 3}, "problems": [{"path": "a[b].png", "reason": "empty"}], "out": "o"},
        "train": {"weights": "o/weights.safetensors"},
        "explain": {"explanations": [{"case": "c", "class": "ill", "probability": 0.5, "picture": "c.png"}]},
        "similar": {"similar": [{"case": "c", "class": "ill", "cosine": 0.5}]},
        "tune": {"best": {"learning_rate": 1}, "out": "o"},
    }
    for verb, document in documents.items():
        monkeypatch.setattr(
            commands, verb, lambda *given, verb=verb, made=document: asked.append((verb, *given)) or made
        )
    return asked


def test_options_reach_the_kit(called: list[tuple[Any, ...]], tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.touch()
    data = ["--data", str(tmp_path)]
    for arguments in (
        ["prepare", "breast_us", *data],
        ["train", "breast_us", *data, "--epochs", "3", "--device", "cpu", "--limit", "5", "--out", str(tmp_path)],
        ["explain", "breast_us", *data, "--image", str(image), "--count", "2"],
        ["similar", "breast_us", str(image), *data, "--count", "7"],
        ["tune", "breast_us", *data, "--trials", "2"],
    ):
        done = RUNNER.invoke(cli, ["models", *arguments])
        assert done.exit_code == 0, done.output
    where = commands.Where("breast_us", tmp_path, Path("kit/breast_us"))
    assert called == [
        ("prepare", where),
        ("train", commands.Where("breast_us", tmp_path, tmp_path, None, "cpu", 5), 3, None),
        ("explain", where, [image], 2),
        ("similar", where, image, 7),
        ("tune", where, 2, 3, 0),
    ]


def test_one_json_document_and_nothing_else(called: list[tuple[Any, ...]], tmp_path: Path) -> None:
    done = RUNNER.invoke(cli, ["models", "prepare", "breast_us", "--data", str(tmp_path), "--json"])
    assert json.loads(done.stdout)["cases"] == {"train": 3}
    table = RUNNER.invoke(cli, ["models", "prepare", "breast_us", "--data", str(tmp_path)])
    assert "a[b].png" in table.stdout


def test_what_was_passed_over_is_never_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    problems = [{"path": "a[b].png", "reason": "broken: it is empty"}]
    made: dict[str, dict[str, Any]] = {
        "evaluate": {"weights": "w", "out": str(tmp_path), "problems": problems},
        "tune": {"best": {}, "out": "o", "problems": problems},
        "similar": {"similar": [], "problems": problems},
    }
    image = tmp_path / "image.png"
    image.touch()
    for verb, document in made.items():
        monkeypatch.setattr(commands, verb, lambda *given, made=document: made)
        given = [str(image)] if verb == "similar" else []
        arguments = ["models", verb, "breast_us", *given, "--data", str(tmp_path)]
        printed = RUNNER.invoke(cli, arguments).stdout
        assert ("a[b].png" if verb == "similar" else "problems 1: ") in printed, verb
        assert json.loads(RUNNER.invoke(cli, [*arguments, "--json"]).stdout) == document
        monkeypatch.setattr(commands, verb, lambda *given, made=document: {**made, "problems": []})
        assert "problems" not in RUNNER.invoke(cli, arguments).stdout


def test_a_missing_library_is_an_error_with_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands, "LIBRARIES", ("a_library_that_nobody_has",))
    done = RUNNER.invoke(cli, ["models", "prepare", "breast_us", "--data", str(tmp_path)])
    assert isinstance(done.exception, LibraryMissing)


def test_a_data_folder_that_is_not_there_is_a_wrong_use(tmp_path: Path) -> None:
    assert RUNNER.invoke(cli, ["models", "prepare", "breast_us", "--data", str(tmp_path / "no")]).exit_code == 2


def test_the_other_commands_load_no_training_library() -> None:
    program = (
        "import node.admin.cli.root, sys; print({'torch', 'sklearn', 'matplotlib', 'models.kit'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
