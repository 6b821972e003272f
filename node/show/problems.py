"""Errors as answers: JSON problem documents (RFC 9457) for programs, a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHttpException

from node import errors
from node.errors import AinodeError
from node.show.pages import Pages
from node.show.visitor import stranger

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
# The HTTP status of an error, by its class or the nearest one above it.
STATUSES: Mapping[type[AinodeError], int] = {
    errors.NotFound: 404,
    errors.ObjectMissing: 404,
    errors.InvalidUid: 400,
    errors.UnusableKey: 400,
    errors.NotAcceptable: 406,
    errors.SearchTooWide: 413,
    errors.NotLoggedIn: 401,
    errors.LoginRefused: 401,
    errors.ForgedRequest: 403,
    errors.TooManyAttempts: 429,
    errors.InvalidAssessment: 422,
    errors.OperationError: 409,
    errors.StoreUnavailable: 503,
    errors.InputError: 422,
}
CODES = {
    400: "BadRequest", 401: "NotLoggedIn", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
    413: "TooLarge", 415: "UnsupportedMediaType", 422: "InvalidInput", 429: "TooManyAttempts",
}  # fmt: skip


def problem(status: int, code: str, detail: str, **more: Any) -> JSONResponse:
    body = {"type": f"urn:ainode:problem:{code}", "title": code, "status": status, "detail": detail, "code": code}
    return JSONResponse(body | more, status, media_type=MEDIA_TYPE)


def status_of(error: AinodeError) -> int:
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def add_problems(application: FastAPI, pages: Pages) -> None:
    """Every error of ``application`` is answered: as a problem below ``/api/``, else as a page."""

    def answer(request: Request, status: int, code: str, detail: str, **more: Any) -> Response:
        if request.url.path.startswith("/api/"):
            return problem(status, code, detail, **more)
        if status == 401:
            back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse("/login?" + urlencode({"next": back if request.method == "GET" else "/"}), 303)
        return pages.page(request, stranger(request), "error.html", status, code=code, detail=detail, number=status)

    def of_ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, AinodeError)
        status = status_of(error)
        if status >= 500:
            log.error("page.failed", error=error.code)
        return answer(request, status, error.code, error.message)

    def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, AnyHttpException)
        code = CODES.get(error.status_code, "HttpError")
        response = answer(request, error.status_code, code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    def of_input(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        wrong = [{"where": list(one["loc"]), "problem": one["msg"]} for one in error.errors()]
        return answer(request, 422, "InvalidInput", "parameters are not as they should be", errors=wrong)

    application.add_exception_handler(AinodeError, of_ours)
    application.add_exception_handler(AnyHttpException, of_http)
    application.add_exception_handler(HTTPException, of_http)
    application.add_exception_handler(RequestValidationError, of_input)
