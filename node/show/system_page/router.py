"""``/system``."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from node.show.pages import Pages
from node.show.site import Site
from node.show.system_page.charts import HEIGHT, WIDTH, charts
from node.show.visitor import Visiting

GB = 10**9


def system_router(site: Site, pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/system")
    def system(request: Request, visitor: Visiting) -> HTMLResponse:
        return pages.page(
            request,
            visitor,
            "system.html",
            status=site.status(),
            charts=charts(site.throughput.document()),
            width=WIDTH,
            height=HEIGHT,
            gigabytes=lambda count: f"{count / GB:.1f}",
        )

    return router
