"""Places results go to: one table for each, and what can be said of it depends on its ``type``."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from node.config.base import AeTitle, Attempts, Host, MailAddress, Name, PagesUrl, PeerPort, Seconds, Section

# What is said of a result; other outcomes are of studies alone.
Said = Literal["POSITIVE", "NEGATIVE", "NOT EVALUABLE", "FAILED", "WITHDRAWN"]


class Served(Section):
    """What every destination has: its own threads, patience and circuit breaker.

    After ``open_after`` attempts in a row that reached nobody the circuit opens: nothing is sent, and every
    ``probe_every_s`` it is looked whether the destination answers again.
    """

    name: Name
    timeout_s: Seconds = 30.0
    max_attempts: Attempts = 100
    retry_base_s: Seconds = 2.0
    retry_cap_s: Seconds = 300.0
    concurrency: Annotated[int, Field(ge=1, le=16)] = 1
    open_after: Annotated[int, Field(ge=1, le=1000)] = 3
    probe_every_s: Seconds = 10.0


class ForObjects(Served):
    """A destination of DICOM objects."""

    pictures: tuple[Literal["secondary_capture", "presentation_state"], ...] = ()  # in addition to what every one gets
    segmentation: Literal["model", "binary", "labelmap"] = "model"  # model: the type that the model declares


class DimseDestination(ForObjects):
    """C-STORE, with storage commitment."""

    type: Literal["dimse"] = "dimse"
    ae_title: AeTitle
    host: Host
    port: PeerPort
    commitment: bool = True
    commitment_timeout_s: Seconds = 60.0
    commitment_wait_s: Seconds = 1.0
    requery: bool = False  # ask it by C-FIND, before anything is sent, whether the study is still this patient's
    read_back: bool = False  # look by C-FIND whether what was stored is there
    read_back_patience_s: Seconds = 300.0
    query_ae_title: AeTitle | None = None  # who answers C-FIND, where that is somebody else
    query_host: Host | None = None
    query_port: PeerPort | None = None


class FolderDestination(ForObjects):
    """Part 10 files under a folder that exists: it is never made, for what is missing may be a share."""

    type: Literal["folder"] = "folder"
    path: Path


class WebPeer(Section):
    """How an HTTP server is reached. Secrets come from the environment or from files."""

    url: str
    username: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    bearer_token: SecretStr | None = None
    bearer_token_file: Path | None = None
    ca_certificate: Path | None = None  # instead of the authorities that this machine trusts
    certificate: Path | None = None  # ours, for mutual TLS
    key: Path | None = None

    @field_validator("url")
    @classmethod
    def _absolute(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and name a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a name or a password does not belong in the URL; set username and password_file")
        if parts.query or parts.fragment:
            raise ValueError("may have neither a query nor a fragment")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        basic = self.username is not None
        token = self.bearer_token is not None or self.bearer_token_file is not None
        if basic != (self.password is not None or self.password_file is not None):
            raise ValueError("username and a password go together")
        if basic and token:
            raise ValueError("either a username or a bearer token, not both")
        if self.key is not None and self.certificate is None:
            raise ValueError("key without a certificate")
        if (basic or token) and not self.is_private:
            raise ValueError("a secret is not sent over http to another machine; use https")
        return self

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read along."""
        parts = urlsplit(self.url)
        return parts.scheme == "https" or _is_loopback(parts.hostname or "")


class StowDestination(ForObjects, WebPeer):
    """STOW-RS (PS3.18 section 10.5); ``url`` is the service's base, to which ``/studies`` is added."""

    type: Literal["stow"] = "stow"
    read_back: bool = False  # look by QIDO-RS whether what was stored is there
    read_back_patience_s: Seconds = 300.0


class Hl7Destination(Served):
    """ORU^R01 over MLLP: of each result its report as a message."""

    type: Literal["hl7"] = "hl7"
    host: Host
    port: PeerPort
    receiving_application: Annotated[str, Field(max_length=180)] = ""  # MSH-5 and MSH-6
    receiving_facility: Annotated[str, Field(max_length=180)] = ""
    sending_facility: Annotated[str, Field(max_length=180)] = ""  # MSH-4; MSH-3 is our AE title
    charset: Literal["UNICODE UTF-8", "8859/1", "ASCII"] = "UNICODE UTF-8"  # MSH-18, HL7 table 0211


class Told(Served):
    """One that is told, of each result, what its report says: of the ``outcomes`` that it has chosen, and what
    corrects, replaces or takes back anything that it was told.
    """

    outcomes: Annotated[tuple[Said, ...], Field(min_length=1)] = get_args(Said)
    pages_url: PagesUrl = ""  # where readers find this node's pages; empty: no link is told


class EmailDestination(Told):
    """E-mail by SMTP, in which nobody is identified. Secrets come from the environment or from files."""

    type: Literal["email"] = "email"
    host: Host
    port: PeerPort = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    ca_certificate: Path | None = None  # instead of the authorities that this machine trusts
    sender: MailAddress
    recipients: Annotated[tuple[MailAddress, ...], Field(min_length=1, max_length=100)]
    accession_number: bool = False  # tell it, too: it leads to the patient

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.username is not None) != (self.password is not None or self.password_file is not None):
            raise ValueError("username and a password go together")
        if self.security == "none" and not _is_loopback(self.host):
            if self.username is not None:
                raise ValueError('a password is not sent to another machine without TLS; use security = "starttls"')
            if self.accession_number:
                raise ValueError('an accession number is not sent without TLS; use security = "starttls"')
        return self


class WebhookDestination(Told, WebPeer):
    """A POST of JSON to ``url``, signed by HMAC-SHA256 where there is a ``secret``."""

    type: Literal["webhook"] = "webhook"
    secret: SecretStr | None = None
    secret_file: Path | None = None


class FhirDestination(Served, WebPeer):
    """FHIR R4: of each result its report as a transaction; ``url`` is the service's base."""

    type: Literal["fhir"] = "fhir"


Destination = Annotated[
    DimseDestination
    | FolderDestination
    | StowDestination
    | Hl7Destination
    | FhirDestination
    | EmailDestination
    | WebhookDestination,
    Field(discriminator="type"),
]


def commits(destination: Served) -> bool:
    """Whether storage commitment is asked for: then COMMITTED is the end, else STORED."""
    return isinstance(destination, DimseDestination) and destination.commitment


def reads_back(destination: Served) -> bool:
    """Whether what was stored is looked for there afterwards."""
    return isinstance(destination, DimseDestination | StowDestination) and destination.read_back


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
