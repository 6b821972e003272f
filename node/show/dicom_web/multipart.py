"""Bodies of several parts (RFC 2387), sent as they are made."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from fastapi.responses import StreamingResponse

from node.show.dicom_web.accepting import MULTIPART


@dataclass(frozen=True, slots=True)
class Part:
    media_type: str
    location: str
    content: Iterable[bytes]


def parts_answer(media_type: str, parts: Iterator[Part], headers: dict[str, str]) -> StreamingResponse:
    """``media_type`` is that of the first part. Errors before its first bytes are raised, for the answer has not begun;

    one that comes later breaks the connection off, so that nobody takes what came for everything.
    """
    boundary = secrets.token_hex(16)
    kind = f'{MULTIPART}; type="{media_type}"; boundary={boundary}'
    return StreamingResponse(begun(_body(boundary, parts)), media_type=kind, headers=headers)


def begun(content: Iterator[bytes]) -> Iterator[bytes]:
    """The same, of which the first piece is made now."""
    first = next(content, None)
    return content if first is None else chain([first], content)


def _body(boundary: str, parts: Iterator[Part]) -> Iterator[bytes]:
    for part in parts:
        head = f"--{boundary}\r\nContent-Type: {part.media_type}\r\nContent-Location: {part.location}\r\n\r\n"
        content = iter(part.content)
        yield head.encode("ascii") + next(content, b"")
        yield from content
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode("ascii")
