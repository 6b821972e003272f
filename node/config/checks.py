"""Checks over several keys, on the raw tree: they run even where single keys are wrong, so that all problems show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from node.config.keys import suggestion
from node.config.sections import POSTGRESQL

Problem = tuple[str, str]

# Keys of a destination: secrets, the files that hold them, and every file that must be readable.
SECRETS_OF_A_DESTINATION = ("password", "bearer_token", "secret")
FILES_OF_A_DESTINATION = ("password_file", "bearer_token_file", "secret_file", "ca_certificate", "certificate", "key")


def secrets_in(file: dict[str, Any]) -> Iterator[Problem]:
    """Secrets that stand in the file itself."""
    database = _table(file, "database")
    if "password" in database:
        yield (
            "database.password",
            "a secret does not belong in this file; set AINODE_DATABASE__PASSWORD or name a password_file",
        )
    url = database.get("url")
    if isinstance(url, str) and url.startswith(POSTGRESQL) and _has_password(url):
        yield (
            "database.url",
            "a password does not belong in this file; leave it out of the URL and set AINODE_DATABASE__PASSWORD "
            "or name a password_file",
        )
    for index, item in enumerate(_tables(file, "destinations")):
        for key in SECRETS_OF_A_DESTINATION:
            if key in item:
                yield (
                    f"destinations[{index}].{key}",
                    f"a secret does not belong in this file; set AINODE_DESTINATIONS__{index}__{key.upper()} or name a "
                    f"{key}_file",
                )


def name_the_types(tree: dict[str, Any]) -> None:
    """A destination that does not say what it is is a PACS."""
    for item in _tables(tree, "destinations"):
        item.setdefault("type", "dimse")


def agreement(tree: dict[str, Any], base: Path) -> Iterator[Problem]:
    """What must agree between keys, and with the files they name."""
    names = [item.get("name") for item in _tables(tree, "destinations")]
    yield from _repeated(names)
    yield from _repeated_titles(tree)
    yield from _unknown_destinations(tree, [name for name in names if isinstance(name, str)])
    yield from _same_port(tree)
    yield from _files(tree, base)


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False


def _repeated(names: list[Any]) -> Iterator[Problem]:
    counts = Counter(name for name in names if isinstance(name, str))
    for index, name in enumerate(names):
        if isinstance(name, str) and counts[name] > 1 and names.index(name) != index:
            yield f"destinations[{index}].name", f"{name!r} is used twice"


def _repeated_titles(tree: dict[str, Any]) -> Iterator[Problem]:
    """One AE title, two places: nobody could say where a C-MOVE goes."""
    found = (item.get("ae_title") for item in _tables(_table(tree, "query"), "move_to"))
    titles = [title.strip() if isinstance(title, str) else "" for title in found]
    for index, title in enumerate(titles):
        if title and title in titles[:index]:
            yield f"query.move_to[{index}].ae_title", f"{title!r} is used twice"


def _unknown_destinations(tree: dict[str, Any], names: list[str]) -> Iterator[Problem]:
    for index, route in enumerate(_tables(tree, "routes")):
        wanted = route.get("destinations")
        for place, name in enumerate(wanted if isinstance(wanted, list) else []):
            if isinstance(name, str) and name not in names:
                hint = suggestion(name, names) if names else "no destination is configured"
                yield f"routes[{index}].destinations[{place}]", f"unknown destination {name!r}; {hint}"


def _same_port(tree: dict[str, Any]) -> Iterator[Problem]:
    receive = _table(tree, "receive").get("port")
    for other in ("web", "ups"):
        if receive is not None and str(receive) != "0" and str(receive) == str(_table(tree, other).get("port")):
            yield f"{other}.port", f"{receive} is the port of the receiver already"


def _files(tree: dict[str, Any], base: Path) -> Iterator[Problem]:
    database = _table(tree, "database")
    file = database.get("password_file")
    if isinstance(file, str):
        if database.get("password") is not None:
            yield "database.password_file", "a password is given too; one of the two"
        yield from _readable("database.password_file", base / file)
    for index, item in enumerate(_tables(tree, "destinations")):
        yield from _files_of_a_destination(f"destinations[{index}]", item, base)
    paths = _table(tree, "models").get("path")
    for index, folder in enumerate(paths if isinstance(paths, list) else []):
        if isinstance(folder, str) and not (base / folder).is_dir():
            yield f"models.path[{index}]", f"there is no folder {str(base / folder)!r}"


def _files_of_a_destination(place: str, item: dict[str, Any], base: Path) -> Iterator[Problem]:
    for secret in SECRETS_OF_A_DESTINATION:
        if item.get(secret) is not None and item.get(f"{secret}_file") is not None:
            yield f"{place}.{secret}_file", f"a {secret} is given too; one of the two"
    for key in FILES_OF_A_DESTINATION:
        if isinstance(item.get(key), str):
            yield from _readable(f"{place}.{key}", base / item[key])


def _readable(key: str, path: Path) -> Iterator[Problem]:
    try:
        path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        words = (error.strerror or "cannot be read") if isinstance(error, OSError) else "is not UTF-8 text"
        yield key, f"{str(path)!r}: {words}"


def _table(tree: dict[str, Any], key: str) -> dict[str, Any]:
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def _tables(tree: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = tree.get(key)
    return [item if isinstance(item, dict) else {} for item in value] if isinstance(value, list) else []
