"""An HTTP server as a peer: how it is reached, and what goes wrong with it as errors of ours."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from node.errors import AccessRefused, DestinationBusy, DestinationUnreachable, UnexpectedAnswer

# More than any answer to fifty objects; a server that says more is not read to its end.
MAX_ANSWER = 8 << 20
# What a server may ask us to wait: longer is our own backoff's to decide.
MAX_RETRY_AFTER_S = 3600.0

NO_ACCESS = frozenset({401, 403, 407})
BUSY = frozenset({429, 503})
NOT_THERE = frozenset({502, 504})


@dataclass(frozen=True, slots=True)
class WebAccess:
    """Where a server is, who we are to it, and whom it has to be signed by. ``password`` and ``token`` are secrets."""

    url: str
    timeout_s: float = 30.0
    username: str | None = None
    password: str | None = None
    token: str | None = None
    ca_certificate: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __repr__(self) -> str:
        return f"WebAccess({self.url!r})"


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class WebPeer:
    """Requests to one server, each on a connection of its own: requests are few, and none is left open.

    No redirection is followed: it would take secrets along.
    """

    def __init__(self, access: WebAccess) -> None:
        self._access = access
        self._context: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return self._access.url

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, whatever it says, unless it says that nothing at all can be done here now.

        Raises:
            DestinationUnreachable: no connection, no answer in time, or a gateway that reaches nobody.
            UnexpectedAnswer: what came back is no HTTP, or far too much of it.
            AccessRefused: 401, 403 or 407.
            DestinationBusy: 429 or 503, with what it asked us to wait.
        """
        with _translated():
            answer = self._exchange(method, path, headers or {}, body, query or {})
        refused = {"http_status": answer.status}
        if answer.status in NO_ACCESS:
            raise AccessRefused(f"the server answered {answer.status}: look at the credentials", **refused)
        if answer.status in BUSY:
            wait_s = retry_after_s(answer.headers.get("retry-after"), datetime.now(UTC))
            raise DestinationBusy(f"the server answered {answer.status}", retry_after_s=wait_s, **refused)
        if answer.status in NOT_THERE:
            raise DestinationUnreachable(f"a gateway answered {answer.status}", **refused)
        return answer

    def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | Iterator[bytes] | None,
        query: Mapping[str, str],
    ) -> Answer:
        asked = httpx.Request(
            method, self._access.url + path, params=dict(query) or None, headers=headers, content=body
        )
        with self._opened() as client:
            response = client.send(asked, stream=True)
            try:
                return Answer(response.status_code, _headers(response), self._body(response))
            finally:
                response.close()

    def _body(self, response: httpx.Response) -> bytes:
        deadline = time.monotonic() + self._access.timeout_s
        received = bytearray()
        for part in response.iter_bytes():
            received += part
            if len(received) > MAX_ANSWER:
                raise UnexpectedAnswer("the answer does not end", bytes=len(received))
            if time.monotonic() > deadline:
                raise DestinationUnreachable("the answer was not finished in time")
        return bytes(received)

    def _opened(self) -> httpx.Client:
        if self._context is None:
            self._context = _tls(self._access)
        return httpx.Client(
            verify=self._context,
            timeout=self._access.timeout_s,
            auth=_auth(self._access),
            trust_env=False,  # what is not configured is not used: no proxy, no .netrc of somebody's
        )


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): text for name, text in response.headers.items()}


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Retry-After (RFC 9110 section 10.2.3), as seconds or as a date; None where it says nothing usable."""
    if value is None:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        wait_s = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S) if math.isfinite(wait_s) else None


def _auth(access: WebAccess) -> httpx.Auth | None:
    if access.token is not None:
        return _Bearer(access.token)
    return None if access.username is None else httpx.BasicAuth(access.username, access.password or "")


class _Bearer(httpx.Auth):
    """RFC 6750 section 2.1."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._header
        yield request


def _tls(access: WebAccess) -> ssl.SSLContext:
    """TLS 1.2 or later (PS3.15 B.12); the server has to be who it says it is.

    Raises:
        AccessRefused: a certificate or key of ours cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=access.ca_certificate)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if access.certificate is not None:
            context.load_cert_chain(access.certificate, access.key, password="")
    except (OSError, ValueError) as error:
        raise AccessRefused("a certificate or its key cannot be used") from error
    return context


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx.RemoteProtocolError as error:
        raise _of_protocol(error) from error
    except httpx.TimeoutException as error:
        raise DestinationUnreachable("no answer in time") from error
    except httpx.TransportError as error:
        raise DestinationUnreachable(f"no connection: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise UnexpectedAnswer(f"no usable answer: {type(error).__name__}") from error


def _of_protocol(error: httpx.RemoteProtocolError) -> DestinationUnreachable | UnexpectedAnswer:
    if "disconnected" in str(error) or "closed" in str(error):
        return DestinationUnreachable("the connection was closed before the answer was complete")
    return UnexpectedAnswer("what came back is no HTTP")
