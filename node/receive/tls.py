"""DICOM TLS for those who connect to us (PS3.15 Annex B.12, BCP 195)."""

from __future__ import annotations

import socket
import ssl

from node.config import TlsSection
from node.errors import ConfigurationError

# With TLS 1.2: forward secrecy and authenticated encryption, nothing else. TLS 1.3 has no other suites.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(config: TlsSection) -> ssl.SSLContext:
    """TLS 1.2 or later with our certificate; with ``client_ca``, peers must show one that it signed.

    Raises:
        ConfigurationError: a file cannot be read, or does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    try:
        context.load_cert_chain(config.certificate, config.key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError([("receive.tls.certificate", _reason(error))]) from error
    if config.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(config.client_ca)
        except OSError as error:
            raise ConfigurationError([("receive.tls.client_ca", _reason(error))]) from error
    return context


def secured(connection: socket.socket, context: ssl.SSLContext, timeout_s: float) -> ssl.SSLSocket:
    """The connection after the handshake; its timeout stays in force.

    Raises:
        OSError: no handshake within ``timeout_s``, or the peer is not what it should be; the connection is closed.
    """
    connection.settimeout(timeout_s)
    try:
        wrapped = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    except OSError:
        connection.close()
        raise
    try:
        wrapped.do_handshake()
    except OSError:
        wrapped.close()
        raise
    return wrapped


def _reason(error: OSError) -> str:
    return "does not hold what it should" if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"
