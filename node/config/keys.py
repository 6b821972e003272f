"""The keys of the configuration as paths: what stands under a path, and how a path is written."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from node.config.sections import Config

Part = str | int


def written(path: Iterable[Part]) -> str:
    """``("routes", 0, "when")`` as ``routes[0].when``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def type_at(path: Sequence[Part]) -> Any:
    """The type of the value under ``path``; None where there is no such key."""
    kind: Any = Config
    for part in path:
        kind = _below(kind, part)
        if kind is None:
            return None
    return kind


def keys_at(path: Sequence[Part]) -> list[str]:
    """The keys of the table under ``path``; none where it is no table."""
    kind = type_at(path)
    return list(kind.model_fields) if is_table(kind) else []


def is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def is_list(kind: Any) -> bool:
    return typing.get_origin(kind) is tuple


def may_be_list(kind: Any) -> bool:
    return is_list(kind) or (
        typing.get_origin(kind) in (types.UnionType, typing.Union) and any(map(is_list, typing.get_args(kind)))
    )


def suggestion(key: str, known: Sequence[str]) -> str:
    """Words for a key that does not exist: the nearest one, or all there are."""
    near = difflib.get_close_matches(key.lower(), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"


def _below(kind: Any, part: Part) -> Any:
    if is_table(kind) and isinstance(part, str):
        field = kind.model_fields.get(part)
        return None if field is None else field.annotation
    if is_list(kind) and isinstance(part, int):
        return typing.get_args(kind)[0]
    return None
