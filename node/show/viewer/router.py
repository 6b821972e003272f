"""``/viewer``: the installed viewer, for whoever may read the pages.

Its page is the only one with another content security policy than the node's: it draws through WebAssembly, workers
and functions that are made of text, and styles of its own. Its scripts all come from files of the node.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse

from node.domain.dicom_web import VIEWER
from node.errors import NotFound
from node.show.pages import Pages
from node.show.site import Site

PAGE: Final = "index.html"
LINK: Final = VIEWER + "?StudyInstanceUIDs={study_instance_uid}"
PAGE_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-eval'",
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "manifest-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# A script that a worker is made of brings the worker's policy.
SCRIPT_POLICY: Final = "default-src 'none'; script-src 'self' 'unsafe-eval'; connect-src 'self'"
TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
OTHER: Final = "application/octet-stream"
# Names change with what is in the files, but for a few: these are asked about each time.
KEPT: Final = "private, max-age=86400"
ASKED_ABOUT: Final = "private, no-cache"


def viewer_router(site: Site, pages: Pages) -> APIRouter:
    del pages
    router = APIRouter(include_in_schema=False)

    @router.get(VIEWER)
    def page() -> FileResponse:
        return _file(site, PAGE)

    @router.get(VIEWER + "/{name:path}")
    def file(name: str) -> FileResponse:
        return _file(site, name or PAGE)

    return router


def installed(folder: Path) -> bool:
    return (folder / PAGE).is_file()


def _file(site: Site, name: str) -> FileResponse:
    """
    Raises:
        NotFound: no viewer is installed, or it has no such file.
    """
    folder = site.viewer
    if folder is None or not installed(folder):
        raise NotFound("no viewer is installed: 'ainode viewer install' puts one here")
    path = _below(folder, name)
    headers = {"Cache-Control": KEPT if path.name.count(".") > 1 or path.suffix == ".wasm" else ASKED_ABOUT}
    if path.suffix == ".html":
        headers["Content-Security-Policy"] = PAGE_POLICY
    elif path.suffix in (".js", ".mjs"):
        headers["Content-Security-Policy"] = SCRIPT_POLICY
    return FileResponse(path, media_type=TYPES.get(path.suffix, OTHER), headers=headers)


def _below(folder: Path, name: str) -> Path:
    """Nothing outside of ``folder``, whatever ``name`` says."""
    try:
        root = folder.resolve()
        path = (root / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            return path
    except (OSError, ValueError):
        pass
    raise NotFound("the viewer has no such file")
