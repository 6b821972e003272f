"""Static files: read once, served from memory under an address that changes with their content, kept for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response

FOLDER = Path(__file__).parent / "static"
KEEP = "public, max-age=31536000, immutable"
TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


@dataclass(frozen=True, slots=True)
class Assets:
    """``digest`` is of all files together: ES modules import each other by names beside their own."""

    files: Mapping[str, tuple[bytes, str]]
    digest: str

    def url(self, name: str) -> str:
        """
        Raises:
            KeyError: there is no such file.
        """
        self.files[name]
        return f"/static/{self.digest}/{name}"


def read_assets(folder: Path = FOLDER) -> Assets:
    """Every file of ``folder`` that has a type of ours."""
    files = {
        path.name: (path.read_bytes(), TYPES[path.suffix]) for path in sorted(folder.iterdir()) if path.suffix in TYPES
    }
    digest = hashlib.sha256()
    for name, (content, _) in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return Assets(files, digest.hexdigest()[:16])


def asset_router(assets: Assets) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{digest}/{name}")
    def static(digest: str, name: str) -> Response:
        found = assets.files.get(name)
        if found is None:
            raise HTTPException(404)
        # A page of an older version may still ask for the files it came with: it gets today's, and keeps none.
        control = KEEP if digest == assets.digest else "no-store"
        return Response(found[0], media_type=found[1], headers={"Cache-Control": control})

    return router
