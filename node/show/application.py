"""The web application: pages, API, static files, health; one router for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, FastAPI

from node import __version__
from node.show.api.acting import acting_router, session_router
from node.show.api.common import problems
from node.show.api.reading import node_reading_router, study_reading_router
from node.show.assets import asset_router, read_assets
from node.show.dicom_web.router import dicom_web_router
from node.show.events import JSON_ONLY, events_router, frame
from node.show.following import Follower
from node.show.headers import SecurityHeaders
from node.show.health import health_router
from node.show.language import Catalogue, Words
from node.show.list_page.router import list_router
from node.show.list_page.rows import Rows
from node.show.list_page.words import WORKLIST
from node.show.listing import Changed
from node.show.login_page.router import login_router
from node.show.login_page.words import LOGIN
from node.show.pages import Pages
from node.show.problems import add_problems
from node.show.queue_page.router import queue_router
from node.show.queue_page.words import QUEUE
from node.show.session import Reading
from node.show.site import Site
from node.show.study_page.router import study_router
from node.show.study_page.words import STUDY
from node.show.system_page.router import system_router
from node.show.system_page.words import SYSTEM
from node.show.ups.channel import channel_router
from node.show.ups.router import ups_router
from node.show.viewer.router import viewer_router
from node.show.visitor import Visitor
from node.show.words import COMMON

HERE = Path(__file__).parent
# A page is a function of the site and the templates; its words and templates stand beside it.
Router = Callable[[Site, Pages], APIRouter]
ROUTERS: Sequence[Router] = (study_router, queue_router, system_router, ups_router, dicom_web_router, viewer_router)
WORDS: Sequence[Words] = (COMMON, WORKLIST, LOGIN, STUDY, QUEUE, SYSTEM)
PAGES = ("list_page", "login_page", "study_page", "queue_page", "system_page")
TEMPLATE_FOLDERS: Sequence[Path] = tuple(HERE / page / "templates" for page in PAGES)

# What parts of the API that stand beside a page may answer.
PROBLEMS = problems(
    s403="another site asks",
    s404="there is none",
    s409="not in its present state",
    s413="too long",
    s415="no such form",
)


@dataclass(frozen=True, slots=True)
class Web:
    """``follower`` is to be started before ``application`` serves, and stopped before it can end."""

    application: FastAPI
    follower: Follower


def make_web(site: Site) -> Web:
    assets = read_assets()
    pages = Pages(Catalogue(*WORDS), assets, TEMPLATE_FOLDERS)
    rows = Rows(pages)
    follower = Follower(site.projection, site.listing, _frames(site, rows))
    application = FastAPI(
        title="ainode",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    application.state.site = site
    application.include_router(health_router(site.status))
    application.include_router(asset_router(assets))
    application.include_router(login_router(site, pages))
    application.include_router(session_router(site))
    application.include_router(acting_router(site))
    application.include_router(channel_router(site))
    for router in (list_router(site, pages, rows), events_router(follower, site.clock)):
        application.include_router(router, dependencies=[Reading])
    for reading in (study_reading_router(site), node_reading_router(site)):
        application.include_router(reading, dependencies=[Reading])
    for make in ROUTERS:
        application.include_router(make(site, pages), dependencies=[Reading], responses=PROBLEMS)
    add_problems(application, pages)
    application.add_middleware(SecurityHeaders)
    return Web(application, follower)


def _frames(site: Site, rows: Rows) -> Callable[[str, Changed, bool], str]:
    """What listeners of a kind, a language or plain JSON, are told of a change."""

    def made(kind: str, change: Changed, fits: bool) -> str:
        html = None
        if fits and kind != JSON_ONLY:
            now, done_at = site.clock.now(), site.waiting.done_at(site.workers())
            html = str(rows.html(change.document, Visitor(language=kind), now, done_at))
        return frame(change, fits, html)

    return made
