"""``/api/dicom-web``: searches and retrievals for whoever may read the pages."""

from __future__ import annotations

from fastapi import APIRouter

from node.domain.dicom_web import ROOT
from node.show.dicom_web.accesses import Accesses
from node.show.dicom_web.retrieve import add_retrieval
from node.show.dicom_web.searches import add_searches
from node.show.pages import Pages
from node.show.site import Site


def dicom_web_router(site: Site, pages: Pages) -> APIRouter:
    """Described by PS3.18, not by the OpenAPI document, in which its media types cannot be said."""
    del pages
    router = APIRouter(prefix=ROOT, include_in_schema=False)
    if site.dicom_web is not None:
        add_searches(router, site.dicom_web)
        add_retrieval(router, site.dicom_web, Accesses(site.dicom_web.record, site.clock))
    return router
