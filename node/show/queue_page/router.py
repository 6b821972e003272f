"""``/queue``: readable without an account; every action is confirmed, and done under a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from node.domain.delivery import DeliveryState
from node.domain.job import JobState, Priority
from node.show.pages import Pages
from node.show.queue_page.advice import advice, worst
from node.show.session import Acting
from node.show.site import Actions, Done, Site
from node.show.visitor import Visiting

AT_ONCE = 100
ALERTS = 20
Action = Literal["retry", "cancel", "prioritise", "resend", "pause", "resume"]
# What can be done to a job, and to a delivery, in a state.
OF_JOB = {
    JobState.SCHEDULED: ("prioritise", "cancel"),
    JobState.IN_PROGRESS: ("cancel",),
    JobState.FAILED: ("retry", "cancel"),
    JobState.CANCELED: ("retry",),
    JobState.COMPLETED: (),
}
OF_DELIVERY = {
    DeliveryState.FAILED: ("resend",),
    DeliveryState.CANCELED: ("resend",),
    DeliveryState.STORED: ("resend",),
}


def queue_router(site: Site, pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/queue")
    def queue(
        request: Request,
        visitor: Visiting,
        job_state: JobState | None = None,
        delivery_state: DeliveryState | None = None,
    ) -> Response:
        status, destinations = site.status(), site.destinations.all()
        return pages.page(
            request,
            visitor,
            "queue.html",
            status=status,
            destinations=destinations,
            trouble=worst(destinations),
            jobs=site.worklist.jobs(job_state, limit=AT_ONCE),
            job_state=job_state,
            job_states=list(JobState),
            deliveries=site.worklist.deliveries(delivery_state, limit=AT_ONCE),
            delivery_state=delivery_state,
            delivery_states=list(DeliveryState),
            alerts=site.worklist.alerts(ALERTS),
            of_job=OF_JOB,
            of_delivery=OF_DELIVERY,
            advice=advice,
        )

    @router.get("/queue/confirm")
    def confirm(
        request: Request, visitor: Visiting, action: Action, row: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0
    ) -> Response:
        return pages.page(request, visitor, "confirm.html", action=action, row=row)

    @router.post("/queue/do")
    def act(operator: Acting) -> Response:
        """
        Raises:
            OperationError: the row is not in a state for that.
        """
        row = operator.field("row")
        if not row.isdecimal() or len(row) > 18:
            raise HTTPException(400, "no such row")
        for one in _do(site.actions(operator.name), operator.field("action"), int(row)):
            if one.error is not None:
                raise one.error
        return RedirectResponse("/queue", 303)

    return router


def _do(actions: Actions, action: str, row: int) -> Sequence[Done]:
    match action:
        case "retry":
            return actions.retry_jobs([row])
        case "cancel":
            return actions.cancel_jobs([row])
        case "prioritise":
            return actions.prioritise_jobs([row], Priority.HIGH)
        case "resend":
            return actions.retry_deliveries([row])
        case "pause":
            actions.pause()
        case "resume":
            actions.resume()
        case _:
            raise HTTPException(400, "no such action")
    return ()
