"""The configuration: typed, frozen, loaded once.

Sources: the file, then environment variables ``AINODE_<SECTION>__<KEY>``.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import SecretStr, ValidationError

from node.config.checks import FILES_OF_A_DESTINATION, agreement, name_the_types, secrets_in
from node.config.destinations import (
    Destination,
    DimseDestination,
    EmailDestination,
    FhirDestination,
    FolderDestination,
    ForObjects,
    Hl7Destination,
    Served,
    StowDestination,
    Told,
    WebhookDestination,
    WebPeer,
    commits,
    reads_back,
)
from node.config.environment import ENVIRONMENT_PREFIX, NOT_KEYS, overlay
from node.config.openness import open_to_everybody
from node.config.review import ReviewSection, WorkitemCode
from node.config.sections import (
    POSTGRESQL,
    SQLITE,
    AllowedPeer,
    Config,
    DatabaseSection,
    LogSection,
    ModelsSection,
    MoveDestination,
    NodeSection,
    ReceiveSection,
    RouteSection,
    RouteWhen,
    TlsSection,
    UpsReceiver,
    UpsSection,
    WebSection,
    WorkSection,
)
from node.config.wording import problems_of
from node.errors import ConfigurationError

__all__ = [
    "ENVIRONMENT_PREFIX",
    "NOT_KEYS",
    "SEARCH_PATH",
    "AllowedPeer",
    "Config",
    "DatabaseSection",
    "Destination",
    "DimseDestination",
    "EmailDestination",
    "FhirDestination",
    "FolderDestination",
    "ForObjects",
    "Hl7Destination",
    "LogSection",
    "ModelsSection",
    "MoveDestination",
    "NodeSection",
    "ReceiveSection",
    "ReviewSection",
    "RouteSection",
    "RouteWhen",
    "Served",
    "StowDestination",
    "TlsSection",
    "Told",
    "UpsReceiver",
    "UpsSection",
    "WebPeer",
    "WebSection",
    "WebhookDestination",
    "WorkSection",
    "WorkitemCode",
    "commits",
    "find",
    "load",
    "open_to_everybody",
    "parse",
    "reads_back",
    "schema",
    "show",
]

SEARCH_PATH = (Path("ainode.toml"), Path("/etc/ainode/ainode.toml"))


def find(explicit: Path | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file given, else ``AINODE_CONFIG``, else ``./ainode.toml``, else ``/etc/ainode/ainode.toml``."""
    if explicit is not None:
        return explicit
    if environment.get("AINODE_CONFIG"):
        return Path(environment["AINODE_CONFIG"])
    return next((path for path in SEARCH_PATH if path.is_file()), None)


def load(explicit: Path | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """Read, override from the environment, validate, make paths absolute.

    Raises:
        ConfigurationError: every problem at once, each with its key path.
    """
    path = find(explicit, environment)
    if path is None:
        raise ConfigurationError([("config", "no ainode.toml found; make one with 'ainode init DIR'")])
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError([(str(path), error.strerror or "cannot be read")]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError([(str(path), f"not valid TOML: {error}")]) from error
    return parse(raw, path.resolve().parent, environment)


def parse(raw: dict[str, Any], base: Path, environment: Mapping[str, str]) -> Config:
    """Validate a configuration tree whose relative paths are relative to ``base``.

    Raises:
        ConfigurationError: every problem at once, each with its key path.
    """
    # A copy with plain values: TOML dates become text, which no key wants.
    tree: dict[str, Any] = json.loads(json.dumps(raw, default=str))
    problems = list(secrets_in(tree))
    origins, wrong_variables = overlay(tree, environment)
    problems += wrong_variables
    name_the_types(tree)
    problems += agreement(tree, base)
    tree.setdefault("routes", [{"destinations": _destination_names(tree)}])
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError(problems + problems_of(error, origins)) from None
    if problems:
        raise ConfigurationError(problems)
    return _absolute(_password_apart(config), base)


def show(config: Config) -> dict[str, Any]:
    """The effective configuration as plain values; secrets are masked."""
    return config.model_dump(mode="json")


def schema() -> dict[str, Any]:
    """The JSON schema of the configuration file."""
    return Config.model_json_schema()


def _destination_names(tree: dict[str, Any]) -> list[str]:
    """Without any route, every model's results go to every destination."""
    destinations = tree.get("destinations")
    items = destinations if isinstance(destinations, list) else []
    return [item["name"] for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]


def _password_apart(config: Config) -> Config:
    """A password that came in ``AINODE_DATABASE__URL`` moves to ``password``, so that no log or page shows it."""
    url = urlsplit(config.database.url)
    if not config.database.url.startswith(POSTGRESQL) or url.password is None:
        return config
    user, host = url.netloc.rpartition("@")[0].partition(":")[0], url.netloc.rpartition("@")[2]
    database = {"url": urlunsplit(url._replace(netloc=f"{user}@{host}"))}
    password = config.database.password or SecretStr(unquote(url.password))
    return config.model_copy(update={"database": config.database.model_copy(update={**database, "password": password})})


def _absolute(config: Config, base: Path) -> Config:
    database, models = config.database, config.models
    url = database.url
    if url.startswith(SQLITE) and not url.startswith(SQLITE + "/"):
        url = SQLITE + str(base / url.removeprefix(SQLITE))
    password_file = None if database.password_file is None else base / database.password_file
    return config.model_copy(
        update={
            "node": config.node.model_copy(update={"data_dir": base / config.node.data_dir}),
            "database": database.model_copy(update={"url": url, "password_file": password_file}),
            "models": models.model_copy(update={"path": tuple(base / path for path in models.path)}),
            "destinations": tuple(_absolute_destination(one, base) for one in config.destinations),
        }
    )


def _absolute_destination(destination: Destination, base: Path) -> Destination:
    paths = {
        key: base / value
        for key in ("path", *FILES_OF_A_DESTINATION)
        if isinstance(value := getattr(destination, key, None), Path)
    }
    return destination.model_copy(update=paths)
