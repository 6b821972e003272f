"""Certificates for tests: an authority, a server and a client that it signed, and a stranger."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.peers import require_program


@dataclass(frozen=True)
class Identity:
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Certificates:
    ca: Path
    server: Identity
    client: Identity
    stranger: Identity

    def server_context(self) -> ssl.SSLContext:
        """Of a server on 127.0.0.1 that wants to see a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.certificate, self.server.key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def certificates(folder: Path) -> Certificates:
    openssl = require_program("openssl")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], check=True, capture_output=True, cwd=folder, timeout=60)

    def made(name: str, *signed_by: str) -> Identity:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key")
        run(
            *("req", "-x509", *key, "-subj", f"/CN={name}", "-days", "2", "-out", f"{name}.pem", *signed_by),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        )
        return Identity(folder / f"{name}.pem", folder / f"{name}.key")

    ca = made("ca")
    by_us = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
    return Certificates(ca.certificate, made("server", *by_us), made("client", *by_us), made("stranger"))
