"""Environment variables over the file: ``AINODE_RECEIVE__PORT=104``, ``AINODE_DESTINATIONS__0__HOST=pacs``.

Lists are written as JSON; everything else is text that the key's type converts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from node.config.keys import Part, is_list, is_table, keys_at, may_be_list, suggestion, type_at, written

ENVIRONMENT_PREFIX = "AINODE_"
# Variables with our prefix that are no configuration keys: where the file is, where tests find real data.
NOT_KEYS = frozenset({"AINODE_CONFIG", "AINODE_DATA"})

Problem = tuple[str, str]


def overlay(tree: dict[str, Any], environment: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    """Write every variable into ``tree``; (key path -> variable, problems)."""
    origins: dict[str, str] = {}
    problems: list[Problem] = []
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in NOT_KEYS:
            continue
        path = _path(variable)
        problem = _name_problem(path) or _set(tree, path, text)
        if problem:
            problems.append((variable, problem))
        else:
            origins[written(path)] = variable
    return origins, problems


def _path(variable: str) -> tuple[Part, ...]:
    parts = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
    return tuple(int(part) if part.isascii() and part.isdigit() else part for part in parts)


def _name_problem(path: tuple[Part, ...]) -> str | None:
    """Why the variable's name is no key; None where it is one."""
    for depth, part in enumerate(path):
        if type_at(path[: depth + 1]) is None:
            known = keys_at(path[:depth])
            where = f" of {written(path[:depth])}" if depth else ""
            hint = suggestion(str(part), known) if known else "a place in a list is a number from 0"
            return f"no key {str(part)!r}{where}; {hint}"
    if is_table(type_at(path)):
        return f"names the whole table; add a key, as in {ENVIRONMENT_PREFIX}RECEIVE__PORT"
    return None


def _set(tree: dict[str, Any], path: tuple[Part, ...], text: str) -> str | None:
    try:
        value = _value(type_at(path), text)
    except (json.JSONDecodeError, RecursionError):
        return 'a list is written as JSON, as in ["a", "b"]'
    place: Any = tree
    for depth, part in enumerate(path[:-1]):
        place = _step(place, part, [] if isinstance(path[depth + 1], int) else {})
    if isinstance(place, dict):
        place[path[-1]] = value
        return None
    if isinstance(place, list) and isinstance(path[-1], int) and path[-1] <= len(place):
        place[path[-1] :] = [value, *place[path[-1] + 1 :]]
        return None
    return f"there is no {written(path[:-1])} to write into"


def _step(place: Any, part: Part, new: Any) -> Any:
    """What stands at ``part``; the next free place of a list and an absent table are made."""
    if isinstance(place, dict):
        return place.setdefault(part, new)
    if isinstance(place, list) and isinstance(part, int) and part <= len(place):
        if part == len(place):
            place.append(new)
        return place[part]
    return None


def _value(kind: Any, text: str) -> Any:
    if is_list(kind) or (may_be_list(kind) and text.startswith("[")):
        return json.loads(text)
    return text
