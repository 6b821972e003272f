"""Documents with generated parts: each between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``."""

from __future__ import annotations

from tests.peers import REPOSITORY

CONFORMANCE = REPOSITORY / "docs" / "conformance.md"


def generated(name: str) -> str:
    """What stands between the markers of this name in docs/conformance.md.

    Raises:
        ValueError: there are no such markers.
    """
    text = CONFORMANCE.read_text(encoding="utf-8")
    begin, end = f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"
    start = text.index(begin) + len(begin)
    return text[start : text.index(end, start)]
