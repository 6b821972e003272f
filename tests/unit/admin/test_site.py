"""The example configuration covers every key, and a new site made from it loads."""

from __future__ import annotations

import re
import tomllib
import typing
from pathlib import Path
from types import UnionType
from typing import Any

import pytest
from pydantic import BaseModel

from node.admin import site
from node.config import Config, load, parse
from node.errors import ConfigurationError, OperationError

# Never in a file.
SECRETS = {"database.password", "destinations[].password", "destinations[].bearer_token", "destinations[].secret"}
# Shown as comments, because they are lists of tables that are empty by default.
IN_COMMENTS = {f"{table}.allow[].{key}" for table in ("receive", "query") for key in ("ae_title", "host")} | {
    f"routes[].when[].{key}" for key in ("attribute", "op", "value")
}

PACS = site.Pacs("PACS", "10.0.0.1", 104)


def keys_of(kind: Any, path: str = "") -> set[str]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        found: set[str] = set()
        for name, field in kind.model_fields.items():
            found |= keys_of(field.annotation, f"{path}.{name}" if path else name)
        return found
    if type(None) in typing.get_args(kind):  # a table that may be absent
        return keys_of(typing.get_args(kind)[0], path)
    item = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
    forms = typing.get_args(item)[0] if typing.get_origin(item) is typing.Annotated else None
    if isinstance(forms, UnionType):  # tables in one of several forms
        return {key for form in typing.get_args(forms) for key in keys_of(form, path + "[]")}
    if isinstance(item, type) and issubclass(item, BaseModel):
        return keys_of(item, path + "[]")
    return {path}


def keys_in(tree: Any, path: str = "") -> set[str]:
    if isinstance(tree, dict):
        return {key for name, value in tree.items() for key in keys_in(value, f"{path}.{name}" if path else name)}
    if isinstance(tree, list) and tree and isinstance(tree[0], dict):
        return {key for item in tree for key in keys_in(item, path + "[]")}
    return {path}


def test_the_example_covers_every_key() -> None:
    uncommented = re.sub(r"^# (?=\w+ = |\[\[)", "", site.example(), flags=re.MULTILINE)
    covered = keys_in(tomllib.loads(uncommented)) - {"receive.allow", "query.allow", "routes[].when"}
    assert covered | SECRETS | IN_COMMENTS == keys_of(Config)
    assert all(key.rpartition(".")[2] in site.example() for key in IN_COMMENTS)


def test_the_example_holds_the_defaults() -> None:
    example = parse(tomllib.loads(site.example()), Path("/site"), {})
    bare = {"name": "pacs", "ae_title": "ORTHANC", "host": "127.0.0.1", "port": 4242}
    assert example == parse({"destinations": [bare]}, Path("/site"), {})


def test_a_new_site_loads_with_its_own_values(tmp_path: Path) -> None:
    path = site.create(tmp_path / "new" / "site", "MY NODE", 104, site.parse_pacs("ARCHIVE@[::1]:11112"), 9000, False)
    config = load(path, {})
    assert config.node.ae_title == "MY NODE"
    assert (config.receive.port, config.web.port) == (104, 9000)
    (pacs,) = config.destinations
    assert (pacs.ae_title, pacs.host, pacs.port) == ("ARCHIVE", "::1", 11112)
    assert config.node.data_dir.is_dir()
    assert config.routes[0].destinations == ("pacs",)
    assert [(one.ae_title, one.host) for one in config.query.allow] == [("ARCHIVE", "::1")]


def test_a_pacs_that_is_known_by_its_name_may_not_ask_yet(tmp_path: Path) -> None:
    """Callers are known by their addresses; an AE title alone would let everybody in who says it."""
    pacs = site.parse_pacs("ARCHIVE@pacs.example.org:104")
    assert load(site.create(tmp_path, "NODE", 104, pacs, 9000, False), {}).query.allow == ()


def test_a_site_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = site.create(tmp_path, "ONE", 104, PACS, 9000, force=False)
    with pytest.raises(OperationError, match="--force"):
        site.create(tmp_path, "TWO", 104, PACS, 9000, force=False)
    assert load(path, {}).node.ae_title == "ONE"
    site.create(tmp_path, "TWO", 104, PACS, 9000, force=True)
    assert load(path, {}).node.ae_title == "TWO"


def test_a_site_that_could_not_run_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        site.create(tmp_path / "site", 'quote"\\', 104, site.Pacs("PACS", "a b", 0), 104, force=False)
    assert {path for path, _ in caught.value.problems} == {
        "node.ae_title",
        "destinations[0].host",
        "destinations[0].port",
        "web.port",
    }
    assert not (tmp_path / "site").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperationError, match="cannot write"):
        site.create(tmp_path / "file" / "site", "ONE", 104, PACS, 9000, force=False)


@pytest.mark.parametrize("text", ["", "PACS", "PACS@host", "PACS@:104", "@host:104", "PACS@host:port", "PACS@a b:1"])
def test_what_is_no_pacs(text: str) -> None:
    with pytest.raises(ConfigurationError, match="AET@HOST:PORT"):
        site.parse_pacs(text)


def test_pacs() -> None:
    assert site.parse_pacs("MY PACS@pacs.example.org:104") == site.Pacs("MY PACS", "pacs.example.org", 104)
