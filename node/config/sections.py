"""What can be configured: one frozen, typed class for each table of ``ainode.toml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationInfo, field_validator
from pydicom.datadict import dictionary_VR, tag_for_keyword

SQLITE = "sqlite:///"
POSTGRESQL = "postgresql+psycopg://"

# PS3.5 Table 6.2-1, VR AE: 1 to 16 characters, no backslash, no control characters, not only spaces.
AE_TITLE_PATTERN = r"^[ -\[\]-~]*[!-\[\]-~][ -\[\]-~]*$"
NAME_PATTERN = r"^[A-Za-z0-9_.-]+$"
DEVICE_PATTERN = r"^(auto|cpu|cuda(:[0-9]+)?)$"
HOST_PATTERN = r"^[^\s/@]+$"

# VRs of items and of bulk data (PS3.5 Table 6.2-1).
WITHOUT_VALUES = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT"})

# Leading and trailing spaces of an AE title are not significant (PS3.5 section 6.2).
AeTitle = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=AE_TITLE_PATTERN)
]
Host = Annotated[str, Field(pattern=HOST_PATTERN)]
ListenPort = Annotated[int, Field(ge=0, le=65535, description="0 takes any free port.")]
PeerPort = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=NAME_PATTERN)]
Pattern = Annotated[str, Field(min_length=1, description="A name; * and ? stand for any characters.")]
Seconds = Annotated[float, Field(gt=0, le=604800, allow_inf_nan=False)]
Attempts = Annotated[int, Field(ge=1, le=100000)]

Scalar = str | int | float


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSection(Section):
    ae_title: AeTitle = "AINODE"
    data_dir: Path = Path("var")
    free_space_watermark_bytes: Annotated[int, Field(ge=0)] = 1 << 30  # below it C-STORE is answered A700


class DatabaseSection(Section):
    """The password comes from ``AINODE_DATABASE__PASSWORD``, ``password_file`` or ``AINODE_DATABASE__URL``."""

    url: str = f"{SQLITE}var/ainode.db"
    password: SecretStr | None = None
    password_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _durable_and_known(cls, url: str) -> str:
        if not url.startswith((SQLITE, POSTGRESQL)):
            raise ValueError(f"must begin with {SQLITE} or {POSTGRESQL}")
        if url.removeprefix(SQLITE) in ("", ":memory:"):
            raise ValueError("must name a file: a database in memory is lost with its process")
        if "password" in parse_qs(urlsplit(url).query):
            raise ValueError("a password may not stand in the query; set AINODE_DATABASE__PASSWORD")
        return url


class AllowedPeer(Section):
    ae_title: AeTitle
    host: Host | None = None


class StoreSection(Section):
    """``journal``: recycled segments that every receiver appends to; ``files``: one file for each instance."""

    kind: Literal["journal", "files"] = "journal"
    journal_segment_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 34)] = 128 << 20
    journal_spare_segments: Annotated[int, Field(ge=0, le=1024)] = 4  # written ahead, so that nobody waits for one
    journal_max_bytes: Annotated[int, Field(ge=0)] = 0  # 0: as much as the free-space watermark leaves
    recycle_after_s: Seconds = 3600.0  # longer than anybody reads an instance that was removed


class TlsSection(Section):
    """DICOM TLS (PS3.15 B.12): 1.2 or later; with ``client_ca`` peers must show a certificate that it signed."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class ReceiveSection(Section):
    host: Host = "0.0.0.0"  # noqa: S104  scanners must reach it; the allow list decides who may store
    port: ListenPort = 11112
    processes: Annotated[int, Field(ge=1, le=64)] = 2
    fast: bool = True  # False: pynetdicom's own reception, slower
    tls: TlsSection | None = None
    quiet_period_s: Seconds = 5.0
    open_association_quiet_s: Seconds = 60.0
    quiet_period_learned: bool = True  # from past gaps of each calling AE title and modality, within these bounds:
    quiet_period_min_s: Seconds = 1.0
    quiet_period_max_s: Seconds = 60.0
    timeout_s: Seconds = 30.0
    max_associations: Annotated[int, Field(ge=1, le=10000)] = 64
    check_called_ae: bool = True
    allow: tuple[AllowedPeer, ...] = ()


class DimseDestination(Section):
    name: Name
    type: Literal["dimse"] = "dimse"
    ae_title: AeTitle
    host: Host
    port: PeerPort
    commitment: bool = True
    commitment_timeout_s: Seconds = 60.0
    commitment_wait_s: Seconds = 1.0
    timeout_s: Seconds = 30.0
    max_attempts: Attempts = 100
    retry_base_s: Seconds = 2.0
    retry_cap_s: Seconds = 300.0
    pictures: tuple[Literal["secondary_capture", "presentation_state"], ...] = ()  # in addition to what every one gets
    segmentation: Literal["model", "binary", "labelmap"] = "model"  # model: the type that the model declares


