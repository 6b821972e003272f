"""The configuration: typed, frozen, loaded once.

Sources: the file, then environment variables ``AINODE_<SECTION>__<KEY>``.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from node.errors import ConfigurationError

ENVIRONMENT_PREFIX = "AINODE_"
SEARCH_PATH = (Path("ainode.toml"), Path("/etc/ainode/ainode.toml"))
# Variables with our prefix that are no configuration keys.
NOT_KEYS = frozenset({"AINODE_CONFIG", "AINODE_DATA"})

# PS3.5 Table 6.2-1, VR AE: 1 to 16 characters, no backslash, no control characters, not only spaces.
AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*$")]
Port = Annotated[int, Field(ge=0, le=65535)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSection(Section):
    ae_title: AeTitle = "AINODE"
    data_dir: Path = Path("var")


class DatabaseSection(Section):
    url: str = "sqlite:///var/ainode.db"
    password: SecretStr | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _known_dialect(self) -> DatabaseSection:
        if not self.url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must begin with sqlite:/// or postgresql+psycopg://")
        return self


class AllowedPeer(Section):
    ae_title: AeTitle
    host: str | None = None


class ReceiveSection(Section):
    host: str = "0.0.0.0"  # noqa: S104  scanners must reach it; the allow list decides who may store
    port: Port = 11112
    processes: Annotated[int, Field(ge=1, le=64)] = 2
    quiet_period_s: Annotated[float, Field(gt=0)] = 5.0
    open_association_quiet_s: Annotated[float, Field(gt=0)] = 60.0
    timeout_s: Annotated[float, Field(gt=0)] = 30.0
    max_associations: Annotated[int, Field(ge=1)] = 64
    check_called_ae: bool = True
    allow: tuple[AllowedPeer, ...] = ()


class DimseDestination(Section):
    name: Name
    type: Literal["dimse"] = "dimse"
    ae_title: AeTitle
    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    commitment: bool = True
    commitment_timeout_s: Annotated[float, Field(gt=0)] = 60.0
    timeout_s: Annotated[float, Field(gt=0)] = 30.0
    max_attempts: Annotated[int, Field(ge=1)] = 100
    retry_base_s: Annotated[float, Field(gt=0)] = 2.0
    retry_cap_s: Annotated[float, Field(gt=0)] = 300.0


class RouteWhen(Section):
    attribute: str
    op: Literal["eq", "ne", "in", "not_in", "matches", "lt", "le", "gt", "ge", "exists"]
    value: str | int | float | bool | tuple[str | int | float, ...] = True


class RouteSection(Section):
    models: tuple[str, ...] = ("*",)
    destinations: tuple[str, ...] = ()
    when: tuple[RouteWhen, ...] = ()
    priority: Literal["HIGH", "MEDIUM", "LOW"] = "MEDIUM"


class ModelsSection(Section):
    path: tuple[Path, ...] = ()
    enabled: tuple[str, ...] = ("*",)


class LogSection(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class WorkSection(Section):
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")] = "auto"
    timeout_s: Annotated[float, Field(gt=0)] = 900.0
    max_attempts: Annotated[int, Field(ge=1)] = 3
    retry_base_s: Annotated[float, Field(gt=0)] = 2.0
    retry_cap_s: Annotated[float, Field(gt=0)] = 300.0
    lease_s: Annotated[float, Field(gt=0)] = 6.0


class WebSection(Section):
    host: str = "127.0.0.1"
    port: Port = 8080


class Config(Section):
    """The whole configuration. Relative paths are relative to the file's folder and made absolute on loading."""

    node: NodeSection = NodeSection()
    database: DatabaseSection = DatabaseSection()
    receive: ReceiveSection = ReceiveSection()
    destinations: tuple[DimseDestination, ...] = ()
    routes: tuple[RouteSection, ...] = ()
    models: ModelsSection = ModelsSection()
    log: LogSection = LogSection()
    work: WorkSection = WorkSection()
    web: WebSection = WebSection()

    @model_validator(mode="after")
    def _names_agree(self) -> Config:
        names = [destination.name for destination in self.destinations]
        if len(set(names)) != len(names):
            raise ValueError("destinations: names must differ")
        return self


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
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError([(str(path), error.strerror or "cannot be read")]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError([(str(path), f"not valid TOML: {error}")]) from error
    return parse(raw, path.resolve().parent, environment)


def parse(raw: dict[str, Any], base: Path, environment: Mapping[str, str]) -> Config:
    """Validate a configuration tree whose relative paths are relative to ``base``."""
    problems: list[tuple[str, str]] = []
    merged = _overlay(raw, environment, problems)
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        problems += [(_key_path(item["loc"]) or "config", _words(item["msg"])) for item in error.errors()]
        raise ConfigurationError(problems) from None
    problems += _cross_checks(config)
    if problems:
        raise ConfigurationError(problems)
    return _absolute(config, base)


def _overlay(raw: dict[str, Any], environment: Mapping[str, str], problems: list[tuple[str, str]]) -> dict[str, Any]:
    merged: dict[str, Any] = json.loads(json.dumps(raw, default=str))
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in NOT_KEYS or "__" not in variable:
            continue
        section, _, key = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        target = merged.setdefault(section, {})
        if isinstance(target, dict):
            target[key] = _literal(text)
        else:
            problems.append((f"{section}.{key}", f"{variable}: a list of tables cannot be set by a variable"))
    return merged


def _literal(text: str) -> Any:
    """Lists and tables are written as JSON; everything else is text, which the field's type converts."""
    if text[:1] in "[{":
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


def _key_path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")


def _cross_checks(config: Config) -> list[tuple[str, str]]:
    names = {destination.name for destination in config.destinations}
    return [
        (f"routes[{index}].destinations", f"unknown destination {name!r}")
        for index, route in enumerate(config.routes)
        for name in route.destinations
        if name not in names
    ]


def _absolute(config: Config, base: Path) -> Config:
    sqlite = "sqlite:///"
    url = config.database.url
    if url.startswith(sqlite) and not url.startswith(sqlite + "/"):
        url = sqlite + str(base / url.removeprefix(sqlite))
    return config.model_copy(
        update={
            "node": config.node.model_copy(update={"data_dir": base / config.node.data_dir}),
            "database": config.database.model_copy(update={"url": url}),
            "models": config.models.model_copy(update={"path": tuple(base / path for path in config.models.path)}),
        }
    )
