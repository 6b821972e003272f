"""``/api/v1``: what may be done, by a named user. The answer is what became of the row, or why it was not done.

A session begins with ``POST /sessions``; its cookie and, in the header X-CSRF-Token, its token go with every request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from node.domain.job import Priority
from node.show.api.common import DELIVERIES, JOBS, SESSION, Document, RowNumber, problems
from node.show.login_page.router import keep_session
from node.show.session import Calling, same_origin
from node.show.site import Done, Site
from node.show.visitor import SESSION_COOKIE

REFUSED = problems(
    s403="the token is missing, or another site asks", s404="there is none", s409="not in its present state"
)
LOGGED_IN = problems(s401="no account with this name and password", s403="another site asks", s429="too many attempts")


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=256)]


class Prioritised(BaseModel):
    model_config = ConfigDict(extra="forbid")

    priority: Literal["HIGH", "MEDIUM", "LOW"] = "HIGH"


def acting_router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/v1", responses=REFUSED)

    @router.post("/jobs/{job}/retry", tags=JOBS)
    def retry(job: RowNumber, operator: Calling) -> Document:
        """Run a FAILED or CANCELED job again."""
        return _done(site.actions(operator.name).retry_jobs([job]))

    @router.post("/jobs/{job}/cancel", tags=JOBS)
    def cancel(job: RowNumber, operator: Calling) -> Document:
        """Cancel a job; one that runs is stopped."""
        return _done(site.actions(operator.name).cancel_jobs([job]))

    @router.post("/jobs/{job}/prioritise", tags=JOBS)
    def prioritise(job: RowNumber, operator: Calling, wanted: Prioritised) -> Document:
        """Change the priority of a job and of its deliveries."""
        return _done(site.actions(operator.name).prioritise_jobs([job], Priority[wanted.priority]))

    @router.post("/queue/pause", tags=JOBS)
    def pause(operator: Calling) -> Document:
        """No job is started any more; reception and delivery go on."""
        site.actions(operator.name).pause()
        return {"paused": True}

    @router.post("/queue/resume", tags=JOBS)
    def resume(operator: Calling) -> Document:
        """Jobs are started again."""
        site.actions(operator.name).resume()
        return {"paused": False}

    @router.post("/deliveries/{delivery}/retry", tags=DELIVERIES)
    def resend(delivery: RowNumber, operator: Calling) -> Document:
        """Send an object again: one that FAILED, was CANCELED, or is STORED and was lost there."""
        return _done(site.actions(operator.name).retry_deliveries([delivery]))

    @router.delete("/sessions", tags=SESSION, status_code=204, response_class=Response)
    def logout(request: Request, operator: Calling) -> Response:
        """End the session."""
        del operator
        site.logins.logout(request.cookies.get(SESSION_COOKIE, ""))
        response = Response(status_code=204)
        response.delete_cookie(SESSION_COOKIE)
        return response

    return router


def session_router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=SESSION, responses=LOGGED_IN)

    @router.post("/sessions", dependencies=[Depends(same_origin)])
    def login(request: Request, response: Response, given: Login) -> Document:
        """Begin a session: a cookie, and the token that goes with every request that changes something."""
        secret = site.logins.login(given.name.strip().lower(), given.password)
        keep_session(request, response, secret)
        return {"user": given.name.strip().lower(), "csrf_token": site.logins.csrf(secret)}

    return router


def _done(done: Sequence[Done]) -> Document:
    """
    Raises:
        OperationError: it was not done.
    """
    (one,) = done
    if one.error is not None:
        raise one.error
    return {"id": one.id, "done": True}
