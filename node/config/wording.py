"""What is wrong with a key, in the words of an operator instead of the validator's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from node.config.base import AE_TITLE_PATTERN, HOST_PATTERN, MAIL_PATTERN, NAME_PATTERN, PAGES_PATTERN
from node.config.keys import Part, is_list, keys_at, may_be_list, suggestion, type_at, without_types, written
from node.config.review import TEXT_PATTERN
from node.config.sections import DEVICE_PATTERN, VIEWER_PATTERN

Problem = tuple[str, str]

PATTERN_WORDS = {
    AE_TITLE_PATTERN: "is no AE title: 1 to 16 characters without backslash and control characters",
    NAME_PATTERN: "may hold letters, digits, '.', '_' and '-' only",
    DEVICE_PATTERN: "must be auto, cpu, cuda or cuda:<number>",
    MAIL_PATTERN: "must be an address like radiology@example.org, without a name",
    PAGES_PATTERN: "must begin with http:// or https:// and have neither a query nor a fragment",
    HOST_PATTERN: "must be a host name or an address",
    TEXT_PATTERN: "must be text without backslash and control characters",
    VIEWER_PATTERN: (
        "must be an http(s) address or a path, with {study_instance_uid}, {accession_number} or {patient_id} in it"
    ),
}

WORDS = {
    "missing": "is missing",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "path_type": "must be a path",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "too_long": "may have {max_length} at most",
    "string_too_long": "may have {max_length} characters at most",
    "literal_error": "must be one of {expected}",
    "union_tag_invalid": "must be one of {expected_tags}",
}


def problems_of(error: ValidationError, origins: Mapping[str, str]) -> list[Problem]:
    """One problem for each key; where the value came from a variable, its name is said."""
    problems: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False):
        path = _key(item["loc"], item["type"])
        text = written(without_types(path)) or "config"
        origin = f" (from {origins[text]})" if text in origins else ""
        problems.setdefault(text, _words(path, item["type"], item["msg"], item.get("ctx", {})) + origin)
    return list(problems.items())


def _key(location: tuple[Part, ...], kind: str) -> tuple[Part, ...]:
    """The location without the names of union members that the validator adds behind the key."""
    if kind == "extra_forbidden":
        return location
    if kind.startswith("union_tag"):
        return (*location, "type")
    path = location
    while path and type_at(path) is None:
        path = path[:-1]
    return path


def _words(path: tuple[Part, ...], kind: str, message: str, context: Mapping[str, Any]) -> str:
    if kind == "extra_forbidden":
        return f"unknown key; {suggestion(str(path[-1]), keys_at(path[:-1]))}"
    if kind == "string_pattern_mismatch":
        return PATTERN_WORDS[context["pattern"]]
    one_or_list = may_be_list(type_at(path)) and not is_list(type_at(path))
    if kind in WORDS and not (one_or_list and kind != "tuple_type"):
        return WORDS[kind].format(**context)
    if one_or_list and kind in WORDS:
        return "must be text, a number, true, false or a list of texts and numbers"
    return message.removeprefix("Value error, ")
