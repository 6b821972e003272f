"""Until when X.509 certificates are valid (RFC 5280 section 4.1): the few bytes of their DER that say so."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x17, 0x18, 0xA0


def valid_until(path: Path) -> list[datetime]:
    """``notAfter`` of each certificate of a PEM file, aware UTC.

    Raises:
        OSError: the file cannot be read.
        ValueError: there is no certificate in it, or one that is none.
    """
    found = _PEM.findall(path.read_text(encoding="ascii"))
    if not found:
        raise ValueError("no PEM certificate in it")
    return [not_after(ssl.PEM_cert_to_DER_cert(pem)) for pem in found]


def not_after(der: bytes) -> datetime:
    """
    Raises:
        ValueError: the bytes are no certificate.
    """
    try:
        certificate = _value(der, 0)[1]
        to_be_signed = _value(certificate, 0)[1]
        position = 0
        tag, _, after = _value(to_be_signed, position)
        if tag == _VERSION:
            position = after
        for _ in ("serialNumber", "signature", "issuer"):
            position = _value(to_be_signed, position)[2]
        validity = _value(to_be_signed, position)[1]
        tag, text, _ = _value(validity, _value(validity, 0)[2])
        return _time(tag, text.decode("ascii"))
    except IndexError as error:
        raise ValueError("not the DER of a certificate") from error


def _value(der: bytes, position: int) -> tuple[int, bytes, int]:
    """Tag, content and the position after it (X.690 section 8.1)."""
    tag, size = der[position], der[position + 1]
    begin = position + 2
    if size & 0x80:
        length_bytes = size & 0x7F
        size = int.from_bytes(der[begin : begin + length_bytes], "big")
        begin += length_bytes
    if begin + size > len(der):
        raise ValueError("the certificate is cut off")
    return tag, der[begin : begin + size], begin + size


def _time(tag: int, text: str) -> datetime:
    """Years of two digits from 50 on are of the last century (RFC 5280 section 4.1.2.5.1)."""
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("not the DER of a certificate")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
