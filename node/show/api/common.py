"""What every part of the API has: how errors look, and the limits of what is asked."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from fastapi import Path, Query

from node.show.problems import MEDIA_TYPE

Document = dict[str, Any]
Tags = list[str | Enum]
STUDIES: Tags = ["studies"]
JOBS: Tags = ["jobs"]
DELIVERIES: Tags = ["deliveries"]
NODE: Tags = ["node"]
SESSION: Tags = ["session"]

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable, for programs."},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def problems(**words: str) -> dict[int | str, dict[str, Any]]:
    """Statuses (``s404``) and what they mean, as OpenAPI responses; every question may be wrong in itself."""
    always = {"s400": "not to be read", "s401": "not logged in", "s421": "asked by another name", "s422": "not valid"}
    always |= {"s503": "the database does not answer"}
    content = {MEDIA_TYPE: {"schema": PROBLEM}}
    return {int(key[1:]): {"description": text, "content": content} for key, text in (always | words).items()}


RowNumber = Annotated[int, Path(ge=1, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many.")]
UID_PATTERN = r"^[0-9]+(\.[0-9]+)*$"
Uid = Annotated[str, Path(min_length=1, max_length=64, pattern=UID_PATTERN)]
OfStudy = Annotated[
    str | None, Query(min_length=1, max_length=64, pattern=UID_PATTERN, description="Study Instance UID.")
]
