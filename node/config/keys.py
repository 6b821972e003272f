"""The keys of the configuration as paths: what stands under a path, and how a path is written."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

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
    """The keys of the table under ``path``, in any of its forms; none where it is no table."""
    return list(dict.fromkeys(key for table in tables_of(type_at(path)) for key in table.model_fields))


def is_table(kind: Any) -> bool:
    return bool(tables_of(kind))


def tables_of(kind: Any) -> list[type[BaseModel]]:
    """The table, or those of which its ``type`` says which it is; none where it is no table."""
    if typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    members = typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, typing.Union) else (kind,)
    return [one for one in members if isinstance(one, type) and issubclass(one, BaseModel)]


def without_types(path: Sequence[Part]) -> tuple[Part, ...]:
    """The path as it is written in the file: the validator says behind a table which of its forms it took."""
    return tuple(part for depth, part in enumerate(path) if _form(type_at(path[:depth]), part) is None)


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
    if isinstance(part, int):
        return typing.get_args(kind)[0] if is_list(kind) else None
    for table in tables_of(kind):
        if part in table.model_fields:
            return table.model_fields[part].annotation
    return _form(kind, part)


def _form(kind: Any, part: Part) -> type[BaseModel] | None:
    """Of a table with several forms the one whose ``type`` is ``part``."""
    forms = tables_of(kind)
    named = (one for one in forms if "type" in one.model_fields and one.model_fields["type"].default == part)
    return next(named, None) if len(forms) > 1 else None
