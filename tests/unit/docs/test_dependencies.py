"""docs/dependencies.md names every dependency of pyproject.toml, and nothing else; none of them is under the GPL."""

from __future__ import annotations

import re
import tomllib

from tests.peers import REPOSITORY

NAME = re.compile(r"[A-Za-z0-9._-]+")
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def declared() -> set[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {name_of(line) for line in lines} - {project["name"]}  # an extra may hold another


def name_of(requirement: str) -> str:
    found = NAME.match(requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def documented() -> dict[str, tuple[str, str]]:
    page = (REPOSITORY / "docs" / "dependencies.md").read_text(encoding="utf-8")
    return {name: (licence.strip(), why.strip()) for name, licence, why in ROW.findall(page)}


def test_every_dependency_is_documented_and_nothing_else() -> None:
    assert set(documented()) == declared()


def test_every_dependency_has_a_licence_and_a_reason() -> None:
    assert all(licence and why for licence, why in documented().values())


def test_no_dependency_is_under_the_gpl() -> None:
    assert "pylibjpeg-libjpeg" not in declared()
    assert not [name for name, (licence, _) in documented().items() if re.match(r"A?GPL", licence)]
