"""How a line is read: names, ages, numbers, times."""

from __future__ import annotations

import pytest

from node.show.line import acquired
from node.show.reading import age_years, ago, dots, key_number, number, person_name


@pytest.mark.parametrize(
    ("value", "language", "expected"),
    [
        ("DOE^Jane", "en", "DOE, Jane"),
        ("DOE^Jane^Mary^Dr^Jr", "en", "DOE, Jane Mary"),
        ("DOE", "en", "DOE"),
        ("^Jane", "en", "Jane"),
        ("", "en", ""),
        ("^^^", "en", ""),
        ("Wang^XiaoDong=王^小东", "en", "Wang, XiaoDong"),
        ("Wang^XiaoDong=王^小东=", "zh", "王小东"),
        ("=王^小东", "en", "王小东"),
    ],
)
def test_person_names(value: str, language: str, expected: str) -> None:
    assert person_name(value, language) == expected


@pytest.mark.parametrize(
    ("born", "at", "expected"),
    [
        ("19700102", "2026-01-01T10:00:00", 55),
        ("19700102", "2026-01-02", 56),
        ("20000229", "2027-02-28", 27),
        ("", "2026-01-01", None),
        ("19700101", None, None),
        ("nonsense", "2026-01-01", None),
        ("20300101", "2026-01-01", None),
        ("10000101", "2026-01-01", None),
    ],
)
def test_ages(born: str, at: str | None, expected: int | None) -> None:
    assert age_years(born, at) == expected


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20260102", "030405.123", "2026-01-02T03:04:05"),
        ("20260102", "0304", "2026-01-02T03:04:00"),
        ("20260102", "", "2026-01-02"),
        ("20260102", "99", "2026-01-02"),
        ("", "030405", None),
        ("2026-01-02", "", None),
    ],
)
def test_times_of_acquisition(date: str, time: str, expected: str | None) -> None:
    assert acquired(date, time) == expected


def test_numbers_have_three_digits_that_count() -> None:
    assert [number(value) for value in (0, 0.01234, 1.234, 14.23, 142.34, 0.00001)] == [
        *("0.000", "0.012", "1.23", "14.2", "142", "1e-05")
    ]
    finding = {"concept": "x", "probability": 0.873, "value": None, "unit": None}
    assert key_number(finding) == "87 %"
    assert key_number(finding | {"value": 3.254, "unit": "mL"}) == "3.25 mL"
    assert key_number(finding | {"value": -20.0, "unit": "[hnsf'U]"}) == "-20.0 HU"
    assert key_number(finding | {"probability": None}) == key_number(None) == ""


def test_ages_of_studies_are_exact_below_two_hours() -> None:
    assert [ago(seconds) for seconds in (-5, 59, 60, 7199, 7200, 172800, 70_000_000)] == [
        *(("age.min", 0), ("age.min", 0), ("age.min", 1), ("age.min", 119)),
        *(("age.h", 2), ("age.d", 2), ("age.y", 2)),
    ]


def test_a_failed_delivery_is_never_a_full_dot() -> None:
    delivery = {"wanted": 2, "to_commit": 1, "stored": 1, "committed": 0, "read_back": None, "failed": 0}
    assert dict(dots(delivery)) == {"stored": "some", "committed": "none", "read_back": "unknown"}
    assert dict(dots(delivery | {"stored": 2, "committed": 1})) == {
        **{"stored": "all", "committed": "all"},
        **{"read_back": "unknown"},
    }
    seen = delivery | {"to_read_back": 2, "read_back": 1}
    assert [dict(dots(seen | {"read_back": n}))["read_back"] for n in (0, 1, 2)] == ["none", "some", "all"]
    assert dict(dots(delivery | {"failed": 1, "to_commit": 0})) == {
        **{"stored": "failed", "committed": "unknown"},
        **{"read_back": "unknown"},
    }
