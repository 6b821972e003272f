"""A new site: the example configuration with the site's own names and ports in it, and its folders."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import node
from node.config import parse
from node.errors import ConfigurationError, OperationError

# In a wheel the example travels inside the package; in a checkout it lies beside it.
EXAMPLES = (
    Path(node.__file__).parent / "example_config" / "ainode.toml",
    Path(node.__file__).parent.parent / "config" / "ainode.toml",
)

_PACS = re.compile(r"(?P<ae_title>[^@]+)@(?P<host>\[[^\]]+\]|[^:@\s]+):(?P<port>[0-9]{1,5})\Z")
_TABLE = re.compile(r"\[\[?(?P<name>\w+)\]\]?\s*\Z")
_KEY = re.compile(r"(?P<key>\w+) = ")


@dataclass(frozen=True, slots=True)
class Pacs:
    ae_title: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Asker:
    """Who may ask what the node holds."""

    ae_title: str
    host: str


def parse_pacs(text: str) -> Pacs:
    """``AET@HOST:PORT``; an IPv6 address stands in brackets.

    Raises:
        ConfigurationError: the text has another form.
    """
    found = _PACS.match(text)
    if found is None:
        raise ConfigurationError([("--pacs", f"{text!r} is not of the form AET@HOST:PORT")])
    return Pacs(found["ae_title"], found["host"].strip("[]"), int(found["port"]))


def example() -> str:
    """The example configuration, every key with its default and a comment."""
    path = next(path for path in EXAMPLES if path.is_file())
    return path.read_text(encoding="utf-8")


def render(ae_title: str, port: int, pacs: Pacs, web_port: int) -> str:
    """The example with these values in place of its own; comments stay."""
    values: dict[tuple[str, str], str | int | list[Asker]] = {
        ("node", "ae_title"): ae_title,
        ("receive", "port"): port,
        ("destinations", "ae_title"): pacs.ae_title,
        ("destinations", "host"): pacs.host,
        ("destinations", "port"): pacs.port,
        ("web", "port"): web_port,
    }
    if _is_address(pacs.host):
        # What the node holds comes from there or goes there. A name of a host would not be compared with an address.
        values["query", "allow"] = [Asker(pacs.ae_title, pacs.host)]
    lines = []
    table = ""
    for line in example().splitlines():
        if header := _TABLE.match(line):
            table = header["name"]
        key = _KEY.match(line)
        value = values.get((table, key["key"])) if key else None
        lines.append(line if key is None or value is None else f"{key['key']} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: str | int | list[Asker]) -> str:
    """A JSON text or number is a TOML text or number."""
    if isinstance(value, str | int):
        return json.dumps(value)
    tables = (f"{{ ae_title = {json.dumps(one.ae_title)}, host = {json.dumps(one.host)} }}" for one in value)
    return f"[{', '.join(tables)}]"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def create(folder: Path, ae_title: str, port: int, pacs: Pacs, web_port: int, force: bool) -> Path:
    """Write ``folder/ainode.toml`` and the data folder; the path of the file.

    Raises:
        ConfigurationError: the values make no valid configuration; nothing is written.
        OperationError: a file is there and ``force`` is not given, or the folder cannot be written.
    """
    text = render(ae_title, port, pacs, web_port)
    path = folder / "ainode.toml"
    data_dir = parse(tomllib.loads(text), folder.absolute(), {}).node.data_dir
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise OperationError(f"{error.filename or path} is there already; --force replaces it") from error
    except OSError as error:
        raise OperationError(f"cannot write {path}: {error.strerror}") from error
    return path
