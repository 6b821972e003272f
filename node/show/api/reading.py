"""``/api/v1``: what there is. The keys are those of the command line's ``--json``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from node.domain.delivery import DeliveryState
from node.domain.job import JobState
from node.show.api.common import DELIVERIES, JOBS, NODE, STUDIES, Document, Limit, OfStudy, RowNumber, Uid, problems
from node.show.query import Filters
from node.show.site import Site

NOT_THERE = problems(s404="there is none")


def study_reading_router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/v1", responses=problems())

    @router.get("/studies", tags=STUDIES, response_model=None)
    def studies(
        filters: Filters,
        limit: Limit = 100,
        after: Annotated[str | None, Query(max_length=200, description="``following`` of the page before.")] = None,
    ) -> JSONResponse:
        """``{"studies": [...], "following"}``: the most urgent first; ``following`` is null on the last page."""
        page = site.listing.page(filters.wanted(site.clock.now()), limit, after, filters.by_age)
        return JSONResponse({"studies": page.studies, "following": page.following})

    @router.get("/studies/{uid}", tags=STUDIES, responses=NOT_THERE)
    def study(uid: Uid) -> Document:
        """Everything about one study: series, jobs, results, deliveries."""
        return site.worklist.study(uid)

    @router.get("/studies/{uid}/why", tags=STUDIES, responses=NOT_THERE)
    def why(uid: Uid) -> Document:
        """For every series and model: admitted or not, with each condition, what was wanted and what was found."""
        return site.worklist.why(uid)

    return router


def node_reading_router(site: Site) -> APIRouter:
    router = APIRouter(prefix="/api/v1", responses=problems())

    @router.get("/jobs", tags=JOBS)
    def jobs(state: JobState | None = None, study: OfStudy = None, limit: Limit = 100) -> Document:
        """The newest first."""
        return {"jobs": site.worklist.jobs(state, study, limit)}

    @router.get("/jobs/{job}", tags=JOBS, responses=NOT_THERE)
    def job(job: RowNumber) -> Document:
        """One job with its findings, objects, deliveries and provenance."""
        return site.worklist.job(job)

    @router.get("/deliveries", tags=DELIVERIES)
    def deliveries(state: DeliveryState | None = None, study: OfStudy = None, limit: Limit = 100) -> Document:
        """The newest first."""
        return {"deliveries": site.worklist.deliveries(state, study, limit)}

    @router.get("/destinations", tags=DELIVERIES)
    def destinations() -> Document:
        """What waits for each, and since when one takes nothing."""
        return {"destinations": site.destinations.all()}

    @router.get("/alerts", tags=NODE)
    def alerts(limit: Limit = 100) -> Document:
        """The newest first."""
        return {"alerts": site.worklist.alerts(limit)}

    @router.get("/models", tags=NODE)
    def models() -> Document:
        """Model packages, and what is wrong with those that cannot be used."""
        return {"models": site.status()["models"]}

    @router.get("/status", tags=NODE)
    def status() -> Document:
        """The node's state, its roles, jobs and deliveries by state, disk, devices, models."""
        return site.status()

    @router.get("/throughput", tags=NODE)
    def throughput() -> Document:
        """The last day and the day before it, in quarters of an hour: what the charts of ``/system`` show."""
        return site.throughput.document()

    return router
