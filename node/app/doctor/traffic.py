"""Ports and peers: what listens here, and whether those that results go to answer."""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from node.app.destinations import nothing_said, opened
from node.app.doctor.finding import Check, Finding, fail, ok, warn
from node.config import Config
from node.config import Destination as Settings
from node.config.sections import Source, TlsSection
from node.deliver.association import Peer
from node.deliver.http import WebAccess, WebPeer
from node.deliver.storage_scu import DimseDestination
from node.errors import AssociationRejected, DeliveryError, SopClassRefused

# What each role that is alive on this host says of itself.
Served = Mapping[str, Mapping[str, Any]]

# No peer is waited for longer, whatever is configured for work: somebody sits and waits.
PATIENCE_S = 8.0
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  as it is configured


def receive_port(config: Config, served: Served) -> Iterator[Finding]:
    """A C-ECHO to ourselves where receivers run, else a port that is free for them."""
    receive = config.receive
    if "receive" not in served:
        yield free("receive", receive.host, receive.port)
        return
    port = int(served["receive"].get("port", receive.port))
    if receive.tls is not None:
        yield _tls("receive", receive.host, port)
        return
    title = config.node.ae_title
    peer = Peer(title, reached(receive.host), port, title, PATIENCE_S)
    yield _echoed("receive", peer, f"port {port}")


def _echoed(check: str, peer: Peer, place: str) -> Finding:
    try:
        DimseDestination(check, peer).echo()
    except (AssociationRejected, SopClassRefused) as error:
        return ok(check, f"{place} answers, and refuses our own AE title: {error.message}")
    except DeliveryError as error:
        advice = "Look at the log of the receive role, and start the node again if it hangs."
        return fail(check, f"{place}: {error.code}: {error.message}", advice)
    return ok(check, f"{place} answers C-ECHO")


def web_port(config: Config, served: Served) -> Iterator[Finding]:
    """The pages say that they are alive."""
    if "web" not in served:
        yield free("web", config.web.host, config.web.port)
        return
    port = int(served["web"].get("port", config.web.port))
    host = reached(config.web.host)
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        answer = WebPeer(WebAccess(url, PATIENCE_S)).ask("GET", "/healthz")
    except DeliveryError as error:
        yield fail("web", f"port {port}: {error.code}: {error.message}", "Look at the log of the web role.")
        return
    if answer.status == 200:
        yield ok("web", f"port {port} answers /healthz")
    else:
        yield fail("web", f"port {port} answers /healthz with {answer.status}", "Look at the log of the web role.")


def ups_port(config: Config, served: Served) -> Iterator[Finding]:
    """The port of workitems takes connections."""
    ups = config.ups
    if not ups.enabled:
        return
    if "ups" not in served:
        yield free("ups", ups.host, ups.port)
        return
    port = int(served["ups"].get("port", ups.port))
    if isinstance(ups.tls, TlsSection):
        yield _tls("ups", ups.host, port)
        return
    peer = Peer(config.node.ae_title, reached(ups.host), port, config.node.ae_title, PATIENCE_S)
    yield _echoed("ups", peer, f"port {port}")


def free(check: str, host: str, port: int) -> Finding:
    """Whether a server of ours could listen there."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return ok(check, f"{host}:{port} is free; the role does not run here")
    except OSError as error:
        advice = "End what listens there or choose another port; below 1024 the node needs CAP_NET_BIND_SERVICE."
        return fail(check, f"{host}:{port} cannot be listened on: {error.strerror or 'no such address'}", advice)


def _tls(check: str, host: str, port: int) -> Finding:
    """A handshake: who we are is not asked before its end, and the certificate is looked at in its file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((reached(host), port), PATIENCE_S) as connection,
            context.wrap_socket(connection) as secured,
        ):
            return ok(check, f"port {port} answers in {secured.version()}")
    except OSError as error:
        return fail(check, f"port {port} does not answer in TLS: {error.strerror or error}", "Look at the role's log.")


def reached(host: str) -> str:
    """The address at which a server that listens on ``host`` is reached from here."""
    return ANY_ADDRESS.get(host, host)


def peers(config: Config) -> Iterator[Check]:
    """A check for each destination and each source."""
    for settings in config.destinations:
        yield Check(f"destination.{settings.name}", functools.partial(_destination, config, settings))
    for source in config.sources:
        yield Check(f"source.{source.name}", functools.partial(_source, config, source))


def _destination(config: Config, settings: Settings) -> Iterator[Finding]:
    check = f"destination.{settings.name}"
    impatient = settings.model_copy(update={"timeout_s": min(settings.timeout_s, PATIENCE_S)})
    try:
        opened(config, impatient, nothing_said).echo()
    except DeliveryError as error:
        advice = f"Look whether it runs and knows our AE title or account, then 'ainode echo {settings.name}'."
        yield fail(check, f"{settings.type}: {error.code}: {error.message}", advice)
    else:
        yield ok(check, f"{settings.type}: answers")


def _source(config: Config, source: Source) -> Iterator[Finding]:
    check = f"source.{source.name}"
    peer = Peer(source.ae_title, source.host, source.port, config.node.ae_title, min(source.timeout_s, PATIENCE_S))
    try:
        DimseDestination(source.name, peer).echo()
    except SopClassRefused:
        yield ok(check, "answers, without verification")
    except DeliveryError as error:
        advice = "Look whether it runs and knows our AE title: counts, priors and fetched studies need it."
        yield warn(check, f"{error.code}: {error.message}", advice)
    else:
        yield ok(check, "answers")
