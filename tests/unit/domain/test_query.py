"""When a value matches a key (PS3.4 C.2.2.2)."""

from __future__ import annotations

import pytest

from node.domain.query import Level, Query, has, matching
from node.domain.study import Value
from node.errors import UnusableKey

CASES: list[tuple[str, str, Value, bool]] = [
    # Single values: case counts, and nothing is a part of anything.
    ("LO", "P1", "P1", True),
    ("LO", "P1", "p1", False),
    ("LO", "P1", "P12", False),
    ("LO", "P1", "", False),
    ("LO", "P1", None, False),
    # Lists of UIDs.
    ("UI", "1.2\\1.3", "1.3", True),
    ("UI", "1.2\\1.3", "1.4", False),
    # Wildcards.
    ("LO", "P*", "P12", True),
    ("LO", "P*", "p12", False),
    ("LO", "P?", "P1", True),
    ("LO", "P?", "P12", False),
    ("LO", "*1?", "A12", True),
    ("LO", "a*b*c", "a-b-b-c", True),
    ("LO", "a*b*c", "a-c-b", False),
    ("LO", "P[1]*", "P[1]x", True),
    ("CS", "C?", ["MR", "CT"], True),
    ("CS", "CT\\MR", ["MR"], True),
    ("CS", "CT\\MR", ["US"], False),
    # No wildcards where the representation has none.
    ("UI", "1.2.*", "1.2.3", False),
    # Names: without case, by any of their groups, empty components do not count.
    ("PN", "SMITH^JOHN", "Smith^John", True),
    ("PN", "Smith^John", "Smith^John^^", True),
    ("PN", "Smith^John^^^", "Smith^John", True),
    ("PN", "Smith", "Smith^John", False),
    ("PN", "smi*", "Smith^John", True),
    ("PN", "*john", "Smith^John", True),
    ("PN", "yamada^tarou", "Yamada^Tarou=山田^太郎", True),
    ("PN", "山田*", "Yamada^Tarou=山田^太郎", True),
    ("PN", "Müller*", "MÜLLER^Jörg", True),
    ("PN", "Mu\u0308ller*", "Müller", True),
    # Dates.
    ("DA", "20200102", "20200102", True),
    ("DA", "2020.01.02", "20200102", True),
    ("DA", "20200102", "20200103", False),
    ("DA", "20200101-20200131", "20200131", True),
    ("DA", "20200101-20200131", "20200201", False),
    ("DA", "-20200131", "19990101", True),
    ("DA", "20200131-", "20200130", False),
    ("DA", "20200101-", "yesterday", False),
    # Times, as exactly as they are said.
    ("TM", "101500", "101500.000", True),
    ("TM", "1015", "101559", True),
    ("TM", "1015", "101600", False),
    ("TM", "10-11", "115959.999999", True),
    ("TM", "10:00-10:30", "103059", True),
    ("TM", "-1030", "103100", False),
    ("TM", "22-", "2230", True),
    ("TM", "22-", "soon", False),
    # Numbers.
    ("IS", "7", 7, True),
    ("IS", "+07", 7, True),
    ("IS", "7", 8, False),
]


@pytest.mark.parametrize(("vr", "key", "value", "expected"), CASES)
def test_matching(vr: str, key: str, value: Value, expected: bool) -> None:
    found = matching(vr, key)
    assert found is not None
    assert has(value, found) is expected


@pytest.mark.parametrize("key", ["", " ", "*", "\\"])
def test_universal_matching(key: str) -> None:
    assert matching("LO", key) is None


@pytest.mark.parametrize(
    ("vr", "key"),
    [("DA", "today"), ("DA", "2020"), ("DA", "20200101-x"), ("TM", "noon"), ("TM", "1-2"), ("IS", "seven"),
     ("IS", "9" * 9999)],
)  # fmt: skip
def test_keys_that_are_none(vr: str, key: str) -> None:
    with pytest.raises(UnusableKey):
        matching(vr, key)


def test_a_pattern_of_many_stars_does_not_explode() -> None:
    key = matching("LO", "*a" * 32 + "b")
    assert key is not None
    assert not has("a" * 1024, key)


def test_a_key_of_which_an_entity_says_nothing_does_not_judge_it() -> None:
    key = matching("CS", "CT")
    assert key is not None
    query = Query(Level.STUDY, {"ModalitiesInStudy": key}, frozenset())
    assert query.matches({"PatientID": "1"})
    assert not query.matches({"ModalitiesInStudy": []})
    assert query.asks_for("ModalitiesInStudy", "StudyID")
    assert not query.asks_for("StudyID")
