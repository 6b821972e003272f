"""``/``: a page of the worklist, complete without JavaScript."""

from __future__ import annotations

import ipaddress
import socket
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from node.config import Config
from node.domain.document import RejectionTitle
from node.domain.result import Outcome
from node.show.list_page.rows import Rows
from node.show.pages import Pages
from node.show.query import PERIODS, Asked, Filters
from node.show.site import Site
from node.show.visitor import Visiting, Visitor

AT_ONCE = 100


def list_router(site: Site, pages: Pages, rows: Rows) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def worklist(
        request: Request,
        visitor: Visiting,
        filters: Filters,
        after: Annotated[str | None, Query(max_length=200)] = None,
    ) -> HTMLResponse:
        now = site.clock.now()
        wanted = filters.wanted(now)
        page = site.listing.page(wanted, AT_ONCE, after, filters.by_age)
        empty = not page.studies and site.listing.is_empty() and not site.listing.pending()
        done_at = site.waiting.done_at(site.workers())
        return pages.page(
            request,
            visitor,
            "worklist.html",
            rows=[rows.html(study, visitor, now, done_at) for study in page.studies],
            empty=empty,
            listing=not empty and site.listing.pending(),
            address=address(site.config) if empty else {},
            query=filters,
            filtered=bool(filters.written()),
            first=after is None,
            first_page="/?" + filters.written(),
            next_page="/?" + filters.written(after=page.following) if page.following else None,
            events="/api/v1/events?" + filters.written(rows=visitor.language),
            limit=AT_ONCE,
            titles=[one.value for one in RejectionTitle],
            **_choices(site, pages, visitor, filters),
        )

    return router


def _choices(site: Site, pages: Pages, visitor: Visitor, filters: Asked) -> dict[str, Any]:
    """What can be chosen in each filter: a value and its words. What is chosen stays there to be seen."""
    found = site.choices.found()
    modalities, models = set(found.modalities), set(found.models)
    modalities |= {filters.modality} - {""}
    models |= {filters.model} - {""}
    return {
        "modalities": [(one, one) for one in sorted(modalities)],
        "models": [(one, one) for one in sorted(models)],
        "outcomes": [(one.value, pages.say(visitor, f"outcome.{one.value}")) for one in Outcome],
        "periods": [(one, pages.say(visitor, f"list.period.{one}")) for one in PERIODS],
    }


def address(config: Config) -> dict[str, Any]:
    """Where the first study is to be sent."""
    receive = config.receive
    host = socket.gethostname() if receive.host in {"0.0.0.0", "::", ""} else receive.host  # noqa: S104  a comparison
    return {
        "ae_title": config.node.ae_title,
        "host": host,
        "port": receive.port,
        "loopback": is_loopback(receive.host),
        "command": f"storescu -aec {config.node.ae_title} +sd +r {host} {receive.port} FOLDER",
    }


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
