"""Who may do and see what, and how long certificates are valid."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from node.app.doctor.certificate import valid_until
from node.app.doctor.finding import Finding, fail, ok, warn
from node.config import Config
from node.config.destinations import FhirDestination, StowDestination
from node.config.sections import AllowedPeer, TlsSection
from node.database.accounts import SqlAccounts
from node.domain.audit import SYSTEM
from node.ports import Clock
from node.show.list_page.router import is_loopback

EXPIRES_SOON = timedelta(days=30)


def accounts(engine: Engine, clock: Clock) -> Iterator[Finding]:
    """Somebody must be able to answer results."""
    active = [one for one in SqlAccounts(engine, clock, SYSTEM).all() if one.disabled_at is None]
    if active:
        yield ok("accounts", f"{len(active)} may log in")
    else:
        yield warn("accounts", "nobody can log in", "Add who assesses results: 'ainode users add NAME'.")


def pages(config: Config) -> Iterator[Finding]:
    host = config.web.host
    if is_loopback(host):
        yield ok("pages", f"on {host}: this machine alone")
    else:
        advice = "Put a proxy with TLS before them and let web.host be 127.0.0.1: passwords and names travel in clear."
        yield warn("pages", f"on {host}, without TLS", advice)


def services(config: Config) -> Iterator[Finding]:
    """Whom queries, retrievals and workitems tell the names of patients."""
    if config.query.enabled and config.query.allow:
        advice = "Give each entry of query.allow its host, or set receive.tls with a client_ca."
        # Who asks must be on both lists: the host may stand in the other one.
        on_both = config.receive.allow if _from_hosts(config.receive.allow) else config.query.allow
        yield _open_to("query", on_both, config.receive.tls, advice)
    else:
        yield ok("query", "queries are not answered: nobody is named in query.allow, or query.enabled is false")
    if config.ups.enabled:
        advice = "Give each entry of ups.allow its host, or set ups.tls with a client_ca."
        yield _open_to("ups.allow", config.ups.allow, config.ups.tls, advice)


def _from_hosts(allow: tuple[AllowedPeer, ...]) -> bool:
    return bool(allow) and all(one.host is not None for one in allow)


def _open_to(check: str, allow: tuple[AllowedPeer, ...], tls: TlsSection | None, advice: str) -> Finding:
    if tls is not None and tls.client_ca is not None:
        return ok(check, "for those whose certificate is signed by tls.client_ca")
    if _from_hosts(allow):
        return ok(check, "for AE titles that are named, each from its host")
    nameless = [one.ae_title for one in allow if one.host is None]
    return warn(check, f"from any host by the AE title alone: {', '.join(nameless)}", advice)


def certificates(config: Config, now: datetime) -> Iterator[Finding]:
    """Every certificate that the configuration names."""
    for key, path in _files(config):
        check = f"certificate.{key}"
        try:
            until = min(valid_until(path))
        except (OSError, ValueError) as error:
            yield fail(check, f"{path} cannot be read as a certificate: {error}", "Name a file of PEM certificates.")
            continue
        told = f"{path} is valid until {until.astimezone(UTC):%Y-%m-%d %H:%MZ}"
        if until <= now:
            yield fail(check, told, "Replace it and start the node again: nobody accepts it.")
        elif until - now < EXPIRES_SOON:
            yield warn(check, told, "Have a new one made now, put it in its place and start the node again.")
        else:
            yield ok(check, told)
    for key, section in _servers(config):
        yield from _pair(key, section)


def _servers(config: Config) -> Iterator[tuple[str, TlsSection]]:
    for key, section in (("receive.tls", config.receive.tls), ("ups.tls", config.ups.tls)):
        if section is not None:
            yield key, section


def _files(config: Config) -> Iterator[tuple[str, Path]]:
    for key, section in _servers(config):
        yield f"{key}.certificate", section.certificate
        if section.client_ca is not None:
            yield f"{key}.client_ca", section.client_ca
    for one in config.destinations:
        if isinstance(one, StowDestination | FhirDestination):
            for name in ("ca_certificate", "certificate"):
                path = getattr(one, name)
                if path is not None:
                    yield f"{one.name}.{name}", path


def _pair(key: str, section: TlsSection) -> Iterator[Finding]:
    """A key that is another certificate's ends every handshake."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(section.certificate, section.key)
    except (OSError, ValueError) as error:
        advice = "Name the certificate and the key that belong together, readable for the node's user."
        yield fail(f"certificate.{key}.key", f"{section.key}: {error}", advice)
