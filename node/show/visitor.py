"""Who asks, and in which language: what a page must know of a request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection

from node.show.language import choose
from node.show.site import Site

LANGUAGE_COOKIE = "ainode_language"
THEME_COOKIE = "ainode_theme"
SESSION_COOKIE = "ainode_session"
THEMES = ("dark", "light")


@dataclass(frozen=True, slots=True)
class Visitor:
    """``user`` is the name of the account, None where nobody is logged in; ``csrf`` goes with every form of his.

    ``theme`` is None where the system decides.
    """

    language: str = "en"
    theme: str | None = None
    user: str | None = None
    csrf: str = ""


def stranger(request: HTTPConnection) -> Visitor:
    """A visitor of whom only the language is asked: no database is needed for that."""
    cookies = request.cookies
    theme = cookies.get(THEME_COOKIE)
    return Visitor(
        language=choose(
            request.query_params.get("lang"), cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language")
        ),
        theme=theme if theme in THEMES else None,
    )


def visit(request: HTTPConnection) -> Visitor:
    site: Site = request.app.state.site
    secret = request.cookies.get(SESSION_COOKIE, "")
    user = site.logins.who(secret) if secret else None
    return stranger(request) if user is None else replace(stranger(request), user=user, csrf=site.logins.csrf(secret))


Visiting = Annotated[Visitor, Depends(visit)]
