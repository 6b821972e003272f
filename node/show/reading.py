"""How a line of the worklist is read by a person: names, ages and numbers in their written form. Pure."""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

LONGEST_UNIT = 12
UNITS = {"1": "", "{counts}": "", "[hnsf'U]": "HU", "mm2": "mm²", "mm3": "mm³", "cm3": "cm³", "cm2": "cm²", "Cel": "°C"}


def person_name(value: str, language: str) -> str:
    """A Person Name (PS3.5 6.2.1) as it is read: its ideographic form in Chinese where it has one.

    Family and given name are what comes first; prefix and suffix are left out.
    """
    groups = [part.strip() for part in value.split("=")]
    ideographic = groups[1] if len(groups) > 1 else ""
    chosen = ideographic if ideographic and (language == "zh" or not groups[0]) else groups[0]
    parts = [part.strip() for part in chosen.split("^")[:3]]
    if chosen == ideographic and chosen:
        return "".join(parts)
    given = " ".join(part for part in parts[1:] if part)
    return ", ".join(part for part in (parts[0], given) if part)


def age_years(birth_date: str, acquired_at: str | None) -> int | None:
    """Whole years between Patient's Birth Date (DA) and the acquisition; None where one of them is not known."""
    digits = birth_date.strip()
    if len(digits) != 8 or not digits.isdecimal():
        return None
    try:
        born = date.fromisoformat(digits)
        at = date.fromisoformat((acquired_at or "")[:10])
    except ValueError:
        return None
    anniversary = min(born.day, calendar.monthrange(at.year, born.month)[1])
    years = at.year - born.year - ((at.month, at.day) < (born.month, anniversary))
    return years if 0 <= years < 150 else None


def key_number(finding: Mapping[str, Any] | None) -> str:
    """``14.2 mL``, or a probability in percent, or nothing."""
    if finding is None:
        return ""
    if finding["value"] is not None:
        unit = finding["unit"] or ""
        return f"{number(finding['value'])} {UNITS.get(unit, unit[:LONGEST_UNIT])}".rstrip()
    return "" if finding["probability"] is None else f"{100 * finding['probability']:.0f} %"


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    size = abs(value)
    places = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{places}f}" if size >= 0.001 or value == 0 else f"{value:.2g}"


def ago(seconds: float) -> tuple[str, int]:
    """The unit (``age.min``, ``age.h``, ``age.d`` or ``age.y``) and how many of them, rounded down."""
    minutes = max(0, int(seconds // 60))
    if minutes < 120:
        return "age.min", minutes
    if minutes < 48 * 60:
        return "age.h", minutes // 60
    days = minutes // (24 * 60)
    return ("age.d", days) if days < 730 else ("age.y", int(days // 365.25))


def dots(delivery: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Sent, committed and read back, each ``none``, ``some``, ``all``, ``failed`` or ``unknown``."""
    wanted, to_commit = delivery["wanted"], delivery["to_commit"]
    stored = "failed" if delivery["failed"] else _share(delivery["stored"], wanted)
    committed = _share(delivery["committed"], to_commit) if to_commit else "unknown"
    # A line that an earlier version wrote does not say how many are looked for.
    looked_for = delivery.get("to_read_back") or wanted
    read = "unknown" if delivery["read_back"] is None else _share(delivery["read_back"], looked_for)
    return (("stored", stored), ("committed", committed), ("read_back", read))


def _share(done: int, wanted: int) -> str:
    if not done:
        return "none"
    return "all" if done >= wanted else "some"
