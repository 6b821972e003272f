"""A real HTTP server on loopback that answers as a test says, and one that stores what STOW-RS brings."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Self

import pydicom


@dataclass(frozen=True)
class Request:
    """``headers`` have lower-case names."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def as_json(document: object, status: int = 200, media_type: str = "application/dicom+json", **headers: str) -> Reply:
    return Reply(status, {"Content-Type": media_type, **headers}, json.dumps(document).encode())


class WebServer:
    """Serves until it is left. ``answer`` may be set anew; ``requests`` are those that came, in order."""

    def __init__(
        self, answer: Callable[[Request], Reply] = lambda _: Reply(), tls: ssl.SSLContext | None = None
    ) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self._tls = tls

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that breaks off is what some tests do."""


def _handler(server: WebServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): text for name, text in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            server.requests.append(request)
            reply = server.answer(request)
            self.send_response(reply.status)
            for name, text in reply.headers.items():
                self.send_header(name, text)
            if reply.status not in (204, 304):
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if reply.status not in (204, 304):
                self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_OPTIONS = _serve  # noqa: N815  the names are the library's

        def log_message(self, *_: object) -> None: ...

    return Handler


class StowServer(WebServer):
    """Keeps what it is sent; ``refused`` are SOP classes that it does not take, ``too_large`` more bytes than it takes.

    ``reason`` is answered for everything while it is set. With ``forgets`` it says that it stored, and does not.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(self._answer, tls)
        self.kept: dict[str, bytes] = {}
        self.refused: frozenset[str] = frozenset()
        self.too_large: int | None = None
        self.reason: int | None = None
        self.forgets = False

    def _answer(self, request: Request) -> Reply:
        if request.method == "GET":
            return self._query(request)
        if self.too_large is not None and len(request.body) > self.too_large:
            return Reply(413)
        stored, failed = [], []
        for part in parts_of(request):
            made = pydicom.dcmread(BytesIO(part), stop_before_pixels=True)
            reason = self.reason or (0x0122 if made.SOPClassUID in self.refused else None)
            item = {
                "00081150": {"vr": "UI", "Value": [str(made.SOPClassUID)]},
                "00081155": {"vr": "UI", "Value": [str(made.SOPInstanceUID)]},
            }
            if reason is not None:
                failed.append({**item, "00081197": {"vr": "US", "Value": [reason]}})
                continue
            stored.append(item)
            if not self.forgets:
                self.kept[str(made.SOPInstanceUID)] = part
        document = {"00081199": {"vr": "SQ", "Value": stored}, "00081198": {"vr": "SQ", "Value": failed}}
        document = {tag: sequence for tag, sequence in document.items() if sequence["Value"]}
        return as_json(document, 409 if not stored else 202 if failed else 200)

    def _query(self, request: Request) -> Reply:
        asked = re.search(r"SOPInstanceUID=([0-9.]+)", request.path)
        if asked is None or asked[1] not in self.kept:
            return Reply(204)
        return as_json([{"00080018": {"vr": "UI", "Value": [asked[1]]}}])


def parts_of(request: Request) -> list[bytes]:
    """The objects of a multipart/related body, read by the standard library."""
    content_type = request.headers["content-type"]
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + _encoded(request))
    assert message.get_content_type() == "multipart/related"
    assert message.get_param("type") == "application/dicom"
    assert message.is_multipart()
    assert not message.defects
    pieces = request.body.split(b"--" + message.get_boundary("").encode())
    assert len(message.get_payload()) == len(pieces) - 2
    return [piece.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for piece in pieces[1:-1]]


def _encoded(request: Request) -> bytes:
    """The body without what the text parser would take for line ends in binary parts."""
    return request.body.replace(b"\x00", b" ")
