"""An SMTP server as a peer: how it is reached, and what goes wrong with it as errors of ours (RFC 5321, 3207, 4954)."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

from node.errors import (
    AccessRefused,
    DeliveryError,
    DestinationBusy,
    DestinationUnreachable,
    MessageRefused,
    StoreRefused,
    UnexpectedAnswer,
)

Security = Literal["starttls", "tls", "none"]
# RFC 5321 section 4.2.2 and RFC 4954 section 6.
NOT_NOW = frozenset({421, 454})
NO_ACCESS = frozenset({530, 534, 535, 538})
# Somebody who answers a byte at a time, or without end, holds one connection for so many times its patience at most.
LONGEST = 2.0


@dataclass(frozen=True, slots=True)
class MailAccess:
    """Where a server is, who we are to it, and whom it has to be signed by. ``password`` is a secret."""

    host: str
    port: int
    security: Security = "starttls"
    timeout_s: float = 30.0
    username: str | None = None
    password: str | None = None
    ca_certificate: Path | None = None

    def __repr__(self) -> str:
        return f"MailAccess({self.host!r}, {self.port})"


class MailLine:
    """One connection to a server that takes mail of ours."""

    def __init__(self, client: smtplib.SMTP, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    def send(self, message: EmailMessage, sender: str, recipients: Sequence[str]) -> None:
        """
        Raises:
            DestinationUnreachable, DestinationBusy, AccessRefused, UnexpectedAnswer: the connection is of no use now.
            StoreRefused: this message is not taken now, or not for everybody.
            MessageRefused: it is not taken, or not for everybody, and never will be.
        """
        with _translated(), _bounded(self._client, self._timeout_s):
            refused = self._client.send_message(message, sender, list(recipients))
        if refused:
            raise _of_recipients([code for code, _ in refused.values()], len(recipients))

    def ask(self) -> None:
        """NOOP.

        Raises:
            DestinationUnreachable, DestinationBusy, UnexpectedAnswer
        """
        with _translated(), _bounded(self._client, self._timeout_s):
            code, _ = self._client.noop()
        if code != 250:
            raise _of_code(code)


@contextlib.contextmanager
def connected(access: MailAccess) -> Iterator[MailLine]:
    """Greeted, encrypted and logged in as configured.

    Raises:
        DestinationUnreachable: nobody is there, or nobody who can show who he is.
        DestinationBusy: 421, or 454 to a login.
        AccessRefused: it does not serve us, or does not know us.
        UnexpectedAnswer: what came back is no SMTP, or there is no STARTTLS there.
    """
    client = _client(access)
    try:
        _open(client, access)
        yield MailLine(client, access.timeout_s)
        with contextlib.suppress(smtplib.SMTPException, OSError), _bounded(client, access.timeout_s):
            client.quit()
    finally:
        client.close()


def _open(client: smtplib.SMTP, access: MailAccess) -> None:
    try:
        with _translated(), _bounded(client, access.timeout_s):
            code, _ = client.connect(access.host, access.port)
            if code != 220:
                raise _of_greeting(code)
            if access.security == "starttls":
                client.starttls(context=_tls(access))
            if access.username is not None:
                client.login(access.username, access.password or "")
            else:
                client.ehlo_or_helo_if_needed()
    except (MessageRefused, StoreRefused) as error:
        # There is no message yet that it could be about.
        raise UnexpectedAnswer(error.message, **error.details) from error


def _client(access: MailAccess) -> smtplib.SMTP:
    """Not connected yet, so that there is somebody to hang up on who does not greet."""
    client = (
        smtplib.SMTP_SSL(timeout=access.timeout_s, context=_tls(access))
        if access.security == "tls"
        else smtplib.SMTP(timeout=access.timeout_s)
    )
    # Whose certificate is wanted: smtplib knows it only where the constructor connects.
    client._host = access.host  # type: ignore[attr-defined]
    return client


def _tls(access: MailAccess) -> ssl.SSLContext:
    """
    Raises:
        AccessRefused: the authority's certificate cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=access.ca_certificate)
    except (OSError, ValueError) as error:
        raise AccessRefused("the authority's certificate cannot be used") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@contextlib.contextmanager
def _bounded(client: smtplib.SMTP, timeout_s: float) -> Iterator[None]:
    """A socket's timeout begins anew with every byte: who never comes to an end is hung up on."""

    done = threading.Event()

    def watch() -> None:
        # More than once: the connection may not have been there yet.
        while not done.wait(LONGEST * timeout_s):
            connection = client.sock
            if connection is not None:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    watching = threading.Thread(target=watch, name="mail-watch", daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPException as error:
        raise _of_library(error) from error
    except OSError as error:
        raise DestinationUnreachable(f"no connection: {type(error).__name__}") from error
    except ValueError as error:
        raise UnexpectedAnswer(f"what came back is no SMTP: {type(error).__name__}") from error


def _of_library(error: smtplib.SMTPException) -> DeliveryError:
    match error:
        case smtplib.SMTPRecipientsRefused():
            codes = [code for code, _ in error.recipients.values()]
            return _of_recipients(codes, len(codes))
        case smtplib.SMTPResponseException():
            return _of_response(error)
        case smtplib.SMTPServerDisconnected():
            return DestinationUnreachable("the connection was closed, or there was no answer in time")
        case smtplib.SMTPNotSupportedError():
            return UnexpectedAnswer("the server does not offer STARTTLS, or no login: nothing is sent without")
    return AccessRefused("the server has no way to log in that we have, too")


def _of_response(error: smtplib.SMTPResponseException) -> DeliveryError:
    code = error.smtp_code
    if isinstance(error, smtplib.SMTPSenderRefused) and code >= 500:
        return AccessRefused(f"the server answered {code}: it takes nothing from this sender", status=code)
    return _of_code(code)


def _of_greeting(code: int) -> DeliveryError:
    if code == 421:
        return DestinationBusy("the server answered 421", status=code)
    if 400 <= code < 600:
        return AccessRefused(f"the server answered {code}: it does not serve us", status=code)
    return UnexpectedAnswer("what greets us is no mail server")


def _of_code(code: int) -> DeliveryError:
    """What is wrong by the reply code; the text beside it is the server's own, and may hold anything."""
    words = f"the server answered {code}"
    if code in NOT_NOW:
        return DestinationBusy(words, status=code)
    if code in NO_ACCESS:
        return AccessRefused(f"{words}: look at the credentials", status=code)
    if 400 <= code < 500:
        return StoreRefused(words, status=code)
    if 500 <= code < 600:
        return MessageRefused(words, answer=code)
    return UnexpectedAnswer("what came back is no SMTP")


def _of_recipients(codes: Sequence[int], asked: int) -> DeliveryError:
    """The first code stands for all: with one that may change, everything is tried again."""
    later = [code for code in codes if code < 500]
    words = f"the server answered {(later or list(codes))[0]} for {len(codes)} of {asked} recipients"
    if len(codes) < asked:
        words += ", the others have it"
    if later:
        return StoreRefused(words, status=later[0])
    return MessageRefused(words, answer=codes[0])