class Source(Section):
    """A place that knows how many instances a study or series has (C-FIND, PS3.4 C.6.2)."""

    name: Name
    ae_title: AeTitle
    host: Host
    port: PeerPort
    calling: tuple[Pattern, ...] = ("*",)  # asked about what these calling AE titles send
    timeout_s: Seconds = 10.0
    granted_s: Seconds = 0.25  # what is complete without its answer waits this long for it


class RetentionSection(Section):
    """Source images go when every result of their study is confirmed and this long ago, rows later; 0: never."""

    images_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 7 * 86400.0
    rows_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 365 * 86400.0
    every_s: Seconds = 60.0


class RouteWhen(Section):
    """A condition on a DICOM attribute; data, never evaluated text."""

    attribute: str
    op: Literal["eq", "ne", "in", "not_in", "matches", "lt", "le", "gt", "ge", "exists"]
    value: Annotated[Scalar | bool | tuple[Scalar, ...], Field(validate_default=True)] = True

    @field_validator("attribute")
    @classmethod
    def _is_a_keyword(cls, attribute: str) -> str:
        tag = tag_for_keyword(attribute)
        if tag is None:
            raise ValueError(f"{attribute!r} is not the keyword of a DICOM attribute")
        if dictionary_VR(tag)[:2] in WITHOUT_VALUES:
            raise ValueError(f"{attribute!r} is a sequence or binary, and has no value to compare")
        return attribute

    @field_validator("value")
    @classmethod
    def _fits_the_operator(
        cls, value: Scalar | bool | tuple[Scalar, ...], info: ValidationInfo
    ) -> Scalar | bool | tuple[Scalar, ...]:
        problem = _operator_problem(info.data.get("op"), value)
        if problem:
            raise ValueError(problem)
        return value


def _operator_problem(op: str | None, value: Scalar | bool | tuple[Scalar, ...]) -> str | None:
    match op:
        case None:
            return None
        case "exists":
            return None if isinstance(value, bool) else "'exists' takes true or false"
        case "in" | "not_in":
            return None if isinstance(value, tuple) and value else f"{op!r} takes a list"
        case "lt" | "le" | "gt" | "ge":
            return None if _is_number(value) else f"{op!r} takes a number"
        case "matches":
            return _pattern_problem(value)
        case _:
            return None if not isinstance(value, bool | tuple) else f"{op!r} takes one text or number"


def _is_number(value: object) -> bool:
    try:
        return not isinstance(value, bool) and isinstance(value, str | int | float) and float(value) == float(value)
    except (ValueError, OverflowError):
        return False


def _pattern_problem(value: object) -> str | None:
    if not isinstance(value, str):
        return "'matches' takes a regular expression"
    try:
        re.compile(value)
    except (re.error, RecursionError) as error:
        return f"not a valid regular expression: {error}"
    return None


class RouteSection(Section):
    models: tuple[Pattern, ...] = ("*",)
    destinations: tuple[Name, ...] = ()
    when: tuple[RouteWhen, ...] = ()
    priority: Literal["HIGH", "MEDIUM", "LOW"] = "MEDIUM"


class ModelsSection(Section):
    path: tuple[Path, ...] = ()
    enabled: tuple[Pattern, ...] = ("*",)


class LogSection(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class WorkSection(Section):
    device: Annotated[str, Field(pattern=DEVICE_PATTERN)] = "auto"
    timeout_s: Seconds = 900.0
    max_attempts: Attempts = 3
    retry_base_s: Seconds = 2.0
    retry_cap_s: Seconds = 300.0
    lease_s: Seconds = 6.0
    max_wait_s: Seconds = 600.0  # a job that has waited this long goes before any priority


class WebSection(Section):
    host: Host = "127.0.0.1"
    port: ListenPort = 8080


class Config(Section):
    """The whole configuration. Relative paths are relative to the file's folder and made absolute on loading."""

    node: NodeSection = NodeSection()
    database: DatabaseSection = DatabaseSection()
    store: StoreSection = StoreSection()
    receive: ReceiveSection = ReceiveSection()
    sources: tuple[Source, ...] = ()
    retention: RetentionSection = RetentionSection()
    destinations: tuple[DimseDestination, ...] = ()
    routes: tuple[RouteSection, ...] = ()
    models: ModelsSection = ModelsSection()
    log: LogSection = LogSection()
    work: WorkSection = WorkSection()
    web: WebSection = WebSection()
