"""What the conformance statement says of QIDO-RS and WADO-RS, from what the code says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from fastapi import APIRouter
from fastapi.routing import APIRoute

from node.domain.dicom_web import ROOT
from node.domain.query import Level
from node.infer.pixels import DECODERS
from node.infer.uncompressed import SAME_PIXELS
from node.show.dicom_web.accepting import COMPRESSED, DICOM, DICOM_JSON, MULTIPART, OCTETS, PICTURES
from node.show.dicom_web.retrieve import add_retrieval
from node.show.dicom_web.search import LEVELS, OWN
from node.show.dicom_web.searches import add_searches

# By the end of a path, the longest that fits; what else is retrieved are objects.
_ANSWERS: Final[Mapping[str, str]] = {
    "/metadata": DICOM_JSON,
    "/rendered": ", ".join(PICTURES),
    "/thumbnail": ", ".join(PICTURES),
    "/frames/{numbers}": f"{MULTIPART} or one part alone: {OCTETS}, {', '.join(COMPRESSED)}",
    "/bulkdata/{path}": f"{MULTIPART} or alone: {OCTETS}",
}
_OBJECTS: Final = f"{MULTIPART}; type={DICOM}; an instance also alone"


def resources() -> Iterator[tuple[str, str, str]]:
    """Service, resource, and as what it is answered."""
    nothing: Any = None
    searches, retrieval = APIRouter(prefix=ROOT), APIRouter(prefix=ROOT)
    add_searches(searches, nothing)
    add_retrieval(retrieval, nothing, nothing)
    for path in _paths(searches):
        yield "search (QIDO-RS)", f"`{path}`", DICOM_JSON
    for path in _paths(retrieval):
        yield (
            "retrieve (WADO-RS)",
            f"`{path}`",
            next((_ANSWERS[end] for end in _ANSWERS if path.endswith(end)), _OBJECTS),
        )


def matched() -> Iterator[tuple[Level, str]]:
    """Level and keyword of what a search can match; it can match what is of its level or above."""
    for level in LEVELS:
        for keyword in OWN[level]:
            yield level, keyword


def uncompressed() -> list[str]:
    """Transfer syntaxes of which Explicit VR Little Endian is made."""
    return [str(uid) for uid in (*SAME_PIXELS, *DECODERS)]


def _paths(router: APIRouter) -> list[str]:
    """Below the base of the service, without what FastAPI says of a parameter."""
    return sorted(cast(APIRoute, route).path.removeprefix(ROOT).replace(":path}", "}") for route in router.routes)
