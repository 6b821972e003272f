"""Who may read and who may act. Reading is open where only this machine reaches the pages; to act takes a name."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, HTTPException, Request
from fastapi.requests import HTTPConnection

from node.errors import ForgedRequest, NotLoggedIn
from node.show.site import Site
from node.show.visitor import Visiting, Visitor

LONGEST_FORM = 64 * 1024
MOST_FIELDS = 1000
FORM = "application/x-www-form-urlencoded"
CSRF_HEADER = "x-csrf-token"
# Names that a browser on this machine can only have been given on this machine.
HERE = frozenset({"localhost", "127.0.0.1", "::1"})

Form = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Operator:
    """A named user who wants something done, and by what form."""

    name: str
    form: Form

    def field(self, name: str) -> str:
        return next(iter(self.form.get(name, ())), "")


def may_read(request: Request, visitor: Visiting) -> None:
    """
    Raises:
        NotLoggedIn: pages that others reach are for named users.
        HTTPException: another name than this machine's was asked for, by which any page of the world could read here.
    """
    site: Site = request.app.state.site
    if visitor.user is not None:
        return
    if not site.open_reading:
        raise NotLoggedIn("log in to read this")
    if request.url.hostname not in HERE | {site.config.web.host}:
        raise HTTPException(421, "this node is read without logging in only under the names of this machine")


async def read_form(request: Request) -> Form:
    """The fields of an HTML form.

    Raises:
        HTTPException: it is too long, or no such form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise HTTPException(415, f"a form is sent as {FORM}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            raise HTTPException(413, f"a form has at most {LONGEST_FORM} bytes")
    found: dict[str, list[str]] = {}
    try:
        for key, value in parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS):
            found.setdefault(key, []).append(value)
    except ValueError as error:
        raise HTTPException(400, "the form cannot be read") from error
    return found


def same_origin(request: HTTPConnection) -> None:
    """
    Raises:
        ForgedRequest: the browser says that another site sends this.
    """
    origin = request.headers.get("origin")
    other = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if other or request.headers.get("sec-fetch-site") == "cross-site":
        raise ForgedRequest("this came from another site")


def operator(request: Request, visitor: Visiting, form: Annotated[Form, Depends(read_form)]) -> Operator:
    """
    Raises:
        NotLoggedIn: nobody is.
        ForgedRequest: the form is not one of ours.
    """
    given = next(iter(form.get("csrf", ())), "")
    return Operator(_named(request, visitor, given), form)


def program(request: Request, visitor: Visiting) -> Operator:
    """As ``operator``, for the API: the token stands in a header."""
    return Operator(_named(request, visitor, request.headers.get(CSRF_HEADER, "")), {})


def _named(request: Request, visitor: Visitor, given: str) -> str:
    same_origin(request)
    if visitor.user is None:
        raise NotLoggedIn("log in to do this")
    if not hmac.compare_digest(given.encode(), visitor.csrf.encode()):
        raise ForgedRequest("the token of the session is not there: open the page again")
    return visitor.user


Acting = Annotated[Operator, Depends(operator)]
Calling = Annotated[Operator, Depends(program)]
Reading = Depends(may_read)


def safe_address(address: str) -> str:
    """Where to go afterwards: a page of this node, else the worklist."""
    parts = urlsplit(address)
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc
    return address if is_ours and address.isprintable() and len(address) < 2000 else "/"
