"""``models new``: a folder that ``models check`` explains, and nothing of anybody's is overwritten."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from typing import Any

import pytest

from node.app.checking import check_package
from node.app.scaffolding import FORMATS, KINDS, new_package
from node.domain.model import InputKind
from node.errors import InvalidModelPackage, OperationError
from node.infer.package import read_description
from tests.fakes import declared

ANSWERS = {
    "model.title": "A title",
    "model.intended_use": "Tests.",
    "algorithm.manufacturer": "ainode project",
    "input.modality[0]": "MR",
    "preprocess.orientation": "RAS",
    "segments[0].label": "Bright",
    "segments[0].type.value": "85756007",
    "segments[0].type.meaning": "Tissue",
    "postprocess.classes[1].concept.value": "85756007",
    "postprocess.classes[1].concept.meaning": "Tissue",
}


def network_of(root: Path, form: str) -> Path:
    """A network of this format, as somebody has it."""
    if form == "monai_bundle":
        return declared.bundle(root / "theirs", declared.weights(declared.network()))
    file = root / "my network.pt"
    file.write_bytes(b"a network")
    return file


def problems(folder: Path) -> dict[str, str]:
    with pytest.raises(InvalidModelPackage) as caught:
        read_description(folder)
    listed: Any = caught.value.details["problems"]
    return dict(listed)


def answer(folder: Path) -> None:
    """Fill in what is asked for, as a reader would: every placeholder by what stands in it."""
    text = (folder / "model.toml").read_text()
    for path, words in problems(folder).items():
        wanted = words.removeprefix("still to fill in: ")
        assert wanted != words, f"{path}: {words}"
        text = text.replace(f'"FILL IN: {wanted}"', f'"{ANSWERS[path]}"', 1)
    (folder / "model.toml").write_text(text)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_only_placeholders_are_missing(form: str, kind: str, tmp_path: Path) -> None:
    folder = new_package("mine", form, kind, tmp_path / "packages", None)
    found = problems(folder)
    assert all(words.startswith("still to fill in: ") for words in found.values())
    assert {"model.title", "input.modality[0]", "weights.sha256"} <= set(found)
    for code in folder.glob("*.py"):
        ast.parse(code.read_text())


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_filled_in_it_is_a_package(form: str, kind: str, tmp_path: Path) -> None:
    folder = new_package("mine", form, kind, tmp_path / "packages", network_of(tmp_path, form))
    answer(folder)
    model = read_description(folder)
    assert (model.id, model.kind, model.demonstration) == ("mine", InputKind(kind), True)
    assert (model.declared is None) == (form == "code")
    content = (folder / model.weights_file).read_bytes()
    assert model.algorithm.weights_sha256 == hashlib.sha256(content).hexdigest()


def test_the_check_names_each_gap(tmp_path: Path) -> None:
    report = check_package(new_package("mine", "onnx", "volume", tmp_path, None))
    assert not report["ok"]
    assert {"model.title", "network.file", "segments[0].label"} <= {step["name"] for step in report["steps"]}


def test_a_bundle_brings_its_files(tmp_path: Path) -> None:
    theirs = network_of(tmp_path, "monai_bundle")
    folder = new_package("mine", "monai_bundle", "volume", tmp_path / "packages", theirs)
    for file in ("configs/inference.json", "configs/metadata.json", "models/model.pt"):
        assert (folder / file).read_bytes() == (theirs / file).read_bytes()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.toml").write_text("precious")
    with pytest.raises(OperationError, match="is there already; nothing was written"):
        new_package("mine", "code", "volume", tmp_path, None)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["precious"]


@pytest.mark.parametrize("name", ["Mine", "", "1st", "../up", "a-b", "a" * 65])
def test_names_of_no_package(name: str, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="is no name of a package"):
        new_package(name, "code", "volume", tmp_path, None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", FORMATS)
def test_a_network_that_is_not_there(form: str, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="is no f"):
        new_package("mine", form, "volume", tmp_path, tmp_path / "nothing")
    assert not list(tmp_path.iterdir())
