"""Addresses of what is here, as whoever asks reaches it."""

from __future__ import annotations

from fastapi import Request

from node.domain.dicom_web import ROOT

LEVELS = ("studies", "series", "instances")


def service(request: Request) -> str:
    """The base of every address: scheme and host are those that were asked."""
    return f"{str(request.base_url).rstrip('/')}{ROOT}"


def address(request: Request, *uids: str) -> str:
    """Of a study, a series or an instance."""
    return service(request) + "".join(f"/{level}/{uid}" for level, uid in zip(LEVELS, uids, strict=False))


def accept_of(request: Request) -> str:
    """The parameter ``accept`` of the address goes before the header (PS3.18 section 8.3.3.1)."""
    return request.query_params.get("accept") or request.headers.get("accept", "")
