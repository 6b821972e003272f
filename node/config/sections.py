"""What can be configured: one frozen, typed class for each table of ``ainode.toml``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydicom.datadict import dictionary_VR, tag_for_keyword

from node.config.base import AeTitle, Attempts, Host, ListenPort, Name, Pattern, PeerPort, Seconds, Section
from node.config.destinations import Destination
from node.config.review import ReviewSection

SQLITE = "sqlite:///"
POSTGRESQL = "postgresql+psycopg://"

DEVICE_PATTERN = r"^(auto|cpu|cuda(:[0-9]+)?)$"

# VRs of items and of bulk data (PS3.5 Table 6.2-1).
WITHOUT_VALUES = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN", "AT"})

Scalar = str | int | float


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


class MoveDestination(Section):
    """An application that C-MOVE may send to."""

    ae_title: AeTitle
    host: Host
    port: PeerPort
    timeout_s: Seconds = 30.0


class QuerySection(Section):
    """What the node holds, for others: C-FIND, C-MOVE and C-GET. Nobody may ask who is not named."""

    enabled: bool = True
    allow: tuple[AllowedPeer, ...] = ()
    move_to: tuple[MoveDestination, ...] = ()  # besides the destinations of results of type dimse
    max_matches: Annotated[int, Field(ge=1, le=1000000)] = 10000


class Source(Section):
    """A place that is asked by C-FIND (PS3.4 C.6.2): how many instances a study or series has, and what else it holds.

    Studies are fetched from it where ``retrieve`` says how: ``get`` on our association, ``move`` to our receivers (it
    must know our AE title, host and port).
    """

    name: Name
    ae_title: AeTitle
    host: Host
    port: PeerPort
    calling: tuple[Pattern, ...] = ("*",)  # asked about what these calling AE titles send
    timeout_s: Seconds = 10.0
    granted_s: Seconds = 0.25  # what is complete without its answer waits this long for it
    retrieve: Literal["none", "get", "move"] = "none"
    retrieve_timeout_s: Seconds = 120.0  # so long nothing may come of what is fetched


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
    priors_wait_s: Seconds = 120.0  # so long a job waits for earlier studies that its model wants


class UpsReceiver(Section):
    """An application that may be told of events of workitems, and where it listens; without an address it takes them

    over an event channel of the pages' port (UPS-RS).
    """

    ae_title: AeTitle
    host: Host | None = None
    port: Annotated[PeerPort | None, Field(validate_default=True)] = None

    @field_validator("port")
    @classmethod
    def _whole_address(cls, port: int | None, info: ValidationInfo) -> int | None:
        if (port is None) != (info.data.get("host") is None):
            raise ValueError("an address has a host and a port; without both it is told over an event channel")
        return port


class UpsSection(Section):
    """Unified Procedure Steps (PS3.4 Annex CC): jobs as workitems, on a port of their own."""

    enabled: bool = False
    host: Host = "0.0.0.0"  # noqa: S104  worklist managers must reach it; the allow list decides who may ask
    port: ListenPort = 11114
    tls: TlsSection | None = None
    timeout_s: Seconds = 30.0
    max_associations: Annotated[int, Field(ge=1, le=1000)] = 32
    max_matches: Annotated[int, Field(ge=1, le=100000)] = 1000  # of one query; what matches more is refused, not cut
    check_called_ae: bool = True
    allow: Annotated[tuple[AllowedPeer, ...], Field(validate_default=True)] = ()  # those who may ask
    claim_lease_s: Seconds = 3600.0  # a performer from outside that says nothing for so long has lost its claim
    receivers: tuple[UpsReceiver, ...] = ()  # those who may subscribe
    retry_base_s: Seconds = 2.0
    retry_cap_s: Seconds = 300.0
    give_up_s: Seconds = 86400.0  # a subscriber that has taken nothing for so long is dropped, with an alert
    review: ReviewSection = ReviewSection()  # workitems for persons

    @field_validator("review")
    @classmethod
    def _served(cls, review: ReviewSection, info: ValidationInfo) -> ReviewSection:
        if review.enabled and not info.data.get("enabled"):
            raise ValueError("reviews are workitems: they need ups.enabled")
        return review

    @field_validator("allow")
    @classmethod
    def _somebody(cls, allow: tuple[AllowedPeer, ...], info: ValidationInfo) -> tuple[AllowedPeer, ...]:
        if info.data.get("enabled") and not allow:
            raise ValueError("workitems show names of patients: say which AE titles may ask")
        return allow


# Of a page, of a viewer's own scheme, or of a path on this node; never a scheme that a browser executes.
VIEWER_PATTERN = (
    r"^$|^((https?|weasis|radiant|osirix|horos)://[^/{}\s]|/[^/{}\s\\])"
    r"([^{}\s]|\{(study_instance_uid|accession_number|patient_id)\})*$"
)
ViewerUrl = Annotated[str, Field(max_length=2000, pattern=VIEWER_PATTERN)]


class WebSection(Section):
    host: Host = "127.0.0.1"
    port: ListenPort = 8080
    # Where a study is opened in a viewer; empty: in the one that is installed here, if one is.
    viewer_url: ViewerUrl = ""


class Config(Section):
    """The whole configuration. Relative paths are relative to the file's folder and made absolute on loading."""

    node: NodeSection = NodeSection()
    database: DatabaseSection = DatabaseSection()
    store: StoreSection = StoreSection()
    receive: ReceiveSection = ReceiveSection()
    query: QuerySection = QuerySection()
    sources: tuple[Source, ...] = ()
    retention: RetentionSection = RetentionSection()
    destinations: tuple[Destination, ...] = ()
    routes: tuple[RouteSection, ...] = ()
    models: ModelsSection = ModelsSection()
    log: LogSection = LogSection()
    work: WorkSection = WorkSection()
    web: WebSection = WebSection()
    ups: UpsSection = UpsSection()
