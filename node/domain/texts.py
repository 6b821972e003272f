"""Which texts and codes fit into DICOM attributes."""

from __future__ import annotations

from node.domain.result import CodedConcept
from node.errors import InvalidModelOutput

SHORT_STRING, LONG_STRING, UNLIMITED_CODE = 16, 64, 256


def require_concept(concept: CodedConcept, field: str) -> None:
    """Code Value may be longer than 16 characters: it is then a Long Code Value (PS3.3 section 8.1).

    Raises:
        InvalidModelOutput: ``details['field']`` is ``<field>.value``, ``<field>.scheme`` or ``<field>.meaning``.
    """
    if not isinstance(concept, CodedConcept):
        raise _invalid(field, f"{type(concept).__name__} instead of a CodedConcept")
    require_text(concept.value, f"{field}.value", UNLIMITED_CODE)
    require_text(concept.scheme, f"{field}.scheme", SHORT_STRING)
    require_text(concept.meaning, f"{field}.meaning", LONG_STRING)


def require_text(text: str, field: str, longest: int) -> None:
    """
    Raises:
        InvalidModelOutput: empty, longer than ``longest``, or with what no LO or SH holds (PS3.5 table 6.2-1).
    """
    if not isinstance(text, str):
        raise _invalid(field, f"{type(text).__name__} instead of a text")
    if not text.strip():
        raise _invalid(field, "empty")
    if len(text) > longest:
        raise _invalid(field, f"{len(text)} characters, at most {longest} are possible")
    if "\\" in text or not text.isprintable():
        raise _invalid(field, "holds a backslash or control characters")


def _invalid(field: str, problem: str) -> InvalidModelOutput:
    return InvalidModelOutput(f"{field}: {problem}", field=field)
