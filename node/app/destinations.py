"""The destinations of a configuration, wired."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from node.app.clock import SystemClock
from node.config import (
    Config,
    DimseDestination,
    EmailDestination,
    FhirDestination,
    FolderDestination,
    Hl7Destination,
    Served,
    StowDestination,
    WebhookDestination,
)
from node.config import (
    Destination as Settings,
)
from node.deliver import fhir_server, folder, hl7_listener, mail_server, storage_scu, stow, web_listener
from node.deliver.association import Peer
from node.deliver.http import WebAccess, WebPeer
from node.deliver.mail import Letterhead
from node.deliver.oru import Parties
from node.deliver.report import ReportSource
from node.deliver.smtp import MailAccess
from node.deliver.webhook import key_of
from node.domain.delivery import CommitmentReport
from node.domain.report import Report
from node.domain.retry import RetryPolicy
from node.errors import ConfigurationError, NotFound
from node.ports import Destination, Outgoing

LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"


def destination(
    config: Config, name: str, apply_report: Callable[[CommitmentReport], object] | None = None
) -> Destination:
    """One to ask whether it is there.

    Raises:
        NotFound: the configuration names no such destination.
    """
    for settings in config.destinations:
        if settings.name == name:
            return opened(config, settings, nothing_said, apply_report)
    names = ", ".join(one.name for one in config.destinations) or "none"
    raise NotFound(f"no destination {name!r}; there are: {names}")


def opened(
    config: Config,
    settings: Settings,
    reports: ReportSource,
    apply_report: Callable[[CommitmentReport], object] | None = None,
) -> Destination:
    """One destination, for one thread; ``reports`` are what messages are made of."""
    match settings:
        case DimseDestination():
            return _dimse(config, settings, apply_report)
        case FolderDestination():
            return folder.FolderDestination(settings.name, settings.path)
        case StowDestination():
            return stow.StowDestination(settings.name, WebPeer(web_access(settings)))
        case Hl7Destination():
            return _hl7(config, settings, reports)
        case FhirDestination():
            return fhir_server.FhirDestination(settings.name, WebPeer(web_access(settings)), reports)
        case EmailDestination() | WebhookDestination():
            return _told(config, settings, reports)


def _hl7(config: Config, settings: Hl7Destination, reports: ReportSource) -> hl7_listener.Hl7Destination:
    listener = hl7_listener.Listener(settings.host, settings.port, settings.timeout_s, settings.charset)
    parties = Parties(
        config.node.ae_title, settings.sending_facility, settings.receiving_application, settings.receiving_facility
    )
    return hl7_listener.Hl7Destination(settings.name, listener, parties, reports, SystemClock())


def _told(config: Config, settings: EmailDestination | WebhookDestination, reports: ReportSource) -> Destination:
    return (
        _email(config, settings, reports)
        if isinstance(settings, EmailDestination)
        else _webhook(config, settings, reports)
    )


def _email(config: Config, settings: EmailDestination, reports: ReportSource) -> mail_server.EmailDestination:
    access = MailAccess(
        host=settings.host,
        port=settings.port,
        security=settings.security,
        timeout_s=settings.timeout_s,
        username=settings.username,
        password=_secret(settings.password, settings.password_file),
        ca_certificate=settings.ca_certificate,
    )
    head = Letterhead(
        settings.sender,
        settings.recipients,
        config.node.ae_title,
        settings.pages_url.rstrip("/"),
        settings.accession_number,
    )
    return mail_server.EmailDestination(settings.name, access, head, reports, SystemClock())


def _webhook(config: Config, settings: WebhookDestination, reports: ReportSource) -> web_listener.WebhookDestination:
    secret = _secret(settings.secret, settings.secret_file)
    if secret is not None:
        _require_usable(settings.name, secret)
    return web_listener.WebhookDestination(
        settings.name,
        WebPeer(web_access(settings)),
        config.node.ae_title,
        settings.pages_url.rstrip("/"),
        secret,
        reports,
        SystemClock(),
    )


def _require_usable(name: str, secret: str) -> None:
    try:
        key_of(secret)
    except ValueError as error:
        raise ConfigurationError([(f"the secret of {name}", str(error))]) from error


def nothing_said(outgoing: Outgoing) -> Report:
    """Where nothing is sent, only asked for."""
    raise NotFound("no report is at hand", sop_instance_uid=outgoing.sop_instance_uid)


def _dimse(
    config: Config, settings: DimseDestination, apply_report: Callable[[CommitmentReport], object] | None
) -> storage_scu.DimseDestination:
    peer = Peer(
        ae_title=settings.ae_title,
        host=settings.host,
        port=settings.port,
        calling_ae_title=config.node.ae_title,
        timeout_s=settings.timeout_s,
    )
    return storage_scu.DimseDestination(
        settings.name,
        peer,
        commits=settings.commitment,
        commitment_wait_s=settings.commitment_wait_s,
        apply_report=apply_report,
    )


def web_access(settings: StowDestination | FhirDestination | WebhookDestination) -> WebAccess:
    return WebAccess(
        url=settings.url,
        timeout_s=settings.timeout_s,
        username=settings.username,
        password=_secret(settings.password, settings.password_file),
        token=_secret(settings.bearer_token, settings.bearer_token_file),
        ca_certificate=settings.ca_certificate,
        certificate=settings.certificate,
        key=settings.key,
    )


def _secret(value: SecretStr | None, file: Path | None) -> str | None:
    """
    Raises:
        ConfigurationError: the file that held it a moment ago cannot be read.
    """
    if value is not None:
        return value.get_secret_value()
    try:
        return None if file is None else file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError([(str(file), "the secret in it cannot be read")]) from error


def delivery_policy(settings: Served) -> RetryPolicy:
    return RetryPolicy(settings.max_attempts, settings.retry_base_s, settings.retry_cap_s)
