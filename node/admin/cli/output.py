"""What commands print: tables for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

STATE_STYLES = {
    "COMPLETED": "green",
    "COMMITTED": "green",
    "STORED": "cyan",
    "IN_PROGRESS": "yellow",
    "SCHEDULED": "blue",
    "FAILED": "bold red",
    "CANCELED": "dim",
    "POSITIVE": "bold magenta",
    "NEGATIVE": "green",
    "NOT EVALUABLE": "yellow",
    "NOT WANTED": "dim",
    "WITHDRAWN": "bold red",
    "SUPERSEDED": "dim",
    "PENDING": "blue",
    "OK": "green",
    "WARN": "yellow",
    "FAIL": "bold red",
    "ok": "green",
    "up": "green",
    "degraded": "yellow",
    "stale": "bold red",
    "down": "bold red",
}


def print_json(document: Any) -> None:
    """One JSON document; times become ISO 8601 in UTC."""
    json.dump(document, sys.stdout, indent=2, default=_plain, ensure_ascii=False)
    sys.stdout.write("\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


# A pipe has no width of its own; rich would take 80 columns and break every UID.
PIPE_WIDTH = 200
# Never broken over lines, whatever else has to give way.
UNBROKEN = frozenset(
    {"id", "job", "state", "priority", "attempt", "met", "kind", "verdict", "modality", "created_at", "updated_at"}
)


def console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def message_console() -> Console:
    """Messages go to stderr, so that stdout stays clean for a pipe."""
    return Console(stderr=True, highlight=False)


def table(title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], empty: str = "none") -> Table:
    """Rows under ``columns`` (key: heading). Text from outside is shown as it is, never taken as markup."""
    made = Table(title=f"{title}: {empty}" if not rows else title, title_justify="left", header_style="bold")
    for key, heading in columns.items():
        # A UID is cut on a narrow terminal rather than folded into a tower; --json and the show commands have it whole.
        is_uid = key.endswith("_uid")
        made.add_column(
            heading, overflow="ellipsis" if is_uid else "fold", no_wrap=is_uid or key in UNBROKEN, min_width=4
        )
    for row in rows:
        made.add_row(*(cell(row.get(key)) for key in columns))
    return made


def cell(value: Any) -> Text:
    """A value as a table cell, states in their colour."""
    if value is None:
        return Text("")
    if isinstance(value, datetime):
        return Text(value.astimezone(UTC).strftime("%m-%d %H:%M:%SZ"))
    if isinstance(value, float):
        return Text(f"{value:g}")
    if isinstance(value, list | tuple):
        return Text(", ".join(str(part) for part in value))
    if isinstance(value, Mapping):
        return Text("\n".join(f"{key}: {part}" for key, part in value.items()))
    text = str(value)
    return Text(text, style=STATE_STYLES.get(text, ""))


def line(text: str) -> str:
    """Text from outside, safe inside rich markup."""
    return escape(text)


def finding_text(finding: Mapping[str, Any]) -> str:
    """A finding as one line: what, how sure, how large."""
    measurements = ", ".join(f"{one['value']:g} {one['unit']}" for one in finding["measurements"])
    probability = "" if finding["probability"] is None else f"{finding['probability']:.0%}"
    return " ".join(part for part in (finding_name(finding), probability, measurements) if part)


def finding_name(finding: Mapping[str, Any]) -> str:
    """What was found, or looked for in vain; results of earlier versions say only what was found."""
    return str(finding["concept"] if finding.get("present", True) else f"no {finding['concept'].lower()}")
