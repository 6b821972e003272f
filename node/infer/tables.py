"""The strict tables that ``model.toml`` is made of, and what is still to be filled in of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from node.domain.result import CodedConcept

PLACEHOLDER = "FILL IN"  # what ``models new`` writes where only the author knows better

Text = Annotated[str, Field(min_length=1, max_length=64)]  # VR LO, PS3.5 Table 6.2-1
Short = Annotated[str, Field(min_length=1, max_length=16)]  # VR SH
Size = Annotated[int, Field(ge=1)]


# "1" is no number.
STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Code(BaseModel):
    model_config = STRICT

    value: Short
    scheme: Short
    meaning: Text

    def concept(self) -> CodedConcept:
        return CodedConcept(self.value, self.scheme, self.meaning)


def key_path(location: tuple[Any, ...]) -> str:
    """``segments[0].type.value`` of a place in a document."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def to_fill_in(document: Any, location: tuple[str | int, ...] = ()) -> Iterator[tuple[str, str]]:
    """(key path, what is wanted) of every text that still begins with ``FILL IN``."""
    if isinstance(document, str) and document.strip().startswith(PLACEHOLDER):
        wanted = document.strip().removeprefix(PLACEHOLDER).lstrip(": ")
        yield key_path(location), f"still to fill in: {wanted or 'a text'}"
    parts = (
        document.items() if isinstance(document, dict) else enumerate(document if isinstance(document, list) else ())
    )
    for name, part in parts:
        yield from to_fill_in(part, (*location, name))
