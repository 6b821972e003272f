"""Names of findings in Chinese: of every package that ships."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import models
from node.show.concepts import CHINESE, named

PACKAGES = sorted(path.parent for path in Path(models.__file__).parent.glob("*/model.toml"))
# Units are written as they are.
UNITS = "UCUM"
OF_THE_NODE = "DCM"


def concepts(package: Path) -> Iterator[str]:
    """The meanings that a package writes down, in its code and in its description."""
    for path in package.glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "CodedConcept" and len(call.args) == 3:
                _, scheme, meaning = call.args
                if isinstance(meaning, ast.Constant) and getattr(scheme, "value", "") not in (UNITS, OF_THE_NODE):
                    yield str(meaning.value)
    for segment in tomllib.loads((package / "model.toml").read_text(encoding="utf-8")).get("segments", ()):
        yield from (segment[key]["meaning"] for key in ("type", "anatomic_region") if key in segment)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_what_a_package_finds_has_a_chinese_name(package: Path) -> None:
    found = set(concepts(package))
    assert found, "it names what it finds"
    assert found <= CHINESE.keys(), found - CHINESE.keys()


def test_what_nobody_translated_stays_as_it_is() -> None:
    assert named("Something new", "zh") == "Something new"
    assert (named("Nodule", "zh"), named("Nodule", "en")) == ("结节", "Nodule")
    assert all(CHINESE.values())
