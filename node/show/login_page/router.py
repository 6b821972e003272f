"""``/login``, ``/logout`` and ``/theme``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from node.errors import LoginRefused, TooManyAttempts
from node.show.pages import A_YEAR_S, Pages
from node.show.session import Acting, Form, read_form, safe_address, same_origin
from node.show.site import Site
from node.show.visitor import SESSION_COOKIE, THEME_COOKIE, THEMES, Visiting

SESSION_S = 12 * 3600
Fields = Annotated[Form, Depends(read_form)]


def login_router(site: Site, pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    def form(request: Request, visitor: Visiting, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:
        return pages.page(request, visitor, "login.html", next=safe_address(next), name="", refused=None)

    # The cookie is sent to nobody else's pages (SameSite=Strict), and ``same_origin`` refuses forms of other sites: so
    # nobody is logged in under another name than he thinks.
    @router.post("/login", dependencies=[Depends(same_origin)])
    def login(request: Request, visitor: Visiting, fields: Fields) -> Response:
        name, password = _one(fields, "name").strip().lower(), _one(fields, "password")
        following = safe_address(_one(fields, "next"))
        try:
            secret = site.logins.login(name, password)
        except (LoginRefused, TooManyAttempts) as error:
            late = isinstance(error, TooManyAttempts)
            context = {"next": following, "name": name[:64], "refused": "wait" if late else "refused"}
            return pages.page(request, visitor, "login.html", 429 if late else 401, **context)
        response = RedirectResponse(following, 303)
        keep_session(request, response, secret)
        return response

    @router.post("/logout")
    def logout(request: Request, operator: Acting) -> Response:
        site.logins.logout(request.cookies.get(SESSION_COOKIE, ""))
        response = RedirectResponse("/", 303)
        response.delete_cookie(SESSION_COOKIE)
        return response

    @router.post("/theme", dependencies=[Depends(same_origin)])
    def theme(visitor: Visiting, fields: Fields) -> Response:
        asked = _one(fields, "theme")
        chosen = asked if asked in THEMES else "dark" if visitor.theme == "light" else "light"
        response = RedirectResponse(safe_address(_one(fields, "next")), 303)
        response.set_cookie(THEME_COOKIE, chosen, max_age=A_YEAR_S, samesite="strict", httponly=True)
        return response

    return router


def keep_session(request: Request, response: Response, secret: str) -> None:
    """The session's secret as a cookie that no script reads and no other site causes to be sent."""
    secure = request.url.scheme == "https"
    response.set_cookie(SESSION_COOKIE, secret, max_age=SESSION_S, httponly=True, samesite="strict", secure=secure)


def _one(fields: Form, name: str) -> str:
    return next(iter(fields.get(name, ())), "")
