"""The strict tables that ``model.toml`` is made of, and what is still to be filled in of one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from node.domain.interval import Interval
from node.domain.result import CodedConcept

PLACEHOLDER = "FILL IN"  # what ``models new`` writes where only the author knows better

Text = Annotated[str, Field(min_length=1, max_length=64)]  # VR LO, PS3.5 Table 6.2-1
Short = Annotated[str, Field(min_length=1, max_length=16)]  # VR SH
Size = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


def _interval(pair: list[float]) -> list[float]:
    if not pair[0] <= pair[1]:
        raise ValueError("two numbers, the lower one first; inf leaves a side open")
    return pair


Bound = Annotated[float, Field(allow_inf_nan=True)]  # [16, inf]: TOML's words for an open side
Pair = Annotated[list[Bound], Field(min_length=2, max_length=2), AfterValidator(_interval)]


# "1" is no number.
STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Code(BaseModel):
    model_config = STRICT

    value: Short
    scheme: Short
    meaning: Text

    def concept(self) -> CodedConcept:
        return CodedConcept(self.value, self.scheme, self.meaning)


def bounds(pair: list[float] | None) -> Interval:
    """The interval of a ``Pair``; what is absent is any."""
    if pair is None:
        return Interval()
    low, high = (bound if math.isfinite(bound) else None for bound in pair)
    return Interval(low, high)


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
